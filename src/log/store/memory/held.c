#include "log/store/memory/held.h"

#include "base/bisect.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { HELD_FIRST = 64 };

void held_deinit(struct held_queue *queue)
{
    for (size_t i = queue->start; i < queue->end; i++)
        batch_unref(queue->held[i].batch);
    free(queue->held);
    *queue = (struct held_queue){0};
}

/* Removes the holes, and moves the batches to the front. */
static void squeeze(struct held_queue *queue)
{
    size_t to = 0;
    for (size_t i = queue->start; i < queue->end; i++)
        if (queue->held[i].batch)
            queue->held[to++] = queue->held[i];
    queue->start = 0;
    queue->end = to;
    queue->holes = 0;
}

bool held_room(struct held_queue *queue, size_t count)
{
    size_t used = held_count(queue);
    if (queue->end + count <= queue->cap)
        return true;
    if ((used + count) * 2 <= queue->cap) {
        squeeze(queue);
        return true;
    }
    size_t cap = (used + count) * 2 > HELD_FIRST ? (used + count) * 2 : HELD_FIRST;
    struct held *held = mem_try_alloc(cap * sizeof(*held));
    if (!held)
        return false;
    squeeze(queue);
    if (queue->end)
        memcpy(held, queue->held, queue->end * sizeof(*held));
    free(queue->held);
    queue->held = held;
    queue->cap = cap;
    return true;
}

size_t held_find(const struct held_queue *queue, uint64_t id)
{
    size_t low = queue->start, high = queue->end;
    if (low < high && queue->held[low].last >= id)
        return low; /* retention removes the oldest */
    BISECT(low, high, middle, queue->held[middle].last < id);
    return low;
}

void held_let_go(struct held_queue *queue, struct held *held)
{
    queue->bytes -= batch_bytes(held->batch);
    held->batch = batch_unref(held->batch);
    queue->holes++;
    while (queue->start < queue->end && !queue->held[queue->start].batch) {
        queue->start++;
        queue->holes--;
    }
    if (queue->start == queue->end)
        queue->start = queue->end = 0;
    else if (queue->holes * 2 > queue->end - queue->start)
        squeeze(queue);
}

void held_add(struct held_queue *queue, struct batch *batch)
{
    struct held held = {.batch = batch};
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct event *event = &batch->events[i];
        if (event->state != EVENT_APPENDED)
            continue;
        held.time_us = held.appended ? held.time_us : event->time_us;
        held.first = held.appended ? held.first : event->id;
        held.last = event->id;
        held.appended++;
    }
    if (!held.appended)
        return;
    held.live = held.appended;
    queue->held[queue->end++] = held;
    queue->bytes += batch_bytes(batch);
    batch_ref(batch);
}

void held_replace(struct held_queue *queue, struct held *held, struct batch *batch)
{
    queue->bytes -= batch_bytes(held->batch);
    queue->bytes += batch_bytes(batch);
    batch_unref(held->batch);
    held->batch = batch;
    held->first = batch->events[0].id;
}
