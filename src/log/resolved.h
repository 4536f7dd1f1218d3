/* Channel numbers that selections have found for their patterns, kept for their next read within
 * one bound for all selections.
 *
 * A selection holds its patterns against each channel once, and keeps the numbers of those that
 * match. A pattern may match many channels of a large table, and each subscriber may bring a
 * selection of its own. So the numbers of all selections count in one room. When the room is full,
 * it forgets the complete set that was not used for longest; the next read finds it again.
 *
 * A search takes many slices. Incomplete sets are not forgotten for the sake of others: otherwise a
 * hundred searches at once would drive each other out for ever. Instead a search that finds the
 * room full drops its own numbers and waits, unless it began before all others. So one search
 * always comes to its end, and its set is complete then. A search that nobody goes on with, because
 * its reader has left, would stay first for ever: after many uses of the room it counts as
 * abandoned and is dropped. */
#pragma once

#include "base/list.h"
#include "log/number_set.h"

#include <pthread.h>
#include <stdatomic.h>

/* The room of one log. */
struct resolved_room {
    size_t most; /* bytes, beyond which things are forgotten; one of them may be larger */
    pthread_mutex_t lock;
    struct list whole; /* complete sets, by their last use */
    struct list parts; /* incomplete ones, by when they were begun */
    uint64_t uses;
    _Atomic uint64_t bytes; /* kept; for whoever shows it */
};

struct resolve_place; /* see candidates.h */

/* The numbers of one selection, which owns them. `lock` guards all but the room's part: threads
 * share selections. */
struct resolved {
    pthread_mutex_t lock;
    struct number_set set;
    size_t bits;                 /* channels below this number have been looked at */
    uint64_t reused;             /* numbers that were given again were looked at up to here */
    struct resolve_place *place; /* where it goes on; NULL unless it was interrupted */
    bool is_whole;               /* complete, as the table was then */
    unsigned holds;              /* reads that ask it at the moment, so that it must stay */
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
/* Forgets all sets; selections may outlive the log. */
void resolved_room_deinit(struct resolved_room *room);

/* NULL when there is no memory. */
struct resolved *resolved_new(void);
/* Leaves its room. NULL is allowed. */
void resolved_free(struct resolved *resolved);

/* Forgets all numbers. Under its lock, like resolved_keep(). */
void resolved_forget(struct resolved *resolved);

/* Counts the set in the room, and makes room if that is full. False when there is none: the set is
 * forgotten, and the caller comes back in its next slice. Call it before a search and after each of
 * its slices. */
bool resolved_keep(struct resolved *resolved, struct resolved_room *room);
