/* Room for many long-lived structures of one size, packed: nothing between them, and nothing of
 * what comes and goes on the heap leaves holes around them. One thread's. */
#pragma once

#include "base/list.h"

enum { SLAB_BLOCK = 256 * 1024 };

struct slab {
    struct list open; /* blocks that have room */
    size_t size;      /* of each structure */
    size_t blocks;
};

/* `size` is at most a sixteenth of a block; what is taken is aligned for 64 bits. */
void slab_init(struct slab *slab, size_t size);

/* Frees the blocks; nothing may be in use any more. */
void slab_deinit(struct slab *slab);

/* Uninitialised room for one; NULL when there is no memory. Goes back by slab_give(). */
void *slab_take(struct slab *slab) __attribute__((warn_unused_result));

/* Gives it back to the slab that it is from; NULL is left alone. Blocks of which nothing is in use
 * go back to the system. */
void slab_give(void *ptr);
