/* The time, replaceable in tests: wall time for what people see, monotonic time for waiting. */
#pragma once

#include <stdint.h>

/* The source of time. Tests make their own; no other code asks the kernel. */
struct clock {
    int64_t (*wall_us)(struct clock *clock);      /* microseconds since 1970, UTC */
    int64_t (*monotonic_ns)(struct clock *clock); /* never goes back */
};

/* The kernel's clocks. */
struct clock *clock_system(void);

static inline int64_t clock_wall_us(struct clock *clock)
{
    return clock->wall_us(clock);
}

static inline int64_t clock_now_ns(struct clock *clock)
{
    return clock->monotonic_ns(clock);
}

/* A clock that moves only when a test says so; both times are read from these fields. Threads may
 * read it while a test moves it. */
struct clock_fake {
    struct clock clock;
    _Atomic int64_t wall_us;
    _Atomic int64_t monotonic_ns;
};

void clock_fake_init(struct clock_fake *fake, int64_t wall_us);
/* Moves both times on. */
void clock_fake_advance(struct clock_fake *fake, int64_t us);
