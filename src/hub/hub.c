/* Fan-out by view.
 *
 * The hub walks a batch once. It encodes each event once for each format, and puts it into the
 * *live chunk* of every view that the event matches: copied, or by reference if it is large. Every
 * live subscriber of these views is queued and woken (fan_out.c, encode.c). When the owner flushes,
 * each subscriber takes the records behind its own stamp, usually all of them as one run of bytes
 * (take.c). At the end of the flush the hub lets the live chunks go (live_chunk.c).
 *
 * A subscriber whose socket is full falls behind: the hub keeps its cursor and nothing else. Later
 * the subscriber takes a page: a chunk like the live one, encoded from the window or from the
 * store (page_read.c), and shared by subscribers with the same view and cursor (page_cache.c). Each
 * turn has a budget for pages, as it has one for the fan-out. At the newest position the subscriber
 * is live again (sub_state.h). A view falls behind as a whole while more than live_max is encoded,
 * or while the account's limit is exceeded. A socket that was cut within a large event keeps a
 * reference to it.
 *
 * Failures: without memory for a live chunk, the view's subscribers fall behind and read a page
 * later. A read that fails is reported to the subscriber. Events that were trimmed are reported as
 * a gap.
 *
 * This file has the arrival and departure of subscribers, and the turns of the owner, on whose
 * thread everything runs. */
#include "hub/hub.h"

#include "hub/fan_out.h"
#include "hub/live_chunk.h"
#include "hub/page_cache.h"
#include "hub/page_read.h"
#include "hub/sub_state.h"

#include <errno.h>

enum {
    /* Smaller events are copied: a copy costs less than a send of its own, which a piece needs. */
    LARGE_BYTES = 16 << 10,
    SLICE_US = 1000,
};

/* ---- subscribing ---------------------------------------------------------------------------- */

/* Adds the subscriber to its view, at its cursor and not yet in a state. */
static int enter_view(struct hub *hub, struct sub *sub, const struct sub_ops *ops,
                      struct selection *selection, unsigned encoding, uint64_t cursor,
                      uint64_t told)
{
    struct view *view = view_get(hub, selection, encoding);
    if (!view)
        return topics_has_room(&hub->topics, selection) ? -ENOMEM : -ENOSPC;
    view->subs++;
    hub->subs++;
    *sub = (struct sub){
        .view = view, .ops = ops, .cursor = cursor, .told = told, .skip = sub->skip, .fresh = true};
    return 0;
}

/* Moves the cursor to the newest position if there is nothing to read and no gap to report. A
 * subscriber that resumes on a quiet channel is then live at once, like one that begins now. */
static void skip_nothing(struct hub *hub, struct sub *sub)
{
    uint64_t known = sub->cursor > sub->told ? sub->cursor : sub->told;
    if (sub->cursor < hub->applied &&
        !window_may_have(&hub->window, sub->view->selection, sub->cursor) &&
        view_trimmed(sub->view) <= known)
        sub->cursor = hub->applied;
}

int hub_subscribe(struct hub *hub, struct sub *sub, const struct sub_ops *ops,
                  struct selection *selection, unsigned encoding, uint64_t cursor, uint64_t told)
{
    int result = enter_view(hub, sub, ops, selection, encoding, cursor, told);
    if (result)
        return result;
    skip_nothing(hub, sub);
    /* A client that publishes and then subscribes must find its event, even if it is not fanned out
     * yet. */
    if (hub->fan_out.posted > hub->applied)
        sub_wait_ahead(hub, sub,
                       sub->cursor > hub->fan_out.posted ? sub->cursor : hub->fan_out.posted);
    else
        sub_settle(hub, sub);
    return 0;
}

int hub_go_on(struct hub *hub, struct sub *sub, const struct sub_ops *ops,
              struct selection *selection, unsigned encoding, uint64_t cursor, uint64_t told)
{
    int result = enter_view(hub, sub, ops, selection, encoding, cursor, told);
    if (result)
        return result;
    sub_settle(hub, sub);
    return 0;
}

void hub_unsubscribe(struct hub *hub, struct sub *sub)
{
    if (sub->state == SUB_NONE)
        return;
    page_read_leave(hub, sub);
    sub->taken = chunk_unref(sub->taken);
    hub->subs--;
    view_release(sub->view);
    sub->view = NULL;
}

