/* The events of a channel that the memory store retains, in order. */
#pragma once

#include "log/event.h"

/* Pointers into the batches that hold the events. A single event needs no array, so a million
 * channels with one event each need no allocation. A line of zeroes is empty. */
struct line {
    union {
        const struct event *one; /* the only event, while cap is 0 */
        const struct event **many;
    };
    uint32_t start; /* index of the first in `many` */
    uint32_t count;
    uint32_t cap;
    bool lags;        /* the store's: trimmed events are still in the line */
    uint64_t trimmed; /* the store's: the newest id that was removed */
};

void line_deinit(struct line *line);

/* The heap memory of the line, apart from the structure itself. */
static inline uint64_t line_bytes(const struct line *line)
{
    return line->cap ? line->cap * sizeof(struct event *) + HEAP_OVERHEAD : 0;
}

/* The events, ascending; line->count of them, valid until the line changes. */
static inline const struct event **line_events(struct line *line)
{
    return line->cap ? line->many + line->start : &line->one;
}

/* Adds an event with an id above all others; returns false if there is no memory. */
bool line_push(struct line *line, const struct event *event);

/* Remove the oldest, or the newest event. The line must not be empty. */
void line_drop_first(struct line *line);
void line_drop_last(struct line *line);

/* Shrinks the array after many events were removed. */
void line_shrink(struct line *line);

/* The number of the line's events whose id is at most `id`. */
uint32_t line_upto(struct line *line, uint64_t id);
