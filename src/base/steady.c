#include "base/steady.h"

#define TOLERANCE_US INT64_C(1000000)
#define DOUBT_US INT64_C(10000000)

void steady_init(struct steady *steady, struct clock *clock)
{
    int64_t monotonic_us = clock_now_ns(clock) / 1000, wall_us = clock_wall_us(clock);
    *steady = (struct steady){.clock = clock,
                              .read_us = monotonic_us,
                              .wall_us = wall_us,
                              .offset_us = wall_us - monotonic_us};
}

static bool differ(int64_t a_us, int64_t b_us)
{
    return a_us > b_us + TOLERANCE_US || a_us < b_us - TOLERANCE_US;
}

static enum steady_event doubt(struct steady *steady, int64_t offset_us)
{
    steady->doubted = true;
    steady->doubted_us = offset_us;
    steady->doubted_since_us = steady->read_us;
    steady->jump_us = offset_us - steady->offset_us;
    return STEADY_DOUBTED;
}

static enum steady_event judge(struct steady *steady, int64_t offset_us)
{
    if (!differ(offset_us, steady->offset_us)) {
        steady->doubted = false;
        steady->wall_us = steady->read_us + offset_us;
        return STEADY_CALM;
    }
    steady->wall_us = steady->read_us + steady->offset_us;
    if (!steady->doubted || differ(offset_us, steady->doubted_us))
        return doubt(steady, offset_us);
    if (steady->read_us - steady->doubted_since_us < DOUBT_US)
        return STEADY_CALM;
    steady->jump_us = offset_us - steady->offset_us;
    steady->doubted = false;
    steady->offset_us = offset_us;
    steady->wall_us = steady->read_us + offset_us;
    return STEADY_BELIEVED;
}

enum steady_event steady_read(struct steady *steady)
{
    steady->read_us = clock_now_ns(steady->clock) / 1000;
    return judge(steady, clock_wall_us(steady->clock) - steady->read_us);
}
