#include "hub/live_chunk.h"

#include "hub/page_cache.h"
#include "hub/sub_state.h"

void live_chunk_drop(struct view *view)
{
    view->hub->shared_count = 0; /* the shared bytes may lie in the live chunk */
    view->live = chunk_unref(view->live);
    list_remove(&view->dirty);
}

void live_chunk_lose(struct view *view)
{
    uint64_t applied = view->hub->applied;
    live_chunk_drop(view);
    list_each (&view->queued_subs, node)
        sub_fall_behind(container_of(node, struct sub, node));
    list_each (&view->live_subs, other) {
        struct sub *sub = container_of(other, struct sub, node);
        if (sub->cursor < applied)
            sub->cursor = applied;
        sub_fall_behind(sub);
        sub->ops->wake(sub);
    }
}

/* The subscribers that did not take the chunk find the page by their cursors. */
void live_chunk_retire(struct view *view)
{
    struct chunk *chunk = chunk_ref(view->live);
    live_chunk_lose(view);
    /* The chunk still has events that were trimmed while it grew. Subscribers that come later must
     * not get them, so it may not become a page. */
    bool plain = view->hub->window.trimmed <= chunk->from;
    for (uint32_t i = 0; i < chunk->count && plain; i++)
        plain = chunk->records[i].id != 0;
    if (plain && chunk->through > chunk->from)
        cache_add(view, chunk, false);
    else
        chunk_unref(chunk);
}

/* Chunks that are being sent still count until they are freed. */
void live_chunk_give_up(struct view *view)
{
    view->hub->fell_behind++;
    live_chunk_lose(view);
}
