/* The live chunk of a view: the records that its live subscribers have not all taken yet.
 *
 * Stamps number the records of a view's live chunks. Positions in a live chunk are stamps and not
 * ids, because ephemeral events have no id. The chunk begins with the first event for the view
 * after a flush, and ends with the next flush, unless work is left then. The view falls behind as a
 * whole, so that its subscribers read pages, if there is no memory for its live chunk, or while too
 * much is held for subscribers that do not take it. */
#pragma once

#include "hub/view.h"

enum { LIVE_SPARED_BYTES = 4 << 10 }; /* of a live chunk that may stay above live_max */

/* Begins the view's live chunk; the view has none. Returns false if there is no memory. Inline,
 * since an event may begin the live chunks of a hundred thousand views. */
static inline bool live_chunk_begin(struct view *view)
{
    view->live = chunk_new(&view->hub->room, view->hub->applied);
    if (!view->live)
        return false;
    view->live->first_stamp = view->stamp + 1;
    list_add_last(&view->hub->dirty, &view->dirty);
    return true;
}

/* Drops the live chunk, if there is one. The caller moves the subscribers in view->queued_subs. */
void live_chunk_drop(struct view *view);

/* Drops the live chunk, if there is one, and lets all subscribers of it fall behind: they read a
 * page later. Live ones are woken; queued ones were. */
void live_chunk_lose(struct view *view);

/* Turns a live chunk that has grown too long into a page. For live_chunk_bound() alone. */
void live_chunk_retire(struct view *view);

/* Drops the live chunk because too much is held. For live_chunk_bound() alone. */
void live_chunk_give_up(struct view *view);

/* Whether the view's live chunk has to go because too much is held. Above live_max small ones are
 * spared, up to an eighth more: to drop them gains little, and an ephemeral event in them would be
 * lost because others hold much. */
static inline bool live_chunk_is_too_much(const struct view *view)
{
    const struct chunk_room *room = &view->hub->room;
    size_t most = view->hub->limits.live_max;
    if (room->account && account_excess(room->account))
        return true;
    if (!most || room->bytes <= most)
        return false;
    return chunk_len(view->live) > LIVE_SPARED_BYTES || room->bytes - most > most / 8;
}

/* Whether the live chunk is too long because its subscribers do not take it. Pieces do not count if
 * live_max bounds them, since other chunks hold most of them too. */
static inline bool live_chunk_is_too_long(const struct chunk *chunk,
                                          const struct hub_limits *limits)
{
    size_t len = limits->live_max ? chunk->bytes.len : chunk_len(chunk);
    return len > limits->chunk_bytes;
}

/* Drops the live chunk if it has grown too long, or if too much is held; the view has one. Inline,
 * since the fan-out calls this for each view of an event. */
static inline void live_chunk_bound(struct view *view)
{
    if (live_chunk_is_too_long(view->live, &view->hub->limits))
        live_chunk_retire(view);
    else if (live_chunk_is_too_much(view))
        live_chunk_give_up(view);
}
