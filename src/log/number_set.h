/* A set of channel numbers: a sorted list of few numbers, or a bitmap of all. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Numbers of a list, 4 KiB. The list is short because each addition moves the numbers behind it. */
enum { NUMBER_SET_LIST_MAX = 1024 };

/* A set of zeroes is empty. */
struct number_set {
    uint32_t *list;  /* NULL if there is a bitmap */
    uint8_t *bitmap; /* bit (n & 7) of byte (n >> 3) stands for number n */
    size_t count;    /* numbers in the list */
    size_t cap;      /* room of the list in numbers, or of the bitmap in bits: times 64 */
};

void number_set_deinit(struct number_set *set);

/* Adds or removes the number; does nothing if it is in, or out, already. Returns false, with the
 * set unchanged, if there is no memory. */
bool number_set_put(struct number_set *set, uint32_t number, bool is_in);

bool number_set_has(const struct number_set *set, uint32_t number);

/* The memory of the set, in bytes. */
size_t number_set_bytes(const struct number_set *set);

/* Copies the numbers in ascending order; returns false if there are more than `most`. */
bool number_set_copy(const struct number_set *set, uint32_t *to, size_t most, size_t *ret_count);

/* Sets the bits of the set's numbers that are within `bits`, the size of the bitmap and a multiple
 * of 8. */
void number_set_mark(const struct number_set *set, uint8_t *bitmap, size_t bits);
