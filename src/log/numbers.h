/* A queue of channel numbers: first in, first out. It lies in blocks that never move, since the
 * log's lock is held over it and a ring of millions takes milliseconds to copy. */
#pragma once

#include "base/mem.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

enum { NUMBERS_BLOCK = 254 }; /* 1 KiB */

struct numbers_block {
    struct numbers_block *next;
    uint32_t at[NUMBERS_BLOCK];
};

/* All zeroes is an empty queue. */
struct numbers {
    struct numbers_block *first;
    struct numbers_block *last;
    uint32_t start; /* the place of the first number in its block */
    uint32_t end;   /* the place behind the last one in its block */
    uint32_t count;
};

static inline void numbers_deinit(struct numbers *numbers)
{
    for (struct numbers_block *block = numbers->first, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    *numbers = (struct numbers){0};
}

/* The memory of its blocks, up to one more than it tells. */
static inline size_t numbers_bytes(const struct numbers *numbers)
{
    return (numbers->count + NUMBERS_BLOCK - 1) / NUMBERS_BLOCK *
           mem_taken(sizeof(struct numbers_block));
}

/* Another block at the end; false, and nothing has changed, when there is no memory. */
static inline bool numbers_grow(struct numbers *numbers)
{
    struct numbers_block *block = mem_try_alloc(sizeof(*block));
    if (!block)
        return false;
    block->next = NULL;
    *(numbers->last ? &numbers->last->next : &numbers->first) = block;
    numbers->last = block;
    numbers->end = 0;
    return true;
}

/* Puts a number last; false when there is no memory. */
static inline bool numbers_push(struct numbers *numbers, uint32_t number)
{
    if ((!numbers->last || numbers->end == NUMBERS_BLOCK) && !numbers_grow(numbers))
        return false;
    numbers->last->at[numbers->end++] = number;
    numbers->count++;
    return true;
}

/* The first, of which there must be one. */
static inline uint32_t numbers_first(const struct numbers *numbers)
{
    return numbers->first->at[numbers->start];
}

/* Takes the first, of which there must be one. An empty queue keeps one block. */
static inline uint32_t numbers_pop(struct numbers *numbers)
{
    struct numbers_block *block = numbers->first;
    uint32_t number = block->at[numbers->start++];
    numbers->count--;
    if (!numbers->count) {
        numbers->start = numbers->end = 0;
    } else if (numbers->start == NUMBERS_BLOCK) {
        numbers->first = block->next;
        numbers->start = 0;
        free(block);
    }
    return number;
}
