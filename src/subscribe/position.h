/* A position in the log as a consumer asks for it: the same words for every mechanism. */
#pragma once

#include "log/event.h"

enum position_kind {
    POSITION_CURSOR,     /* a position that the consumer claims */
    POSITION_UNREADABLE, /* a malformed Last-Event-ID: counts as a gap */
    POSITION_EARLIEST,
    POSITION_NOW,
    POSITION_LAST, /* the newest N events */
    POSITION_TIME, /* events after a time */
};

enum { POSITION_LAST_MAX = 1000 };

struct position {
    enum position_kind kind;
    uint64_t id;
    uint32_t last;
    int64_t time_us;
    uint64_t told; /* POSITION_CURSOR: the consumer knows of gaps up to here; 0: up to `id` */
};

/* The words that position_read() takes, for refusals. */
#define POSITION_WORDS "a cursor, earliest, now, or an RFC 3339 time"

/* Reads `earliest`, `now`, a cursor or a time into `kind` and its value; leaves `last` and `told`.
 * Returns false for any other text. */
bool position_read(struct position *position, struct str text);

/* Whether the consumer claims no position. Then it has missed nothing: events that are trimmed
 * while it begins are not a gap. */
static inline bool position_claims_nothing(const struct position *position)
{
    return position->kind == POSITION_EARLIEST || position->kind == POSITION_LAST ||
           position->kind == POSITION_TIME || (position->kind == POSITION_CURSOR && !position->id);
}
