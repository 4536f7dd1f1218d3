/* How long to wait before the next attempt: doubling, with jitter, within bounds. */
#pragma once

#include <stdint.h>

/* In milliseconds. All zeroes but the bounds is the start. */
struct retry_delay {
    uint64_t least_ms; /* above 0 */
    uint64_t most_ms;
    uint64_t ceiling_ms; /* of the next delay, before it is drawn */
};

/* The next delay: between half of the ceiling and the ceiling, but never outside of the bounds;
 * `random` is any random number. Many clients that lost one server do not come back together. */
uint64_t retry_delay_next(struct retry_delay *delay, uint32_t random);

/* Something worked: begin small again. */
void retry_delay_reset(struct retry_delay *delay);
