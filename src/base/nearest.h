/* Finds the name that a misspelled one was probably meant to be. */
#pragma once

#include "base/str.h"

/* Longer names are not compared. */
enum { NEAREST_LEN_MAX = 64 };

/* How many letters must be put in, taken out, replaced or swapped with their neighbour to make `a`
 * of `b`; NEAREST_LEN_MAX + 1 if either is longer than that. */
unsigned nearest_distance(struct str a, struct str b);

/* Whether a name at this distance is near enough to `a` for a "did you mean": a third of the
 * letters differ at most, or two of a short name. */
static inline bool nearest_is_near(struct str a, unsigned distance)
{
    return distance < a.len && distance <= (a.len < 6 ? 2 : a.len / 3);
}
