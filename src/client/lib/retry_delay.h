/* The delay before the next attempt: doubling, with jitter, within bounds. */
#pragma once

#include <stdint.h>

/* Zeroes except for the bounds are the start. In milliseconds. */
struct retry_delay {
    uint64_t least_ms; /* above 0 */
    uint64_t most_ms;
    uint64_t ceiling_ms; /* upper limit of the next delay */
};

/* Returns the next delay: random between half of the ceiling and the ceiling, within the bounds, so
 * that many clients that lost a server do not come back together. `random` is any random number. */
uint64_t retry_delay_next(struct retry_delay *delay, uint32_t random);

/* An attempt was successful: the next delay is small again. */
void retry_delay_reset(struct retry_delay *delay);
