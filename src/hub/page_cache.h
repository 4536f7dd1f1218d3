/* The cache of a hub: pages and large events that were encoded for a subscriber, kept for others
 * that may want them too.
 *
 * Each view finds its own pages by cursor (hub/pages.h); the cache has all of them in their order,
 * and drops the oldest beyond limits.cache_bytes. Pieces, which are large events in a format, are
 * found by event, whatever the view. The hub empties the cache at the end of a flush, unless work
 * is left: the cache is for subscribers that want the same bytes at the same time. */
#pragma once

#include "hub/view.h"

/* Makes the hub's cache, which is empty. cache_trim() to 0 bytes empties it again. */
void cache_init(struct hub *hub);

/* Drops the oldest pages and pieces until each of both has at most `most` bytes. The size of a page
 * includes its pieces, even if others hold them too. */
void cache_trim(struct hub *hub, size_t most);

/* Adds a page to those of the view, unless one of them contains it; pages that it contains go.
 * Takes over the reference to the chunk, also if there is no memory for the page. `stored`: the
 * chunk was read from the store, and not from the window. The page is kept even if it is larger
 * than the cache: the subscribers that wait for it take it soon. */
void cache_add(struct view *view, struct chunk *chunk, bool stored);

/* The page with the events behind the cursor, borrowed; NULL if there is none. A page from the
 * store leaves out events that were trimmed, perhaps before their TRIM entry has reached this
 * thread. Where gaps are found by the window, only pages from the window may be used: otherwise
 * events would be missing without a gap. */
static inline struct chunk *cache_find(const struct view *view, uint64_t cursor)
{
    const struct page *page = pages_find(view->pages, cursor, false);
    if (!page && cursor < view->hub->window.held_above)
        page = pages_find(view->pages, cursor, true);
    return page ? page->chunk : NULL;
}

/* Drops all pages of a view. */
void cache_drop_pages(struct view *view);

/* Adds a piece, whose `id` or `serial` is set. Takes over a reference. */
void cache_add_piece(struct hub *hub, struct piece *piece);

/* The piece of a large event in a format, borrowed; NULL if nobody holds it. Ephemeral events have
 * no id, so only the one that is fanned out now is found. */
struct piece *cache_find_piece(const struct hub *hub, unsigned encoding, const struct event *event);
