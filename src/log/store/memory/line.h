/* The events of one channel that the memory store retains, in order. */
#pragma once

#include "log/event.h"

/* Pointers into the batches that hold the events. A single one needs no array, so that a million
 * channels of one event each cost no allocation. All zeroes is an empty line. */
struct line {
    union {
        const struct event *one; /* cap == 0 */
        const struct event **many;
    };
    uint32_t start; /* into `many` */
    uint32_t count;
    uint32_t cap;
    bool lags;        /* the store's note: oldest events up to `trimmed` are still in the line */
    uint64_t trimmed; /* and another: the newest id that was removed */
};

void line_deinit(struct line *line);

/* What the line takes from the heap beside itself. */
static inline uint64_t line_bytes(const struct line *line)
{
    return line->cap ? line->cap * sizeof(struct event *) + HEAP_OVERHEAD : 0;
}

/* The events, ascending; line->count of them, until the line changes. */
static inline const struct event **line_events(struct line *line)
{
    return line->cap ? line->many + line->start : &line->one;
}

/* Adds an event of an id above all before; false when there is no memory. */
bool line_push(struct line *line, const struct event *event);

/* Takes out the oldest, or the newest, of which there must be one. */
void line_drop_first(struct line *line);
void line_drop_last(struct line *line);

/* Back to a size that fits, once many were taken out. */
void line_shrink(struct line *line);

/* How many of the line's events have an id of at most `id`. */
uint32_t line_upto(struct line *line, uint64_t id);
