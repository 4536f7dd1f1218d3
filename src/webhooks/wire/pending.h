/* An event for a receiver, with a reference to the memory of its bytes. */
#pragma once

#include "base/list.h"
#include "hub/chunk.h"
#include "log/event.h"

struct pending {
    struct list node; /* in a lane's queue, or in the attempt that sends the event */
    struct event event;
    struct chunk *chunk; /* memory that the event points into, counted: a chunk of the hub, */
    struct batch *batch; /* a batch that was read from the log, or memory of its lane (both NULL) */
};

/* Copies the event and takes references to `chunk` and `batch`, which may be NULL. NULL if there is
 * no memory. */
struct pending *pending_new(const struct event *event, struct chunk *chunk, struct batch *batch);

/* Frees the event, and removes it from its list. */
void pending_free(struct pending *pending);

void pending_free_all(struct list *events);

/* The first event of a list; NULL if it is empty. */
const struct event *pending_first(const struct list *events);

/* Moves the first event of `from` to the end of `to`, and returns it. */
struct pending *pending_move_first(struct list *from, struct list *to);

static inline size_t pending_bytes(const struct pending *pending)
{
    return sizeof(*pending) + pending->event.data.len;
}
