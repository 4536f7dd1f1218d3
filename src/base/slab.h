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

/* Slabs for structures of several sizes, SLABS_MAX at most. Zeroes are the start: those who take
 * structures of a size make its slab. */
enum { SLABS_MAX = 5 };

struct slabs {
    struct slab at[SLABS_MAX];
    unsigned count;
};

/* Like slab_take(), from the slab for this size. */
void *slabs_take(struct slabs *slabs, size_t size) __attribute__((warn_unused_result));

/* Frees all slabs; no structure may be in use. */
void slabs_deinit(struct slabs *slabs);
