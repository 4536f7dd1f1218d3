/* Encoding of events into the chunks of views: large events by reference, and an event that goes to
 * many views at once only once in each format. */
#pragma once

#include "hub/view.h"

/* Adds the event to a chunk of the view. Returns false if there is no memory, with the chunk as it
 * was. */
bool encode_into(struct view *view, struct chunk *chunk, const struct event *event);

/* The same for the event that is fanned out now: the first view of each format encodes it, and the
 * others copy the bytes. hub->shared_count must be 0 before the first view of each event, and after
 * a chunk that may have the bytes is gone. Inline, since an event may go to a hundred thousand
 * views. */
static inline bool encode_shared(struct view *view, struct chunk *chunk, const struct event *event)
{
    struct hub *hub = view->hub;
    for (uint32_t i = 0; i < hub->shared_count; i++) {
        const struct hub_shared *shared = &hub->shared[i];
        if (shared->encoding != view->encoding)
            continue;
        buf_add(&chunk->bytes, shared->chunk->bytes.at + shared->start,
                shared->end - shared->start);
        return chunk_add(chunk, event);
    }
    uint32_t count = chunk->count;
    if (!encode_into(view, chunk, event))
        return false;
    if (hub->shared_count < HUB_SHARED && event->data.len < hub->limits.large_bytes)
        hub->shared[hub->shared_count++] = (struct hub_shared){
            chunk, view->encoding, chunk_start(chunk, count), chunk_start(chunk, count + 1)};
    return true;
}
