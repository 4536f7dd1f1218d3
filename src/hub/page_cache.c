#include "hub/page_cache.h"

#include <stdlib.h>

enum {
    /* Large events that are cached, within cache_bytes. Also the number of uncached ones, held only
     * by chunks and connections, that a search looks at. */
    PIECES_MAX = 64,
    PAGES_MAX = 1024, /* in the cache, even if they are small */
};

void cache_init(struct hub *hub)
{
    list_init(&hub->cache);
    list_init(&hub->pieces);
    list_init(&hub->loose_pieces);
}

/* ---- trimming ------------------------------------------------------------------------------- */

static void page_free(struct page *page)
{
    struct hub *hub = page->view->hub;
    hub->cached -= chunk_size(page->chunk);
    hub->pages_count--;
    list_remove(&page->in_cache);
    pages_remove(&page->view->pages, page);
    chunk_unref(page->chunk);
    free(page);
}

/* Drops the piece from the cache. While chunks or slow peers hold it, it can still be found, since
 * it would otherwise be encoded and held twice. */
static void piece_forget(struct hub *hub, struct piece *piece)
{
    hub->cached_pieces -= piece->bytes.len;
    hub->pieces_count--;
    list_remove(&piece->node);
    list_add_first(&hub->loose_pieces, &piece->node);
    piece_unref(piece);
}

void cache_trim(struct hub *hub, size_t most)
{
    while ((hub->cached > most || hub->pages_count > PAGES_MAX) && !list_empty(&hub->cache))
        page_free(container_of(hub->cache.next, struct page, in_cache));
    while ((hub->cached_pieces > most || hub->pieces_count > PIECES_MAX) &&
           !list_empty(&hub->pieces))
        piece_forget(hub, container_of(hub->pieces.next, struct piece, node));
}

/* Makes room for a page or piece of `size` bytes, which is kept even if it is larger than the
 * cache: the subscribers that wait for it take it soon. */
static void cache_trim_for(struct hub *hub, size_t size)
{
    cache_trim(hub, hub->limits.cache_bytes > size ? hub->limits.cache_bytes : size);
}

/* ---- pages ---------------------------------------------------------------------------------- */

/* Whether a page of this kind has all events of the chunk; the chunk is not needed then. */
static bool cache_has(struct hub *hub, const struct view *view, const struct chunk *chunk,
                      bool stored)
{
    struct page *page = pages_around(view->pages, chunk, stored);
    if (!page)
        return false;
    list_remove(&page->in_cache);
    list_add_last(&hub->cache, &page->in_cache);
    return true;
}

void cache_add(struct view *view, struct chunk *chunk, bool stored)
{
    struct hub *hub = view->hub;
    struct page *page = cache_has(hub, view, chunk, stored) ? NULL : mem_try_alloc(sizeof(*page));
    if (!page) {
        chunk_unref(chunk);
        return;
    }
    for (struct page *old; (old = pages_within(view->pages, chunk, stored));)
        page_free(old);
    *page = (struct page){.view = view, .chunk = chunk, .stored = stored};
    if (!pages_add(&view->pages, page)) {
        chunk_unref(chunk);
        free(page);
        return;
    }
    list_add_last(&hub->cache, &page->in_cache);
    hub->pages_count++;
    hub->cached += chunk_size(chunk);
    cache_trim_for(hub, chunk_size(chunk));
}

void cache_drop_pages(struct view *view)
{
    for (struct page *page; (page = pages_any(view->pages));)
        page_free(page);
}

/* ---- pieces --------------------------------------------------------------------------------- */

void cache_add_piece(struct hub *hub, struct piece *piece)
{
    list_add_last(&hub->pieces, &piece->node);
    hub->pieces_count++;
    hub->cached_pieces += piece->bytes.len;
    cache_trim_for(hub, piece->bytes.len);
}

/* Whether the piece is this event. A logged event is known by its id, an ephemeral one only by the
 * number that the hub gave it. */
static bool is_piece_of(const struct hub *hub, const struct piece *piece, const struct event *event)
{
    return event->state == EVENT_EPHEMERAL ? piece->serial == hub->event_serial
                                           : piece->id == event->id;
}

static struct piece *find_in(const struct hub *hub, const struct list *pieces, unsigned encoding,
                             const struct event *event)
{
    unsigned count = 0;
    list_each (pieces, node) {
        struct piece *piece = container_of(node, struct piece, node);
        if (piece->encoding == encoding && is_piece_of(hub, piece, event))
            return piece;
        if (++count == PIECES_MAX)
            return NULL;
    }
    return NULL;
}

struct piece *cache_find_piece(const struct hub *hub, unsigned encoding, const struct event *event)
{
    struct piece *piece = find_in(hub, &hub->pieces, encoding, event);
    return piece ? piece : find_in(hub, &hub->loose_pieces, encoding, event);
}
