#include "webhooks/wire/pending.h"

#include <stdlib.h>

struct pending *pending_new(const struct event *event, struct chunk *chunk, struct batch *batch)
{
    struct pending *pending = mem_try_alloc(sizeof(*pending));
    if (!pending)
        return NULL;
    *pending = (struct pending){.event = *event,
                                .chunk = chunk ? chunk_ref(chunk) : NULL,
                                .batch = batch ? batch_ref(batch) : NULL};
    return pending;
}

void pending_free(struct pending *pending)
{
    list_remove(&pending->node);
    chunk_unref(pending->chunk);
    batch_unref(pending->batch);
    free(pending);
}

void pending_free_all(struct list *events)
{
    list_each (events, node)
        pending_free(container_of(node, struct pending, node));
}

const struct event *pending_first(const struct list *events)
{
    if (list_empty(events))
        return NULL;
    return &container_of(events->next, struct pending, node)->event;
}

struct pending *pending_move_first(struct list *from, struct list *to)
{
    struct list *node = list_take_first(from);
    list_add_last(to, node);
    return container_of(node, struct pending, node);
}
