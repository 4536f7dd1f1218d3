/* The most frequent of many: a small table that counts whoever comes, and keeps those who come most
 * often.
 *
 * The algorithm is "space-saving" (Metwally, Agrawal, El Abbadi: Efficient Computation of Frequent
 * and Top-k Elements in Data Streams, 2005): a newcomer takes the place of the least frequent, and
 * its count. So a count is never too low, and too high by at most the least count. Strangers choose
 * the names, and cannot make the table grow. */
#pragma once

#include "base/str.h"

#include <stdint.h>

enum { TOP_PLACES = 16, TOP_NAME_MAX = 64 };

struct top_place {
    uint32_t count; /* 0: the place is free */
    uint16_t kind;  /* up to the owner; compared along with the name */
    uint8_t len;
    char name[TOP_NAME_MAX];
};

/* Zeroes at first. */
struct top {
    struct top_place places[TOP_PLACES];
};

/* Counts `n` more. Names are cut at TOP_NAME_MAX bytes. */
void top_add(struct top *top, uint16_t kind, struct str name, uint32_t n);

/* Adds all of `from`. */
void top_merge(struct top *to, const struct top *from);

/* Sorts the places: the most frequent first. */
void top_sort(struct top *top);
