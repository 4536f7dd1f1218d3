/* A search for the name that a misspelled one was probably meant to be. */
#pragma once

#include "base/str.h"

/* Longer names are not compared. */
enum { NEAREST_LEN_MAX = 64 };

/* The number of letters that must be inserted, deleted, replaced or swapped with their neighbour to
 * turn `b` into `a`; NEAREST_LEN_MAX + 1 if either is longer than that limit. */
unsigned nearest_distance(struct str a, struct str b);

/* A search among names: begin with the misspelled one as `name`, and offer each that there is.
 * `best` is the nearest that is near enough; empty if none is. */
struct nearest {
    struct str name, best;
    unsigned distance; /* of `best` */
};

void nearest_offer(struct nearest *nearest, struct str candidate);

/* Whether a name at this distance is near enough to `a` for a "did you mean": at most a third of
 * the letters differ, or two letters of a short name. */
static inline bool nearest_is_near(struct str a, unsigned distance)
{
    return distance < a.len && distance <= (a.len < 6 ? 2 : a.len / 3);
}
