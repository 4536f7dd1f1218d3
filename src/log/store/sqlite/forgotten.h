/* Finds the numbers of forgotten channels to which nothing on the disk refers any more, so that
 * they may be given again. */
#pragma once

#include "log/store/sqlite/chain.h"

struct forgotten {
    uint32_t after; /* looked at up to this number */
    bool going;
    bool again; /* something has changed since it was begun with */
    bool stuck; /* a file could not be unlinked, which the next opening finds: nothing is free */
};

/* A channel was forgotten, or a file was sealed, rewritten or unlinked: look at all once more. */
static inline void forgotten_changed(struct forgotten *forgotten)
{
    forgotten->again = true;
}

/* A turn: looks at some of the forgotten channels, drops what state.db keeps of those that are
 * free, and hands their numbers to config.released. Upkeep. */
int forgotten_sweep(struct forgotten *forgotten, struct chain *chain);
