#include "base/clock.h"

#include "base/mem.h"

#include <time.h>

static int64_t read_ns(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t system_wall_us(struct clock *clock)
{
    (void)clock;
    return read_ns(CLOCK_REALTIME) / 1000;
}

static int64_t system_monotonic_ns(struct clock *clock)
{
    (void)clock;
    return read_ns(CLOCK_MONOTONIC);
}

struct clock *clock_system(void)
{
    static struct clock system = {system_wall_us, system_monotonic_ns};
    return &system;
}

static int64_t fake_wall_us(struct clock *clock)
{
    return container_of(clock, struct clock_fake, clock)->wall_us;
}

static int64_t fake_monotonic_ns(struct clock *clock)
{
    return container_of(clock, struct clock_fake, clock)->monotonic_ns;
}

void clock_fake_init(struct clock_fake *fake, int64_t wall_us)
{
    *fake = (struct clock_fake){{fake_wall_us, fake_monotonic_ns}, wall_us, wall_us * 1000};
}

void clock_fake_advance(struct clock_fake *fake, int64_t us)
{
    fake->wall_us += us;
    fake->monotonic_ns += us * 1000;
}
