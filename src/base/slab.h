/* Room for many long-lived structures of one size, packed without gaps and apart from the heap,
 * where short-lived neighbours would leave holes. For one thread. */
#pragma once

#include "base/list.h"

enum { SLAB_BLOCK = 256 * 1024 };

struct slab {
    struct list open; /* blocks with room */
    size_t size;      /* of each structure */
    size_t blocks;
};

/* `size` is at most a sixteenth of a block. Structures are aligned for 64 bits. */
void slab_init(struct slab *slab, size_t size);

/* Frees the blocks; no structure may be in use. */
void slab_deinit(struct slab *slab);

/* Uninitialised room for one structure; NULL if there is no memory. Give it back by slab_give(). */
void *slab_take(struct slab *slab) __attribute__((warn_unused_result));

/* Gives a structure back to its slab; NULL is ignored. A block without structures in use goes back
 * to the system. */
void slab_give(void *ptr);
