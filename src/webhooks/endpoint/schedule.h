/* The times at which a failed delivery is repeated. */
#pragma once

#include "base/str.h"

#include <stdint.h>

#define SCHEDULE_DAY_MS INT64_C(86400000)

enum { SCHEDULE_MAX = 32 };

struct schedule {
    int64_t delays_ms[SCHEDULE_MAX];
    size_t count;
};

/* The schedule of Standard Webhooks: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h. */
void schedule_init(struct schedule *schedule);

/* The delay after the nth failure in a row (1 is the first). Beyond the schedule: its last delay,
 * or a day if that is longer. `random` spreads it evenly over ±20 %. At least `asked_ms`, which the
 * receiver asked for (a day at most). */
int64_t schedule_delay_ms(const struct schedule *schedule, uint64_t failures, uint32_t random,
                          int64_t asked_ms);

/* Whether this many failures in a row use the schedule up. */
static inline bool schedule_is_over(const struct schedule *schedule, uint64_t failures)
{
    return failures > schedule->count;
}

/* Reads a Retry-After (RFC 9110 section 10.2.3), seconds or a date, as ms from now. Returns 0 if it
 * is unreadable or in the past, at most a day. */
int64_t retry_after_ms(struct str value, int64_t now_us);
