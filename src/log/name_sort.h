/* Sorts names by their bytes, millions at once, for the ordered index of a log that is opened.
 *
 * A comparison of two names would have to fetch both from memory. Instead each entry carries eight
 * bytes of its name as a number: all entries are sorted by the first eight bytes, then each run of
 * entries that are equal so far by the next eight, until no two are equal or the names end. Each
 * name is looked at once per round, in about the order of memory if its number says where it is. */
#pragma once

#include "base/str.h"

#include <stdint.h>

struct name_sort_entry {
    uint64_t word;   /* scratch: the bytes of the name that the current round sorts by */
    uint32_t number; /* whose name it is */
    bool tied;       /* scratch: no different so far from the entry before, and not at the end */
};

/* Sorts the entries by `name_of(owner, number)`, names of 1 to 255 bytes, none of them 0. Of equal
 * names the lower number comes first. Only `number` must be set. */
void name_sort(struct name_sort_entry *entries, size_t count,
               struct str (*name_of)(const void *owner, uint32_t number), const void *owner);
