/* The batches that the memory store holds, oldest first. */
#pragma once

#include "log/event.h"

#include <stddef.h>

struct held {
    struct batch *batch; /* NULL once let go: a hole, until it is removed */
    uint64_t first;      /* ids of its first and last APPENDED event */
    uint64_t last;
    int64_t time_us;   /* time of its first event */
    uint32_t appended; /* number of events when it was added or last compacted */
    uint32_t live;     /* number of these that are retained */
};

/* A queue of zeroes is empty. */
struct held_queue {
    struct held *held; /* from start to before end, with holes */
    size_t start;
    size_t end;
    size_t cap;
    size_t holes;
    uint64_t bytes; /* of all batches */
};

/* Drops all references. */
void held_deinit(struct held_queue *queue);

static inline size_t held_count(const struct held_queue *queue)
{
    return queue->end - queue->start - queue->holes;
}

/* The heap memory of the queue itself. */
static inline uint64_t held_room_bytes(const struct held_queue *queue)
{
    return queue->cap * sizeof(struct held);
}

/* The first and the last id of all batches; in an empty queue the first is above all ids. */
static inline uint64_t held_oldest(const struct held_queue *queue)
{
    return queue->start < queue->end ? queue->held[queue->start].first : EVENT_ID_MAX + 1;
}

static inline uint64_t held_newest(const struct held_queue *queue)
{
    return queue->start < queue->end ? queue->held[queue->end - 1].last : 0;
}

/* Makes room for more batches; returns false if there is no memory. */
bool held_room(struct held_queue *queue, size_t count);

/* Adds a reference to the batch at the end, if the batch has an APPENDED event. There must be
 * room. */
void held_add(struct held_queue *queue, struct batch *batch);

/* The index of the first batch, hole or not, whose last id is at least `id`. */
size_t held_find(const struct held_queue *queue, uint64_t id);

/* Drops the batch. Indices and pointers into the queue become invalid. */
void held_let_go(struct held_queue *queue, struct held *held);

/* Replaces a batch by a smaller one, whose reference is taken over. */
void held_replace(struct held_queue *queue, struct held *held, struct batch *batch);
