/* The batches that the memory store holds, oldest first. */
#pragma once

#include "log/event.h"

#include <stddef.h>

struct held {
    struct batch *batch; /* NULL once let go: a hole, until it is closed */
    uint64_t first;      /* ids of its first and last APPENDED event */
    uint64_t last;
    int64_t time_us;   /* of the first */
    uint32_t appended; /* events in it, when it was last made smaller */
    uint32_t live;     /* of those, how many are retained */
};

/* All zeroes is an empty queue. */
struct held_queue {
    struct held *held; /* from start to before end, holes among them */
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

/* What the queue itself takes from the heap. */
static inline uint64_t held_room_bytes(const struct held_queue *queue)
{
    return queue->cap * sizeof(struct held);
}

/* The first and the last id of all batches; the first of an empty queue is above all ids. */
static inline uint64_t held_oldest(const struct held_queue *queue)
{
    return queue->start < queue->end ? queue->held[queue->start].first : EVENT_ID_MAX + 1;
}

static inline uint64_t held_newest(const struct held_queue *queue)
{
    return queue->start < queue->end ? queue->held[queue->end - 1].last : 0;
}

/* Room for so many more; false when there is no memory. */
bool held_room(struct held_queue *queue, size_t count);

/* Adds a reference to the batch behind the others, if it has an event that was APPENDED. There must
 * be room. */
void held_add(struct held_queue *queue, struct batch *batch);

/* The index of the first batch, hole or not, whose last id is at least `id`. */
size_t held_find(const struct held_queue *queue, uint64_t id);

/* Drops the batch. Indices and pointers into the queue are good no more. */
void held_let_go(struct held_queue *queue, struct held *held);

/* Puts a smaller batch, whose reference is taken over, in its place. */
void held_replace(struct held_queue *queue, struct held *held, struct batch *batch);
