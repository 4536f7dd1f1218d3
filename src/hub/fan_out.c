/* Batches are queued, because one event may match a hundred thousand views, or have as many
 * subscribers in one view. A turn has a budget, and the fan-out may pause after each subscriber. A
 * pause between two events is harmless. During a pause within an event some views have the event
 * and some do not, and `applied` is still the previous event. Three rules then keep events in order
 * and complete:
 *
 * - A subscriber does not become live by its cursor while an event is fanned out. Its view may
 *   have that event in the live chunk already, and a live subscriber gets only later records. So
 *   the subscriber waits in `ahead`.
 * - The cursor of a subscriber never goes back, although a subscriber that has taken all of a live
 *   chunk may be one event ahead of `applied`.
 * - A subscriber that comes while batches are queued waits until they are fanned out, so that
 *   publishers find the events that they have published.
 *
 * While events come faster than a turn can fan out, each turn may end within an event. Those who
 * can go on only between two events would wait for as long as that lasts. So if anybody waits, at
 * most TURNS_WITHIN_MAX turns end so, and the next one ends with its event.
 *
 * Failures: without memory to note a view or to add a record, the view falls behind. Without memory
 * to queue a batch, everything is fanned out at once. */
#include "hub/fan_out.h"

#include "hub/encode.h"
#include "hub/live_chunk.h"
#include "hub/page_cache.h"
#include "hub/sub_state.h"

#include <stdlib.h>

enum {
    BATCHES_FIRST = 16,
    VIEWS_FIRST = 16,
    TURNS_WITHIN_MAX = 8, /* a turn that ends early costs others a part of it */
    /* Charges of the budget, in bytes: for a branch of the trie, a view, a subscriber that is
     * queued. */
    BRANCH_COST = 64,
    VIEW_COST = 64,
    SUB_COST = 64,
    TERM_COST = 32, /* for each term that the view excludes */
};

/* Charges a step of the fan-out. Returns whether there is budget for another. */
static bool spend(struct hub *hub, size_t bytes)
{
    return !hub->limits.slice_bytes || budget_spend(&hub->fan_out.budget, bytes);
}

static bool is_spent(const struct hub *hub)
{
    return hub->limits.slice_bytes && budget_is_spent(&hub->fan_out.budget);
}

/* ---- a view --------------------------------------------------------------------------------- */

/* Whether the view wants an event that matches one of its terms. */
static bool wants(const struct view *view, const struct event *event)
{
    return selection_has_type(view->selection, event->type) &&
           !selection_excepts(view->selection, event->channel);
}

static void put_event(struct view *view, const struct event *event)
{
    struct hub *hub = view->hub;
    size_t cost = VIEW_COST + (view->selection->except ? TERM_COST * (size_t)view->weight : 0);
    if (!view->exact && !wants(view, event)) {
        spend(hub, cost);
        return;
    }
    /* Without live subscribers there is no need to encode. */
    if (!view->live && list_empty(&view->live_subs))
        return;
    size_t len = view->live ? view->live->bytes.len : 0;
    if ((!view->live && !live_chunk_begin(view)) || !encode_shared(view, view->live, event)) {
        live_chunk_lose(view);
        return;
    }
    view->stamp++;
    if (event->state == EVENT_APPENDED)
        view->live->through = event->id;
    spend(hub, cost + view->live->bytes.len - len);
}

/* Queues the live subscribers of the view that lack a record. They are in the order of their
 * stamps, so the walk stops at the first that has everything. Returns whether there is budget for
 * more. */
static bool queue_subs(struct view *view)
{
    struct hub *hub = view->hub;
    struct list *node = view->live_subs.next;
    bool more = true;
    while (more && node != &view->live_subs) {
        struct sub *sub = container_of(node, struct sub, node);
        if (sub->stamp == view->stamp)
            break;
        if (sub->cursor < hub->applied)
            sub->cursor = hub->applied;
        sub->state = SUB_QUEUED;
        node = node->next;
        sub->ops->wake(sub);
        more = spend(hub, SUB_COST);
    }
    list_take_until(&view->queued_subs, &view->live_subs, node);
    return more;
}

/* Puts the event into the view and queues its subscribers. Returns whether that is done. */
static bool serve(struct view *view)
{
    struct hub *hub = view->hub;
    if (!hub->fan_out.put)
        put_event(view, hub->fan_out.event);
    hub->fan_out.put = true;
    if (!queue_subs(view))
        return false;
    if (view->live)
        live_chunk_bound(view);
    return true;
}

