/* The channel numbers that selections have found for their patterns, kept for their next read
 * within one bound for all selections.
 *
 * A selection matches its patterns against each channel once, and keeps the numbers of those that
 * match. A pattern may match many channels of a large table, and each subscriber may bring a
 * selection of its own. So the numbers of all selections count in one room. When the room is full,
 * it forgets the complete set that was unused for longest; the next read finds it again.
 *
 * A search takes many slices. Incomplete sets are not forgotten to make room: otherwise a hundred
 * searches at once would drive each other out for ever. Instead a search that finds the room full
 * drops its own numbers and waits, unless it is the oldest. So the oldest search always reaches its
 * end, and its set is then complete. A search whose reader has left would stay the oldest for ever;
 * once another has had many turns in vain meanwhile, it counts as abandoned and is dropped. */
#pragma once

#include "base/list.h"
#include "log/number_set.h"

#include <pthread.h>
#include <stdatomic.h>

/* The room of a log. */
struct resolved_room {
    size_t most; /* bytes beyond which sets are forgotten; a single set may be larger */
    pthread_mutex_t lock;
    struct list whole;      /* complete sets, by their last use */
    struct list parts;      /* incomplete ones, by their beginning */
    uint32_t turn;          /* counts the uses by the oldest search */
    _Atomic uint64_t bytes; /* bytes in the room, for statistics */
};

struct resolve_place; /* see candidates.h */

/* The numbers of a selection, which owns them. `lock` guards all but the room's part: threads share
 * selections. */
struct resolved {
    pthread_mutex_t lock;
    struct number_set set;
    size_t bits;                 /* channels below this number were looked at */
    uint64_t reused;             /* reused numbers up to this one were looked at */
    struct resolve_place *place; /* position of an interrupted search, else NULL */
    bool is_whole;               /* complete at the time of the last search */
    unsigned holds;              /* reads that use it right now, so that it must stay */
    /* The room's part, under the room's lock: */
    struct resolved_room *room; /* NULL until the set keeps numbers */
    struct list node;
    bool is_part; /* in `parts`, not in `whole` */
    size_t counted;
    uint32_t turn;   /* the room's `turn` when this search began to wait, */
    uint32_t waited; /* and how often it has waited for room in vain since */
};

static inline bool resolved_room_is_full(const struct resolved_room *room)
{
    return atomic_load_explicit(&room->bytes, memory_order_relaxed) > room->most;
}

void resolved_room_init(struct resolved_room *room, size_t most);
/* Forgets all sets. Selections may outlive the log. */
void resolved_room_deinit(struct resolved_room *room);

/* NULL if there is no memory. */
struct resolved *resolved_new(void);
/* Leaves the room. `resolved` may be NULL. */
void resolved_free(struct resolved *resolved);

/* Forgets all numbers. Under the set's lock, like resolved_keep(). */
void resolved_forget(struct resolved *resolved);

/* Counts the set in the room, and makes room if that is full. Returns false if there is no room:
 * the set is forgotten, and the caller comes back in its next slice. Call it before a search and
 * after each of its slices. */
bool resolved_keep(struct resolved *resolved, struct resolved_room *room);
