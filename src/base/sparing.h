/* Spares the log: of lines that strangers can cause, some are written and the rest are counted. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Lines that are written at once, and the pause between those that follow. */
enum { SPARING_AT_ONCE = 10, SPARING_MS = 1000 };

/* All zeroes at first; one for each kind of line. */
struct sparing {
    int64_t due_ns; /* when the line would be due if they came evenly */
    uint64_t left_out;
};

/* Whether a line may be written now, on a clock that never goes back. Then `*ret_left_out` is how
 * many were left out since the last one. */
bool sparing_may(struct sparing *sparing, int64_t now_ns, uint64_t *ret_left_out);
