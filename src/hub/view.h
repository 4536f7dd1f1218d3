/* A view: subscribers with the same selection and format, and the events that are encoded for all
 * of them at once. */
#pragma once

#include "hub/hub.h"
#include "hub/pages.h"

struct view {
    struct map_node node;
    struct list dirty; /* in hub->dirty while there is a live chunk */
    struct hub *hub;
    struct selection *selection;
    unsigned encoding;
    struct chunk *live; /* see live_chunk.h; NULL if there is none */
    struct list live_subs;
    struct list queued_subs;
    struct list behind_subs;
    struct pages *pages; /* in the cache; NULL if there are none */
    uint64_t stamp;      /* of the newest record */
    uint64_t serial;     /* the last event that was matched against this view */
    uint32_t subs;
    uint32_t place;  /* index in fan_out.views, until the view has been served */
    bool exact;      /* a matching term is enough: no types, no exclusions */
    uint32_t weight; /* see selection_weight() */
    uint64_t trims;  /* log_trims() when `trimmed` was computed */
    uint64_t trimmed;
};

/* Makes the hub's map of views, which is empty; map_deinit() ends it. */
void views_init(struct hub *hub);

/* The view of a selection and a format. A new one takes a reference to the selection, and
 * hub->on_view hears of it. The caller counts its subscriber in view->subs. NULL if there is no
 * memory, or at branches_max. */
struct view *view_get(struct hub *hub, struct selection *selection, unsigned encoding);

/* Subtracts a subscriber from view->subs. The last one takes the view along: its live chunk, its
 * cached pages, and its place in a fan-out that is under way. */
void view_release(struct view *view);

/* log_trimmed() of the view's selection, remembered until the log trims again. With many patterns
 * log_trimmed() takes milliseconds, and a subscriber that catches up asks for each page. */
static inline uint64_t view_trimmed(struct view *view)
{
    uint64_t trims = log_trims(view->hub->log);
    if (view->trims != trims) {
        view->trimmed = log_trimmed(view->hub->log, view->selection);
        view->trims = trims;
    }
    return view->trimmed;
}
