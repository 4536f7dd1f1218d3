/* Strict readers of numbers, times, sizes and booleans as people write them in configuration files,
 * in the environment and on command lines. */
#pragma once

#include "base/buf.h"

/* The unit of a number; a bare number is in this unit. */
enum number_unit {
    NUMBER_COUNT,
    NUMBER_PERCENT,
    NUMBER_US,
    NUMBER_MS,
    NUMBER_S,
    NUMBER_BYTES,
};

/* Reads a decimal number: only digits, no sign, and no leading zero, which could be taken for
 * octal. Returns 0, -EINVAL if the text is anything else, -ERANGE if the number does not fit. */
int number_read(struct str text, uint64_t *ret);

/* Reads a number in `unit`. A time may end in us, ms, s, m, h or d (`30s`, `7d`), a size in B, KB,
 * MB, GB, TB, PB or KiB, MiB, GiB, TiB, PiB (`64KiB`). Returns 0, -EINVAL if the text is anything
 * else, -ERANGE if the number does not fit, -EDOM if it is not a whole number of the unit. */
int number_read_in(struct str text, enum number_unit unit, uint64_t *ret);

/* Writes a number in the format of number_read_in(), in the largest unit that divides it. */
void number_write_in(struct buf *out, uint64_t number, enum number_unit unit);

/* Reads true, yes, on, false, no or off, in upper or lower case. Returns 0 or -EINVAL. */
int boolean_read(struct str text, bool *ret);
