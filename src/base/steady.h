/* Wall time that jumps of the wall clock do not reach until they have lasted. */
#pragma once

#include "base/clock.h"

#include <stdbool.h>

/* For one thread, or under a lock. The two clocks of a kernel are slewed together, so their
 * difference, the offset, changes only by jumps. */
struct steady {
    struct clock *clock;
    int64_t read_us;    /* monotonic time of the last reading */
    int64_t wall_us;    /* wall time then, as it is believed */
    int64_t offset_us;  /* wall time less monotonic time, as it is believed */
    int64_t jump_us;    /* how far the clock, or what is believed, has just jumped */
    bool doubted;       /* the clock shows another offset, */
    int64_t doubted_us; /* this one, */
    int64_t doubted_since_us;
};

enum steady_event {
    STEADY_CALM,
    STEADY_DOUBTED,  /* the clock has jumped by `jump_us`; `wall_us` goes on without */
    STEADY_BELIEVED, /* that has lasted for ten seconds: `wall_us` has jumped by `jump_us` */
};

void steady_init(struct steady *steady, struct clock *clock);

/* Reads the clocks. Jumps of less than a second are followed at once, and told by nothing. */
enum steady_event steady_read(struct steady *steady);
