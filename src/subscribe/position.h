/* A position in the log as a consumer asks for it: the same words for every mechanism. */
#pragma once

#include "log/event.h"

enum position_kind {
    POSITION_CURSOR,     /* a position that the consumer claims */
    POSITION_UNREADABLE, /* a Last-Event-ID that is no position: counts as a gap */
    POSITION_EARLIEST,
    POSITION_NOW,
    POSITION_LAST, /* the newest events, a number of them */
    POSITION_TIME, /* events after a time */
};

enum { POSITION_LAST_MAX = 1000 };

struct position {
    enum position_kind kind;
    uint64_t id;
    uint32_t last;
    int64_t time_us;
    uint64_t told; /* POSITION_CURSOR: gaps up to here are known to the consumer; 0: up to `id` */
};

/* The words of position_read(), as refusals name them. */
#define POSITION_WORDS "a cursor, earliest, now, or an RFC 3339 time"

/* Reads `earliest`, `now`, a cursor or a time; `last` and `told` stay. Returns false if the text is
 * none of them. */
bool position_read(struct position *position, struct str text);

/* Whether the consumer claims no position. Then it has missed nothing: events that are trimmed
 * while it begins are not a gap. */
static inline bool position_claims_nothing(const struct position *position)
{
    return position->kind == POSITION_EARLIEST || position->kind == POSITION_LAST ||
           position->kind == POSITION_TIME || (position->kind == POSITION_CURSOR && !position->id);
}
