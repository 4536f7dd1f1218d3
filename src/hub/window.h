/* The newest events in memory, in log order, with a thread of "the one before" through each
 * channel. */
#pragma once

#include "base/budget.h"
#include "hub/topics.h"

/* Positions count events since the start and never wrap in a lifetime; an event is at position p in
 * slot p & mask of the ring. */
struct window_slot {
    const struct event *event; /* NULL once it was trimmed */
    struct topic *topic;
    uint64_t before; /* position + 1 of the channel's event before; 0 for none */
};

struct window {
    struct topics *topics;
    struct window_slot *ring;
    uint64_t mask;
    uint64_t first;         /* position of the oldest event */
    uint64_t end;           /* position behind the newest */
    uint64_t floor;         /* events with a higher id are all here */
    uint64_t applied;       /* the newest id that was added, or where the window began */
    struct batch **batches; /* ring of references, oldest first */
    uint64_t batch_first, batch_end, batch_mask;
    size_t bytes;        /* of the batches, which windows share */
    size_t topics_bytes; /* of topics that have events in them */
    size_t bytes_max;    /* for window_bytes() */
    uint64_t trimmed;    /* the highest id that a TRIM mark named */
    uint64_t marks;      /* of TRIM seen so far */
};

/* An empty window that begins behind `newest`. */
void window_init(struct window *window, struct topics *topics, size_t bytes_max, uint64_t newest);
void window_deinit(struct window *window);

/* What the window holds, its own tables included: a small event costs as much there as in its
 * batch. */
size_t window_bytes(const struct window *window);

/* Of these, what no other window shares: the rings, and the topics. */
size_t window_own_bytes(const struct window *window);

/* Adds a batch event by event, so that the caller may pause: window_open() makes room, at the other
 * end what is too much falls out; window_put() adds an APPENDED event and returns its channel's
 * topic (NULL without memory); window_mark() applies a TRIM; window_close() takes the reference to
 * the batch that the window needs. Between the first and the last the batch is the caller's to
 * hold. */
void window_open(struct window *window, const struct batch *batch);
struct topic *window_put(struct window *window, const struct event *event);
void window_mark(struct window *window, const struct event *mark);
void window_close(struct window *window, struct batch *batch);

/* All of that at once, calling `each` for every APPENDED event and for EPHEMERAL ones, with the
 * channel's topic. */
void window_add(struct window *window, struct batch *batch,
                void (*each)(void *context, const struct event *event, struct topic *topic),
                void *context);

/* As if the batch had been added and had fallen out at once, with all before it. */
void window_pass(struct window *window, const struct batch *batch);

/* As if events up to `upto` that were never seen had been added, and all of them had fallen out. */
void window_miss(struct window *window, uint64_t upto);

/* Calls `each` for the selected events with after < id, ascending, until it returns false. `after`
 * must be >= floor. Looks at no more than `rows` of them, and stops behind the one that used the
 * budget up (NULL: none). Returns the id up to which everything was given: of the last event given
 * if `each` stopped, of the last one looked at if `rows` or the budget did, otherwise `applied`. */
uint64_t window_read(struct window *window, const struct selection *selection, uint64_t after,
                     uint64_t rows, struct budget *budget,
                     bool (*each)(void *context, const struct event *event), void *context);

/* Whether the selection may have events with ids above `after`, told without looking at them: only
 * ever false when there are none, for a few names and a cursor that the window reaches. */
bool window_may_have(const struct window *window, const struct selection *selection,
                     uint64_t after);
