/* A token bucket, as one time: a rate is an amount in a window, and a bucket holds one window's
 * amount.
 *
 * The bucket is kept as the time at which it would be full again. To take from it moves that time
 * on by as long as the amount needs to flow in. So a full bucket is any time that has passed, and
 * may be forgotten. Pure: the time is a parameter, monotonic, in ns. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct bucket {
    int64_t full_ns; /* 0: full */
};

struct bucket_rate {
    uint64_t amount; /* at least 1 */
    int64_t window_ns;
};

/* Takes an amount. A full bucket gives any amount, even more than it holds, and owes the rest: else
 * what is larger than a bucket could never pass. Returns false, with the time until the same amount
 * would be given, if there is too little: then nothing was taken. */
bool bucket_take(struct bucket *bucket, const struct bucket_rate *rate, uint64_t amount,
                 int64_t now_ns, int64_t *ret_wait_ns);

/* Takes an amount whatever there is, and owes what lacks. What all together owe must fit a time. */
void bucket_owe(struct bucket *bucket, const struct bucket_rate *rate, uint64_t amount,
                int64_t now_ns);

/* Gives back what was taken. */
void bucket_give(struct bucket *bucket, const struct bucket_rate *rate, uint64_t amount);

static inline bool bucket_is_full(const struct bucket *bucket, int64_t now_ns)
{
    return bucket->full_ns <= now_ns;
}
