/* A sort of names by their bytes, millions at once, for the ordered index of a log that is opened.
 *
 * To compare two names would fetch both from memory. Instead each entry carries eight bytes of its
 * name as a number: all entries are sorted by the first eight bytes, then each run of equal entries
 * by the next eight, until no two are equal or the names end. Each round reads each name once,
 * roughly in the order of memory if numbers follow it. */
#pragma once

#include "base/str.h"

#include <stdint.h>

struct name_sort_entry {
    uint64_t word;   /* scratch: the bytes that the current round sorts by */
    uint32_t number; /* the number whose name this entry sorts by */
    bool tied;       /* scratch: equal so far to the entry before, and not at the end */
};

/* Sorts the entries by `name_of(owner, number)`, names of 1 to 255 bytes without a 0. Equal names
 * are in the order of their numbers. Only `number` must be set. */
void name_sort(struct name_sort_entry *entries, size_t count,
               struct str (*name_of)(const void *owner, uint32_t number), const void *owner);
