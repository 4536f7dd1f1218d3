/* The order of what was made: by its time, and by its id where times are equal, as those of all
 * keys of the configuration are. Lists that are told in pages have it: each page begins behind the
 * place where the page before has ended, whether what stood there is still there or not. */
#pragma once

#include "base/str.h"

struct made {
    int64_t at_us; /* wall clock; below 0: before everything */
    struct str id;
};

static inline bool made_before(struct made a, struct made b)
{
    return a.at_us != b.at_us ? a.at_us < b.at_us : str_cmp(a.id, b.id) < 0;
}
