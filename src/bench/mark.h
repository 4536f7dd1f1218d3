/* The mark in every event of a benchmark: says which event it is and when it was published, and can
 * be found in any protocol. */
#pragma once

#include "base/str.h"

#include <stdint.h>

/* `~`, 32 hexadecimal digits, `~`: no encoding that a server may use changes these characters. */
enum { MARK_LEN = 34 };

struct mark {
    uint32_t lane; /* see bench/tally.h */
    uint32_t number;
    uint64_t time_ns;
};

void mark_write(char ret[MARK_LEN], struct mark mark);

/* Writes 8 hexadecimal digits, as they stand in marks and channel names. */
void mark_write_hex(char ret[8], uint32_t value);

/* Takes the next mark from `*bytes` and moves on behind it. Returns false if no whole mark is left:
 * `*bytes` is then the possible beginning of a mark, shorter than MARK_LEN, or empty. */
bool mark_next(struct str *bytes, struct mark *ret);
