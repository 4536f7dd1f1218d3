/* Wall time that follows a jump of the wall clock only after the jump has lasted. */
#pragma once

#include "base/clock.h"

#include <stdbool.h>

/* For one thread, or under a lock. The kernel slews its two clocks together, so their difference,
 * the offset, changes only when the wall clock jumps. */
struct steady {
    struct clock *clock;
    int64_t read_us;    /* monotonic time of the last reading */
    int64_t wall_us;    /* believed wall time at the last reading */
    int64_t offset_us;  /* believed wall time less monotonic time */
    int64_t jump_us;    /* size of the last jump, of the clock or of the believed time */
    bool doubted;       /* whether the clock shows an offset that is not yet believed */
    int64_t doubted_us; /* the offset that is not yet believed */
    int64_t doubted_since_us;
};

enum steady_event {
    STEADY_CALM,
    STEADY_DOUBTED,  /* the clock has jumped by `jump_us`; `wall_us` does not follow yet */
    STEADY_BELIEVED, /* the jump has lasted for ten seconds: `wall_us` has followed it, by
                      * `jump_us` */
};

void steady_init(struct steady *steady, struct clock *clock);

/* Reads the clocks. Jumps of less than a second are followed at once, without an event. */
enum steady_event steady_read(struct steady *steady);
