/* The pace of polls: pages of a busy worker that have events and wait for more.
 *
 * An answer costs as much with one event as with five. So a worker with time to spare answers at
 * once, and a busy one holds pages for a while (docs/decisions/0006). The owner of a held page
 * embeds a `struct paced`; the worker asks in each turn which pages are due. */
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
    /* Whether some of its events may have been deleted: those with ids up to `trimmed`. */
    bool (*is_trimmed)(const struct paced *paced, uint64_t trimmed);
    /* The page is not held any more: its owner must see that it is answered soon. */
    void (*end)(struct paced *paced);
};

/* The paced polls of one thread. */
struct pace {
    const struct pace_ops *ops;
    struct list held;
    uint64_t trims; /* window.trims at the last look */
};

void pace_init(struct pace *pace);

/* The pause between two answers to a connection: 0 to `most_ms`, by the load as in struct loop. */
int64_t pace_ms(int64_t most_ms, int64_t load);

/* Holds a page until `due_ns`, not before any page that is held. All held pages have the same
 * `ops`. */
void pace_hold(struct pace *pace, struct paced *paced, int64_t due_ns, const struct pace_ops *ops);

/* Ends the hold without a call; does nothing if the page is not held. */
static inline void pace_end(struct paced *paced)
{
    list_remove(&paced->node);
}

static inline bool pace_holds(const struct paced *paced)
{
    return list_linked(&paced->node);
}

/* Ends the holds that are due by the clock, and those of pages with events that may have been
 * deleted. Returns in how many ms the next is due, or -1. */
int64_t pace_due(struct pace *pace, const struct window *window, struct clock *clock);
