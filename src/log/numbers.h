/* A queue of channel numbers in blocks that never move. The log's lock is held for each call, and a
 * ring of millions takes milliseconds to copy. */
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

/* A queue of zeroes is empty. */
struct numbers {
    struct numbers_block *first;
    struct numbers_block *last;
    uint32_t start; /* index of the first number in its block */
    uint32_t end;   /* index behind the last number in its block */
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

/* The memory of its blocks; the true size may be a block more. */
static inline size_t numbers_bytes(const struct numbers *numbers)
{
    return (numbers->count + NUMBERS_BLOCK - 1) / NUMBERS_BLOCK *
           mem_taken(sizeof(struct numbers_block));
}

/* Adds a block at the end; returns false, with the queue unchanged, if there is no memory. */
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

/* Puts a number last; returns false if there is no memory. */
static inline bool numbers_push(struct numbers *numbers, uint32_t number)
{
    if ((!numbers->last || numbers->end == NUMBERS_BLOCK) && !numbers_grow(numbers))
        return false;
    numbers->last->at[numbers->end++] = number;
    numbers->count++;
    return true;
}

/* The first number. The queue must not be empty. */
static inline uint32_t numbers_first(const struct numbers *numbers)
{
    return numbers->first->at[numbers->start];
}

/* Takes the first number. The queue must not be empty. An empty queue keeps one block. */
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
