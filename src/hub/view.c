#include "hub/view.h"

#include "hub/live_chunk.h"
#include "hub/page_cache.h"

#include <stdlib.h>

/* ---- finding -------------------------------------------------------------------------------- */

static void write_view_key(struct buf *buf, struct str canonical, unsigned encoding)
{
    buf_add(buf, &encoding, sizeof(encoding));
    buf_add_str(buf, canonical);
}

static bool view_is(const struct map_node *node, struct str key)
{
    const struct view *view = container_of(node, const struct view, node);
    unsigned encoding;
    memcpy(&encoding, key.at, sizeof(encoding));
    return encoding == view->encoding &&
           str_eq(str_skip(key, sizeof(encoding)), view->selection->canonical);
}

void views_init(struct hub *hub)
{
    map_init(&hub->views, view_is);
}

static struct view *view_new(struct hub *hub, struct selection *selection, unsigned encoding,
                             struct str key)
{
    struct view *view = mem_try_alloc(sizeof(*view));
    if (!view)
        return NULL;
    *view = (struct view){.hub = hub, .selection = selection_ref(selection), .encoding = encoding};
    view->weight = selection_weight(selection);
    view->exact = !selection->types_count && !selection->except;
    list_init(&view->live_subs);
    list_init(&view->queued_subs);
    list_init(&view->behind_subs);
    if (topics_add_view(&hub->topics, view, selection)) {
        selection_unref(selection);
        free(view);
        return NULL;
    }
    map_add(&hub->views, &view->node, key);
    hub->views_count++;
    if (hub->on_view)
        hub->on_view(hub->port.mailbox->owner, selection);
    return view;
}

struct view *view_get(struct hub *hub, struct selection *selection, unsigned encoding)
{
    buf_clear(&hub->key);
    write_view_key(&hub->key, selection->canonical, encoding);
    if (buf_failed(&hub->key))
        return NULL;
    struct map_node *node = map_find(&hub->views, buf_str(&hub->key));
    return node ? container_of(node, struct view, node)
                : view_new(hub, selection, encoding, buf_str(&hub->key));
}

/* ---- leaving -------------------------------------------------------------------------------- */

static void forget_in_fan_out(const struct view *view)
{
    struct fan_out *fan_out = &view->hub->fan_out;
    if (fan_out->under_way && view->place < fan_out->views_count &&
        fan_out->views[view->place] == view)
        fan_out->views[view->place] = NULL;
}

void view_release(struct view *view)
{
    struct hub *hub = view->hub;
    if (--view->subs)
        return;
    cache_drop_pages(view);
    live_chunk_drop(view);
    forget_in_fan_out(view);
    topics_remove_view(&hub->topics, view, view->selection);
    map_remove(&hub->views, &view->node);
    selection_unref(view->selection);
    hub->views_count--;
    free(view);
}
