/* The pace of polls: pages of a busy worker that have events and wait for more.
 *
 * An answer costs as much with one event as with five. So a worker with time to spare answers at
 * once, and a busy one holds a page for a while (docs/decisions/0006). Whoever holds pages here
 * knows what they are; the worker asks in each turn which are due. */
#pragma once

#include "base/clock.h"
#include "base/list.h"
#include "hub/window.h"

/* Embedded in what is held. */
struct paced {
    struct list node; /* in pace->held */
    int64_t due_ns;   /* until when */
};

struct pace_ops {
    /* Whether events that it has may have been deleted: everything up to `trimmed` may be. */
    bool (*is_trimmed)(const struct paced *paced, uint64_t trimmed);
    /* The poll is not held any more: its owner sees that it is answered soon. */
    void (*end)(struct paced *paced);
};

/* The paced polls of one thread. */
struct pace {
    const struct pace_ops *ops;
    struct list held;
    uint64_t trims; /* of the window, as of the last look */
};

void pace_init(struct pace *pace);

/* How long to wait between two answers to a connection, of `most_ms` at most. `load` as in struct
 * loop. */
int64_t pace_ms(int64_t most_ms, int64_t load);

/* Holds it for so long; no other is held for longer. All that is held has the same `ops`. */
void pace_hold(struct pace *pace, struct paced *paced, int64_t due_ns, const struct pace_ops *ops);

/* Ends it without a word; nothing happens if it is not held. */
static inline void pace_end(struct paced *paced)
{
    list_remove(&paced->node);
}

static inline bool pace_holds(const struct paced *paced)
{
    return list_linked(&paced->node);
}

/* Ends what is due, by the clock and not by when the turn began, and that of which something may
 * have been deleted. In how many ms the next may be due, or -1. */
int64_t pace_due(struct pace *pace, const struct window *window, struct clock *clock);