/* ---- an event ------------------------------------------------------------------------------- */

void fan_out_release(struct hub *hub)
{
    if (hub->ahead_least > hub->applied)
        return;
    hub->ahead_least = UINT64_MAX;
    list_each (&hub->ahead, node) {
        struct sub *sub = container_of(node, struct sub, node);
        if (sub->stamp > hub->applied) {
            if (sub->stamp < hub->ahead_least)
                hub->ahead_least = sub->stamp;
            continue;
        }
        sub_settle(hub, sub);
        sub->ops->wake(sub);
    }
}

static void end_event(struct hub *hub)
{
    struct fan_out *fan_out = &hub->fan_out;
    fan_out->under_way = false;
    if (fan_out->event->state == EVENT_APPENDED)
        hub->applied = fan_out->event->id;
    /* Release them now: some wait for the end of this event, and the next may be ephemeral. */
    fan_out_release(hub);
    if (fan_out->stops)
        budget_end(&fan_out->budget);
}

static void serve_views(struct hub *hub)
{
    struct fan_out *fan_out = &hub->fan_out;
    while (fan_out->at < fan_out->views_count) {
        struct view *view = fan_out->views[fan_out->at];
        if (view && !serve(view))
            return;
        fan_out->put = false;
        fan_out->at++;
        if (is_spent(hub) && fan_out->at < fan_out->views_count)
            return;
    }
    end_event(hub);
}

static bool room_for_view(struct fan_out *fan_out)
{
    if (fan_out->views_count < fan_out->views_cap)
        return true;
    uint32_t cap = fan_out->views_cap ? fan_out->views_cap * 2 : VIEWS_FIRST;
    struct view **views = mem_try_realloc(fan_out->views, cap * sizeof(struct view *));
    if (!views)
        return false;
    fan_out->views = views;
    fan_out->views_cap = cap;
    return true;
}

/* Notes, once for each view, that the current event matches a term of the view. A view without live
 * subscribers is skipped: no subscriber becomes live while the event is fanned out. Without memory
 * for the note the view falls behind. */
static void gather_view(void *context, struct view *view)
{
    struct hub *hub = context;
    struct fan_out *fan_out = &hub->fan_out;
    bool known = view->serial == hub->event_serial;
    view->serial = hub->event_serial;
    if (known || (!view->live && list_empty(&view->live_subs))) {
        spend(hub, VIEW_COST);
        return;
    }
    if (!room_for_view(fan_out)) {
        live_chunk_lose(view);
        return;
    }
    view->place = fan_out->views_count;
    fan_out->views[fan_out->views_count++] = view;
}

static void begin_event(struct hub *hub, const struct event *event, const struct topic *topic)
{
    struct fan_out *fan_out = &hub->fan_out;
    hub->event_serial++;
    hub->shared_count = 0;
    fan_out->event = event;
    fan_out->under_way = true;
    fan_out->put = fan_out->paused = false;
    fan_out->views_count = fan_out->at = 0;
    struct view *view;
    for (uint32_t i = 0; topic && (view = view_set_next(&topic->views, &i));)
        gather_view(hub, view);
    uint64_t looked_at = topics_match_patterns(&hub->topics, event->channel, gather_view, hub);
    if (looked_at || !fan_out->views_count)
        spend(hub, BRANCH_COST * looked_at);
    serve_views(hub);
}

/* Ends an event that no view can want: most channels have no subscribers. */
static void pass_event(struct hub *hub, const struct event *event)
{
    if (event->state == EVENT_APPENDED)
        hub->applied = event->id;
    spend(hub, 0);
    fan_out_release(hub);
}

static void fan_out_event(struct hub *hub, const struct event *event, const struct topic *topic)
{
    if ((topic && topic->views.count) || hub->topics.patterns)
        begin_event(hub, event, topic);
    else
        pass_event(hub, event);
}

static void next_event(struct hub *hub, const struct event *event)
{
    if (event->state == EVENT_APPENDED) {
        fan_out_event(hub, event, window_put(&hub->window, event));
    } else if (event->state == EVENT_EPHEMERAL) {
        fan_out_event(hub, event, topics_find_of(&hub->topics, event));
    } else if (event->state == EVENT_TRIM) {
        window_trim(&hub->window, event);
        cache_trim(hub, 0); /* deleted events must not reach subscribers that come later */
    }
}

