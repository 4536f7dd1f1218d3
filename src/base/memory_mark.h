/* A mark of memory: whether the process holds so much that new work has to be refused.
 *
 * The process's own resident memory is compared, since it has everything in it: what accounts
 * count, what libraries hold, and what the allocator keeps. Past the mark the process is full,
 * until it holds an eighth less: otherwise each connection that ends would let the next one in, and
 * clients would be refused and let in by turns. One thread looks; any thread may ask. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* All zeroes at first. */
struct memory_mark {
    atomic_bool full;
    _Atomic uint64_t held;  /* bytes at the last look */
    _Atomic uint64_t times; /* how often it became full */
};

/* Takes what the process holds now; with `most` 0 there is no mark. Returns whether that made it
 * full, or made it no longer full. */
bool memory_mark_look(struct memory_mark *mark, uint64_t held, uint64_t most);

static inline bool memory_mark_is_full(const struct memory_mark *mark)
{
    return mark && atomic_load_explicit(&mark->full, memory_order_relaxed);
}
