/* A set of channel numbers: a sorted list while it has few, a bitmap of all numbers otherwise. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A list moves its end for each number that is put into it, so it is kept short: 4 KiB. */
enum { NUMBER_SET_LIST_MAX = 1024 };

/* All zeroes is an empty set. */
struct number_set {
    uint32_t *list;  /* NULL when there is a bitmap */
    uint8_t *bitmap; /* bit (n & 7) of byte (n >> 3) stands for number n */
    size_t count;    /* of the list */
    size_t cap;      /* numbers that the list has room for, or bits of the bitmap: times 64 */
};

void number_set_deinit(struct number_set *set);

/* Puts the number in, or takes it out; nothing happens if that is so already. False, and nothing
 * has changed, when there is no memory. */
bool number_set_put(struct number_set *set, uint32_t number, bool is_in);

bool number_set_has(const struct number_set *set, uint32_t number);

/* The memory it takes, in bytes. */
size_t number_set_bytes(const struct number_set *set);

/* Copies the numbers, which rise; false when there are more than `most`. */
bool number_set_copy(const struct number_set *set, uint32_t *to, size_t most, size_t *ret_count);

/* Sets the bits of its numbers, as far as the bitmap has `bits`, which are a multiple of 8. */
void number_set_mark(const struct number_set *set, uint8_t *bitmap, size_t bits);