/* ---- batches -------------------------------------------------------------------------------- */

static void end_batch(struct hub *hub, struct batch *batch)
{
    struct fan_out *fan_out = &hub->fan_out;
    window_close(&hub->window, batch);
    atomic_fetch_sub_explicit(&hub->port.backlog, batch_bytes(batch), memory_order_relaxed);
    batch_unref(batch);
    fan_out->open = false;
    fan_out->next = 0;
    if (++fan_out->first == fan_out->end)
        fan_out->first = fan_out->end = 0;
}

/* Does one step of the first batch. */
static void fan_out_step(struct hub *hub)
{
    struct fan_out *fan_out = &hub->fan_out;
    struct batch *batch = fan_out->batches[fan_out->first];
    if (!fan_out->open) {
        window_open(&hub->window, batch);
        fan_out->open = true;
    } else if (fan_out->under_way) {
        serve_views(hub);
    } else if (fan_out->next < batch->count) {
        next_event(hub, &batch->events[fan_out->next++]);
    } else {
        end_batch(hub, batch);
    }
}

void fan_out_go_on(struct hub *hub)
{
    struct fan_out *fan_out = &hub->fan_out;
    while (fan_out->first < fan_out->end && !is_spent(hub))
        fan_out_step(hub);
    if (fan_out->first < fan_out->end)
        hub->fan_outs_put_off++;
    fan_out->paused = true;
    hub->shared_count = 0; /* the shared bytes may lie in chunks that go away */
    if (!fan_out->under_way)
        fan_out_release(hub);
}

void fan_out_all(struct hub *hub)
{
    while (hub->fan_out.first < hub->fan_out.end)
        fan_out_step(hub);
    fan_out_release(hub);
}

static bool room_for_batch(struct fan_out *fan_out)
{
    if (fan_out->end < fan_out->cap)
        return true;
    if (fan_out->first) {
        size_t count = fan_out->end - fan_out->first;
        memmove(fan_out->batches, fan_out->batches + fan_out->first,
                count * sizeof(struct batch *));
        fan_out->first = 0;
        fan_out->end = count;
        return true;
    }
    struct batch **batches =
        mem_try_realloc(fan_out->batches, fan_out->cap * 2 * sizeof(struct batch *));
    if (!batches)
        return false;
    fan_out->batches = batches;
    fan_out->cap *= 2;
    return true;
}

static uint64_t newest_in(const struct batch *batch)
{
    for (uint32_t i = batch->count; i-- > 0;)
        if (batch->events[i].state == EVENT_APPENDED)
            return batch->events[i].id;
    return 0;
}

/* Queued batches count as the hub's backlog, so that publishers wait if it is too large. Without
 * memory to queue a batch, everything is fanned out at once. */
void fan_out_add(struct hub *hub, struct batch *batch)
{
    struct fan_out *fan_out = &hub->fan_out;
    uint64_t newest = newest_in(batch);
    if (!room_for_batch(fan_out))
        fan_out_all(hub);
    fan_out->batches[fan_out->end++] = batch_ref(batch);
    if (newest)
        fan_out->posted = newest;
    atomic_fetch_add_explicit(&hub->port.backlog, batch_bytes(batch), memory_order_relaxed);
    fan_out_go_on(hub);
}

/* The last flush came where the fan-out stands now. */
void fan_out_begin_turn(struct hub *hub)
{
    struct fan_out *fan_out = &hub->fan_out;
    if (!fan_out->under_way)
        fan_out->awaited = fan_out->stops = false;
    fan_out->turns_within = fan_out->awaited ? fan_out->turns_within + 1 : 0;
    fan_out->stops = fan_out->turns_within >= TURNS_WITHIN_MAX;
}

void fan_out_init(struct hub *hub)
{
    hub->fan_out.cap = BATCHES_FIRST;
    hub->fan_out.batches = mem_alloc(BATCHES_FIRST * sizeof(struct batch *));
    list_init(&hub->ahead);
    hub->ahead_least = UINT64_MAX;
}

void fan_out_deinit(struct hub *hub)
{
    free(hub->fan_out.batches);
    free(hub->fan_out.views);
}
