#include "hub/encode.h"

#include "hub/page_cache.h"

/* Returns a large event in a format with a reference, encoding it if that has not been done. */
static struct piece *take_piece(struct hub *hub, unsigned encoding, const struct event *event)
{
    struct piece *piece = cache_find_piece(hub, encoding, event);
    if (piece)
        return piece_ref(piece);
    struct buf bytes = {0};
    hub->encode(hub->context, encoding, &bytes, event);
    piece = piece_new(&hub->room, encoding, &bytes);
    if (!piece)
        return NULL;
    if (event->state == EVENT_EPHEMERAL)
        piece->serial = hub->event_serial;
    else
        piece->id = event->id;
    piece_ref(piece); /* for the caller; the cache has the other */
    cache_add_piece(hub, piece);
    return piece;
}

static bool add_large(struct view *view, struct chunk *chunk, const struct event *event)
{
    struct piece *piece = take_piece(view->hub, view->encoding, event);
    /* An event that is encoded as nothing becomes a record without bytes. */
    bool good = piece &&
                (piece->bytes.len ? chunk_add_piece(chunk, event, piece) : chunk_add(chunk, event));
    piece_unref(piece);
    return good;
}

bool encode_into(struct view *view, struct chunk *chunk, const struct event *event)
{
    struct hub *hub = view->hub;
    if (event->data.len >= hub->limits.large_bytes)
        return add_large(view, chunk, event);
    hub->encode(hub->context, view->encoding, &chunk->bytes, event);
    return chunk_add(chunk, event);
}
