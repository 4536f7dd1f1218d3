/* The trimmed id of each channel: read for every row that is read, by any thread, without a
 * lock. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

struct floors_chunk;

struct floors {
    /* Chunks by the high bits of a channel's number; made as they are needed, never moved. */
    _Atomic(struct floors_chunk *) *chunks;
    _Atomic uint64_t bytes; /* memory of the chunks */
};

void floors_init(struct floors *floors);
void floors_deinit(struct floors *floors);

/* Sees to it that floors_raise() for this channel cannot fail. -ENOMEM. Any thread. */
int floors_room(struct floors *floors, uint32_t number);

/* Raises a channel's floor, never lowers it. Any thread, after floors_room(). */
void floors_raise(struct floors *floors, uint32_t number, uint64_t upto);

/* The newest id removed from the channel, 0 for none. Any thread. */
uint64_t floors_get(const struct floors *floors, uint32_t number);