uint64_t hub_cursor(const struct hub *hub, const struct sub *sub)
{
    bool live = sub->state == SUB_LIVE && sub->cursor < hub->applied;
    return live ? hub->applied : sub->cursor;
}

bool hub_has_name(const struct hub *hub, struct str channel)
{
    const struct topic *topic = topics_find(&hub->topics, channel);
    return topic && topic->views.count;
}

struct selection *hub_selection(const struct sub *sub)
{
    return sub->view->selection;
}

/* ---- batches and turns ---------------------------------------------------------------------- */

void hub_on_batch(struct hub *hub, struct batch *batch)
{
    fan_out_add(hub, batch);
}

void hub_pass(struct hub *hub, struct batch *batch)
{
    fan_out_all(hub);
    window_pass(&hub->window, batch);
    hub->applied = hub->fan_out.posted = hub->window.applied;
}

void hub_turn(struct hub *hub)
{
    int64_t bytes = (int64_t)hub->limits.slice_bytes;
    /* The time of these budgets begins with the work, because the owner may sleep before. */
    budget_begin_late(&hub->fan_out.budget, hub->clock, SLICE_US, bytes);
    budget_begin_late(&hub->paging, hub->clock, SLICE_US, bytes);
    fan_out_begin_turn(hub);
    if (hub_is_busy(hub))
        page_read_go_on(hub);
    if (hub->fan_out.first < hub->fan_out.end)
        fan_out_go_on(hub);
}

void hub_miss(struct hub *hub, uint64_t upto)
{
    fan_out_all(hub);
    window_miss(&hub->window, upto);
    cache_trim(hub, 0);
    for (struct map_node *node = map_next(&hub->views, NULL); node;
         node = map_next(&hub->views, node))
        live_chunk_lose(container_of(node, struct view, node));
    hub->applied = hub->fan_out.posted = hub->window.applied;
    fan_out_release(hub);
}

void hub_turn_end(struct hub *hub)
{
    if (hub_is_busy(hub))
        return;
    list_each (&hub->dirty, node) {
        struct view *view = container_of(node, struct view, dirty);
        list_each (&view->queued_subs, sub_node)
            sub_fall_behind(container_of(sub_node, struct sub, node));
        live_chunk_drop(view);
    }
    cache_trim(hub, 0);
}

/* ---- the hub -------------------------------------------------------------------------------- */

void hub_stats(const struct hub *hub, struct hub_stats *ret_stats)
{
    *ret_stats = (struct hub_stats){.deliveries = hub->deliveries,
                                    .views = hub->views_count,
                                    .window_bytes = window_bytes(&hub->window),
                                    .window_own_bytes = window_own_bytes(&hub->window),
                                    .fell_behind = hub->fell_behind,
                                    .fan_outs_put_off = hub->fan_outs_put_off,
                                    .pages_put_off = hub->pages_put_off};
}

int hub_init(struct hub *hub, struct asker *asker, struct clock *clock, struct mailbox *mailbox,
             const struct hub_limits *limits, hub_encode *encode, void *context,
             void (*on_batch)(void *owner, struct batch *batch))
{
    *hub = (struct hub){
        .log = asker->log, .asker = asker, .clock = clock, .encode = encode, .context = context};
    hub->port.mailbox = mailbox;
    hub->port.on_batch = on_batch;
    hub->port.backlog_max = limits->backlog_max;
    hub->port.on_missed = limits->on_missed;
    topics_init(&hub->topics, log_name_seed(hub->log));
    views_init(hub);
    list_init(&hub->dirty);
    cache_init(hub);
    page_read_init(hub);
    fan_out_init(hub);
    window_init(&hub->window, &hub->topics, limits->window_bytes, log_newest(hub->log));
    hub_limit(hub, limits);
    hub->applied = hub->fan_out.posted = hub->window.applied;
    return log_attach(hub->log, &hub->port);
}

void hub_limit(struct hub *hub, const struct hub_limits *limits)
{
    hub->limits = *limits;
    if (!hub->limits.large_bytes)
        hub->limits.large_bytes = LARGE_BYTES;
    hub->topics.branches_max = limits->branches_max;
    hub->window.bytes_max = limits->window_bytes;
}

void hub_deinit(struct hub *hub)
{
    fan_out_all(hub);
    page_read_deinit(hub);
    fan_out_deinit(hub);
    cache_trim(hub, 0);
    window_deinit(&hub->window);
    map_deinit(&hub->views);
    topics_deinit(&hub->topics);
    buf_free(&hub->key);
}
