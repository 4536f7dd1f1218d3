/* Finds numbers of forgotten channels that nothing on the disk refers to any more, and releases
 * them for reuse. */
#pragma once

#include "log/store/sqlite/chain.h"

struct forgotten {
    uint32_t after; /* channels up to this number have been looked at */
    bool going;
    bool again; /* a file or channel has changed since the sweep began */
    bool stuck; /* the unlinking of a file failed, so that an opening would read it again: release
                   nothing */
};

/* Tells the sweep that a channel was forgotten, or that a file was sealed, rewritten or unlinked:
 * look at all channels again. */
static inline void forgotten_changed(struct forgotten *forgotten)
{
    forgotten->again = true;
}

/* Looks at some of the forgotten channels, deletes those without events from state.db, and hands
 * their numbers to config.released. Upkeep. */
int forgotten_sweep(struct forgotten *forgotten, struct chain *chain);
