/* A histogram of durations with logarithmic buckets, written by one thread and read by any. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

/* Buckets are an eighth of a power of two wide, so a quantile is at most 12.5 % too high. */
enum { HIST_BUCKETS = 64 * 8 };

struct hist {
    _Atomic uint64_t buckets[HIST_BUCKETS];
    _Atomic uint64_t count;
    _Atomic uint64_t sum;
    _Atomic uint64_t max;
};

/* Adds `n` observations of `value`. One thread only; others may read at any time. */
void hist_add(struct hist *hist, uint64_t value, uint64_t n);

/* Adds all of `from` to `to`, which must belong to the calling thread. */
void hist_merge(struct hist *to, const struct hist *from);

/* Sets `to` to what `now` has beyond `before`, an earlier copy of it. The greatest value is the
 * bound of its bucket. */
void hist_since(struct hist *to, const struct hist *now, const struct hist *before);

/* The upper bound of the bucket in which the quantile (0…1) lies, at most the largest value seen; 0
 * if there are no observations. */
uint64_t hist_quantile(const struct hist *hist, double quantile);

/* The number of observations that were at most `value`, by buckets. For Prometheus. */
uint64_t hist_count_le(const struct hist *hist, uint64_t value);
