/* Memory that dies together: many small allocations, one free. */
#pragma once

#include "base/str.h"

struct arena_block;

/* An arena of zeroes is empty. */
struct arena {
    struct arena_block *blocks;
    size_t left;  /* bytes free in the newest block */
    size_t total; /* bytes taken from the heap */
};

/* Memory aligned for any type, not zeroed; NULL when there is none. Lives until arena_free(). */
void *arena_alloc(struct arena *arena, size_t size) __attribute__((warn_unused_result));

/* A copy of `s`; `at == NULL` with a length when there is no memory. An empty one costs nothing. */
struct str arena_copy(struct arena *arena, struct str s);

/* Frees everything; the arena is empty and whole again. */
void arena_free(struct arena *arena);
