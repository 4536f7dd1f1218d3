/* The trimmed id of each channel: read for every row that is read, by any thread, without a
 * lock. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

struct trimmed_ids_chunk;

struct trimmed_ids {
    /* Chunks by the high bits of a channel's number; made as they are needed, never moved. */
    _Atomic(struct trimmed_ids_chunk *) *chunks;
    _Atomic uint64_t bytes; /* memory of the chunks */
};

void trimmed_ids_init(struct trimmed_ids *trimmed_ids);
void trimmed_ids_deinit(struct trimmed_ids *trimmed_ids);

/* Ensures that trimmed_ids_raise() for this channel cannot fail. -ENOMEM. Any thread. */
int trimmed_ids_room(struct trimmed_ids *trimmed_ids, uint32_t number);

/* Raises a channel's trimmed id, never lowers it. Any thread, after trimmed_ids_room(). */
void trimmed_ids_raise(struct trimmed_ids *trimmed_ids, uint32_t number, uint64_t upto);

/* The newest id removed from the channel, 0 for none. Any thread. */
uint64_t trimmed_ids_get(const struct trimmed_ids *trimmed_ids, uint32_t number);
