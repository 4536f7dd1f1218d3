#include "base/bucket.h"

/* No bucket owes more than this: an amount from outside must not move a time beyond what fits. */
enum { OWES_MAX_S = 1000000 };

static int64_t flow_ns(const struct bucket_rate *rate, uint64_t amount)
{
    __uint128_t ns = (__uint128_t)amount * (uint64_t)rate->window_ns / rate->amount;
    const __uint128_t most = (__uint128_t)OWES_MAX_S * 1000000000;
    return (int64_t)(ns < most ? ns : most);
}

bool bucket_take(struct bucket *bucket, const struct bucket_rate *rate, uint64_t amount,
                 int64_t now_ns, int64_t *ret_wait_ns)
{
    int64_t need_ns = flow_ns(rate, amount);
    if (!bucket_is_full(bucket, now_ns) && bucket->full_ns + need_ns - now_ns > rate->window_ns) {
        int64_t full_ns = bucket->full_ns - now_ns;
        *ret_wait_ns = need_ns < rate->window_ns ? full_ns + need_ns - rate->window_ns : full_ns;
        return false;
    }
    bucket_owe(bucket, rate, amount, now_ns);
    return true;
}

void bucket_owe(struct bucket *bucket, const struct bucket_rate *rate, uint64_t amount,
                int64_t now_ns)
{
    int64_t from_ns = bucket_is_full(bucket, now_ns) ? now_ns : bucket->full_ns;
    bucket->full_ns = from_ns + flow_ns(rate, amount);
}

void bucket_give(struct bucket *bucket, const struct bucket_rate *rate, uint64_t amount)
{
    bucket->full_ns -= flow_ns(rate, amount);
}
