/* What selections keep of the log's table: which channel numbers their patterns have, within a
 * bound for all of them together.
 *
 * A pattern is held against each channel once, and what came of it is kept for the next read. Some
 * patterns have many of a large table's channels, and as many selections as there are subscribers
 * may keep what they have: so all that is kept counts in one room. When the room is full, whatever
 * is whole and has not been of use for longest is forgotten; it is found again when it is wanted.
 *
 * What is being found, slice by slice, is not forgotten for others, or a hundred that are found at
 * once would drive each other out for ever. Instead whoever finds the room full gives up what it
 * has found itself and waits, unless it is the one that began first. So there is always one that
 * comes to its end, and is whole then. One that nobody goes on with, since its reader has left,
 * would be first for ever: it counts no more once the others have been asked for often enough. */
#pragma once

#include "base/list.h"
#include "log/number_set.h"

#include <pthread.h>
#include <stdatomic.h>

/* All that selections of one log keep. */
struct resolved_room {
    size_t most; /* bytes, beyond which things are forgotten; one of them may be larger */
    pthread_mutex_t lock;
    struct list whole; /* what was of use last stands last */
    struct list parts; /* what was begun last stands last */
    uint64_t uses;
    _Atomic uint64_t bytes; /* kept; for whoever shows it */
};

struct resolve_place; /* see candidates.h */

/* Of one selection; belongs to it. Only `lock` may be taken by whom the selection is shared with;
 * all but the room's part is under it. */
struct resolved {
    pthread_mutex_t lock;
    struct number_set set;
    size_t bits;                 /* channels below this number have been looked at */
    uint64_t reused;             /* numbers that were given again were looked at up to here */
    struct resolve_place *place; /* where it goes on; NULL unless it was interrupted */
    bool is_whole;               /* found to its end, as the table was then */
    unsigned holds;              /* readers that ask it at the moment, so that it must stay */
    /* The room's part, under its lock: */
    struct resolved_room *room; /* NULL until it keeps something */
    struct list node;
    bool is_part; /* which of its lists */
    size_t counted;
    uint64_t used; /* the room's `uses` then */
};

static inline bool resolved_room_is_full(const struct resolved_room *room)
{
    return atomic_load_explicit(&room->bytes, memory_order_relaxed) > room->most;
}

void resolved_room_init(struct resolved_room *room, size_t most);
/* Whatever is still kept is forgotten; selections may outlive the log. */
void resolved_room_deinit(struct resolved_room *room);

/* NULL when there is no memory. */
struct resolved *resolved_new(void);
/* Leaves its room. NULL is allowed. */
void resolved_free(struct resolved *resolved);

/* Forgets all that was found. Under its lock, as the following. */
void resolved_forget(struct resolved *resolved);

/* Counts what it has found in the room, where there is room for that or it is made; otherwise it
 * forgets all, and false. The caller comes back in its next slice. Call it before there is a
 * search, and behind each slice of one. */
bool resolved_keep(struct resolved *resolved, struct resolved_room *room);
