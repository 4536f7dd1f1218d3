/* Binary search, in anything that is sorted. */
#pragma once

/* Raises `low` to the first index below `high` for which `is_before` is false; to `high` if it is
 * true for all. `is_before` is an expression of `middle`, which this declares: true for all indexes
 * up to some place, and false from there on. `low` and `high` are variables of one unsigned type;
 * both end at the result. */
#define BISECT(low, high, middle, is_before)                                                       \
    do {                                                                                           \
        while ((low) < (high)) {                                                                   \
            const __typeof__(low) middle = (__typeof__(low))((low) + ((high) - (low)) / 2);        \
            if (is_before)                                                                         \
                (low) = (__typeof__(low))((middle) + 1);                                           \
            else                                                                                   \
                (high) = (middle);                                                                 \
        }                                                                                          \
    } while (0)
