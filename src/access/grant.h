/* A grant: actions, and the channels and patterns for which they are granted. */
#pragma once

#include "access/action.h"
#include "log/selection.h"

/* Bounds of the grants of one caller. A check of a term compares it with each pattern. */
enum { GRANTS_MAX = 32, GRANT_PATTERNS_MAX = 100 };

/* The patterns are borrowed: a caller owns copies of those of its grants. */
struct grant {
    const struct str *patterns; /* each passes pattern_valid() */
    size_t patterns_count;
    actions may;
};

/* How a set of grants has a name. A grant that ends in `**` has all longer names that begin as
 * this one does, too. */
enum grant_reach { GRANT_NONE, GRANT_NAME, GRANT_BELOW };

/* How the grants have `name` for an action. The name may have segments `*`: see reach.h. */
enum grant_reach grants_reach(const struct grant *grants, size_t count, enum action action,
                              struct str name);
