/* A gap: events that a consumer will never get, as it is told of them. */
#pragma once

#include "log/log.h"

struct sub;
struct taken;

/* The reason of a gap for a consumer whose position is none of this log. log_gap_reason() has the
 * others. */
#define GAP_UNKNOWN "unknown"

/* The reason of a gap for a consumer that has had events which the log lacks, as log_gap_reason()
 * says it. */
#define GAP_LOST "lost"

/* Events between `after` and `earliest` are gone, and the consumer continues at `cursor`. */
struct gap {
    uint64_t cursor;
    uint64_t after;
    uint64_t earliest;
    const char *reason; /* plain ASCII */
    struct str ref;     /* raw JSON: the subscription that the gap concerns, where a consumer has
                         * several; else empty */
};

/* The gap up to `earliest` for a consumer that has everything up to `cursor`. */
struct gap gap_behind(const struct log *log, uint64_t cursor, uint64_t earliest);

/* Whether a position is beyond the log: the log lost its newest events, or is another log. */
static inline bool gap_is_beyond(const struct log *log, uint64_t position)
{
    return position > log_newest(log);
}

/* The gap of a consumer whose position is none of this log: every retained event may be new to it,
 * so it continues at 0. */
struct gap gap_unknown(struct log *log, const struct selection *selection, uint64_t position);

/* The gap that hub_take() found for the subscriber (TAKE_GAP). */
struct gap gap_taken(const struct log *log, const struct sub *sub, const struct taken *taken);

static inline bool gap_is_unknown(const struct gap *gap)
{
    return str_eq(str_from(gap->reason), STR(GAP_UNKNOWN));
}
