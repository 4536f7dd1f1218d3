/* A queue of channel numbers: first in, first out. */
#pragma once

#include "base/mem.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* All zeroes is an empty queue. */
struct numbers {
    uint32_t *at; /* a ring of cap, which is a power of two */
    uint32_t start;
    uint32_t count;
    uint32_t cap;
};

enum { NUMBERS_FIRST = 64 };

static inline void numbers_deinit(struct numbers *numbers)
{
    free(numbers->at);
    *numbers = (struct numbers){0};
}

/* Twice the ring, unrolled; false, and nothing has changed, when there is no memory. */
static inline bool numbers_grow(struct numbers *numbers)
{
    uint32_t cap = numbers->cap ? numbers->cap * 2 : NUMBERS_FIRST;
    uint32_t *at = mem_try_alloc(cap * sizeof(*at));
    if (!at)
        return false;
    for (uint32_t i = 0; i < numbers->count; i++)
        at[i] = numbers->at[(numbers->start + i) & (numbers->cap - 1)];
    free(numbers->at);
    *numbers = (struct numbers){at, 0, numbers->count, cap};
    return true;
}

/* Puts a number last; false when there is no memory. */
static inline bool numbers_push(struct numbers *numbers, uint32_t number)
{
    if (numbers->count == numbers->cap && !numbers_grow(numbers))
        return false;
    numbers->at[(numbers->start + numbers->count++) & (numbers->cap - 1)] = number;
    return true;
}

/* Takes the first, of which there must be one. */
static inline uint32_t numbers_pop(struct numbers *numbers)
{
    uint32_t number = numbers->at[numbers->start];
    numbers->start = (numbers->start + 1) & (numbers->cap - 1);
    numbers->count--;
    return number;
}
