#include "base/hist.h"

/* Values below 8 have a bucket each; from there on every power of two is cut into 8 parts:
 *
 *   value     0 1 … 7 | 8 9 … 15 | 16 18 … 30 | 32 36 … 60 | …
 *   bucket    0 1 … 7 | 8 9 … 15 | 16 17 … 23 | 24 25 … 31 | …
 *   width          1  |     1    |      2     |      4     | …
 *
 * Readers accept counts that disagree with each other while they are written, so relaxed order is
 * enough. There is one writer, so a load and a store replace a locked addition. */

enum { PARTS_LOG2 = 3, PARTS = 1 << PARTS_LOG2 };

static unsigned bucket_of(uint64_t value)
{
    if (value < PARTS)
        return (unsigned)value;
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - PARTS_LOG2;
    return shift * PARTS + (unsigned)(value >> shift);
}

/* The greatest value of the bucket. */
static uint64_t bucket_most(unsigned bucket)
{
    if (bucket < PARTS)
        return bucket;
    unsigned shift = bucket / PARTS - 1;
    uint64_t least = (uint64_t)(bucket % PARTS + PARTS) << shift;
    return least + (((uint64_t)1 << shift) - 1);
}

static uint64_t get(const _Atomic uint64_t *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

static void put(_Atomic uint64_t *count, uint64_t value)
{
    atomic_store_explicit(count, value, memory_order_relaxed);
}

void hist_add(struct hist *hist, uint64_t value, uint64_t n)
{
    if (!n)
        return;
    _Atomic uint64_t *bucket = &hist->buckets[bucket_of(value)];
    if (value > get(&hist->max))
        put(&hist->max, value);
    put(bucket, get(bucket) + n);
    put(&hist->count, get(&hist->count) + n);
    put(&hist->sum, get(&hist->sum) + value * n);
}

void hist_merge(struct hist *to, const struct hist *from)
{
    uint64_t max = get(&from->max);
    if (max > get(&to->max))
        put(&to->max, max);
    for (unsigned i = 0; i < HIST_BUCKETS; i++)
        put(&to->buckets[i], get(&to->buckets[i]) + get(&from->buckets[i]));
    put(&to->count, get(&to->count) + get(&from->count));
    put(&to->sum, get(&to->sum) + get(&from->sum));
}

void hist_since(struct hist *to, const struct hist *now, const struct hist *before)
{
    uint64_t max = 0, count = 0;
    for (unsigned i = 0; i < HIST_BUCKETS; i++) {
        uint64_t more = get(&now->buckets[i]) - get(&before->buckets[i]);
        put(&to->buckets[i], more);
        max = more ? bucket_most(i) : max;
        count += more;
    }
    put(&to->max, max < get(&now->max) ? max : get(&now->max));
    put(&to->count, count);
    put(&to->sum, get(&now->sum) - get(&before->sum));
}

/* The number of observations that a quantile of them spans: at least one, at most all. */
static uint64_t rank_of(double quantile, uint64_t count)
{
    if (!(quantile > 0))
        return 1;
    if (quantile >= 1)
        return count;
    double exact = quantile * (double)count;
    uint64_t rank = (uint64_t)exact;
    rank += (double)rank < exact;
    return rank < 1 ? 1 : rank > count ? count : rank;
}

uint64_t hist_quantile(const struct hist *hist, double quantile)
{
    /* hist->count will not do: it may be ahead of the buckets, or behind, while they are
     * written. */
    uint64_t count = hist_count_le(hist, UINT64_MAX);
    if (!count)
        return 0;
    uint64_t max = get(&hist->max);
    uint64_t rank = rank_of(quantile, count);
    uint64_t seen = 0;
    for (unsigned i = 0; i < HIST_BUCKETS; i++) {
        seen += get(&hist->buckets[i]);
        if (seen >= rank)
            return bucket_most(i) < max ? bucket_most(i) : max;
    }
    return max;
}

/* Counts only buckets that lie wholly at or below `value`, so that a service level read from this
 * is never better than the truth. If `value` is the largest seen or above, all count. */
uint64_t hist_count_le(const struct hist *hist, uint64_t value)
{
    uint64_t most = value >= get(&hist->max) ? UINT64_MAX : value;
    uint64_t count = 0;
    for (unsigned i = 0; i <= bucket_of(UINT64_MAX) && bucket_most(i) <= most; i++)
        count += get(&hist->buckets[i]);
    return count;
}
