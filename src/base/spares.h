/* Memory of one size that was freed and is kept for the next allocation: for structures that come
 * and go by the thousand in a turn, more than the allocator's own cache of a size holds. For one
 * thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Zeroes are a valid start. A build without optimization keeps nothing, so that sanitizers see each
 * use of freed memory. */
struct spares {
    void *first;
    uint32_t count;
};

enum { SPARES_MAX = 256 };

/* Uninitialised memory of `size` bytes, which is the same for all of these spares and not less than
 * a pointer; NULL if there is none. It may also be freed by free(). */
void *spares_take(struct spares *spares, size_t size) __attribute__((warn_unused_result));

/* Gives back memory of that size, from spares_take() or from the heap. */
void spares_give(struct spares *spares, void *memory);

/* Frees what is kept. */
void spares_deinit(struct spares *spares);
