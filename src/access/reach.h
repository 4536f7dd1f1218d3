/* The names that a channel or pattern stands for, as the few of them that decide over access.
 *
 * A pattern stands for endlessly many names. To know whether all of them are granted, it is enough
 * to look at those that the fewest patterns match: names whose free segments nobody has ever
 * written down. The segment `*` is such a segment, since no name has it, no literal segment of a
 * pattern equals it, and the wildcards of a pattern match it. So
 *
 *     term          stands for the names
 *     a, any        a, any
 *     a, rest       a, any    a, any, any    a, any, any, any    and so on
 *
 * where `any` is the wildcard for one segment, and `rest` that for one or more.
 *
 * Proof: let a set of patterns match such a name. The patterns of the set that match it have a
 * wildcard wherever the name has `*`, so they match every name with other segments there. If all
 * these names are matched, all names of the term are; and if one is not matched, a name that is
 * not matched exists: the same one with segments that occur in no pattern.
 *
 * Names that lie under a prefix with a rule of its own are looked at apart: the segments of the
 * prefix stand in the place of the free ones. */
#pragma once

#include "log/selection.h"

enum {
    /* The length in segments behind which longer names are matched by the same patterns. */
    REACH_SEGMENTS_MAX = PATTERN_SEGMENTS_MAX + 1,
    REACH_BYTES = 2 * (NAME_MAX_BYTES + 1) + 2 * REACH_SEGMENTS_MAX,
};

/* A walk over the names of a term, from the shortest on. */
struct reach {
    char text[REACH_BYTES];
    size_t len;
    unsigned segments;
    bool open; /* the term ends in `**` */
};

/* Begins the walk over the names of `term`, a valid name or pattern, that lie under `prefix`: empty
 * for all, else a valid name that does not begin with `$`. False if there are none. */
bool reach_begin(struct reach *reach, struct str term, struct str prefix);

/* Goes on to the next name. False if there is none, or if it is matched like this one. */
bool reach_next(struct reach *reach);

static inline struct str reach_name(const struct reach *reach)
{
    return (struct str){reach->text, reach->len};
}
