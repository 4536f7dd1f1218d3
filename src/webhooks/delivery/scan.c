#include "webhooks/delivery/scan.h"

#include "webhooks/delivery/attempt.h"
#include "subscribe/gap.h"
#include "webhooks/delivery/packed.h"
#include "webhooks/endpoint/saving.h"

enum {
    BUSY_MS = 1000,
    SLOW_MS = 200, /* the lane of a request under way for longer does not hold up other channels */
    GAPS_AT_ONCE = 4,
};

static void wake(struct sub *sub)
{
    endpoint_ready(container_of(sub, struct endpoint, scan.sub));
}

static const struct sub_ops sub_ops = {.wake = wake};

void scan_let_go(struct endpoint *endpoint)
{
    endpoint->row.cursor = endpoint_scanned(endpoint);
    endpoint->scan.chunk = chunk_unref(endpoint->scan.chunk);
    hub_unsubscribe(&endpoint->courier->hub, &endpoint->scan.sub);
    endpoint->scan.trimmed = 0; /* found again, since it was not told */
    list_each (&endpoint->lanes.all, node)
        lane_drop_queue(container_of(node, struct lane, node));
}

/* ---- routing --------------------------------------------------------------------------------- */

static uint32_t queue_most(const struct endpoint *endpoint)
{
    uint32_t batch = endpoint->row.options.batch;
    return batch * 2 > QUEUE_MAX ? batch * 2 : QUEUE_MAX;
}

static bool is_slow(const struct lane *lane)
{
    int64_t now_ns = courier_now_ns(lane->endpoint->courier);
    return !lane->attempt || now_ns - attempt_since_ns(lane) > SLOW_MS * INT64_C(1000000);
}

static struct lane *lane_for(struct endpoint *endpoint, const struct event *event)
{
    bool pages = endpoint->row.options.batch > 0;
    struct str channel = pages ? STR("") : event->channel;
    struct lane *lane = lane_find(endpoint, channel);
    if (lane)
        return lane;
    lane = lane_new(endpoint, pages ? LANE_ALL : LANE_CHANNEL, channel);
    lane->row.after = event->id - 1;
    lane->row.told = endpoint->row.told;
    return lane;
}

/* Takes an event into a lane. False: the scan waits before this event. */
static bool route_in_order(struct endpoint *endpoint, const struct event *event)
{
    struct lane *lane = lane_for(endpoint, event);
    if (!lane->behind && lane->queued >= queue_most(endpoint)) {
        if (lane->kind == LANE_ALL || !is_slow(lane)) {
            endpoint_look_again(endpoint, SLOW_MS);
            return false;
        }
        lane_drop_queue(lane);
    }
    lane->newest = event->id;
    if (!lane->behind && !lane_add(lane, event, endpoint->scan.chunk, NULL))
        lane->behind = true;
    lane_step_or_free(lane);
    return true;
}

/* The page that still takes events; NULL if there is none. */
static struct lane *gathering(const struct endpoint *endpoint)
{
    uint32_t batch = endpoint->row.options.batch;
    if (batch < 2 || list_empty(&endpoint->lanes.all))
        return NULL;
    struct lane *last = container_of(endpoint->lanes.all.prev, struct lane, node);
    bool gathers = last->kind == LANE_RANGE && !last->closed && !last->attempt && !last->behind &&
                   !last->row.attempts && last->queued < batch;
    return gathers ? last : NULL;
}

/* The lane for an event without order: the page that still takes events, or a new lane. */
static struct lane *range_for(struct endpoint *endpoint, const struct event *event)
{
    struct lane *lane = gathering(endpoint);
    if (lane)
        return lane;
    lane = lane_new(endpoint, LANE_RANGE, STR(""));
    lane->row.after = event->id - 1;
    return lane;
}

static bool route_apart(struct endpoint *endpoint, const struct event *event)
{
    struct lane *lane = range_for(endpoint, event);
    lane->row.upto = event->id;
    lane->count++;
    lane_changed(lane);
    if (!lane_add(lane, event, endpoint->scan.chunk, NULL))
        lane_drop_queue(lane);
    if (!lane->queued)
        lane->behind = true;
    lane_step_or_free(lane);
    return true;
}

/* Close the page, or it would take this event a second time. */
static void pass_by(struct endpoint *endpoint)
{
    struct lane *page = gathering(endpoint);
    if (page)
        page->closed = true;
}

static bool route_event(struct endpoint *endpoint, const struct event *event)
{
    struct carried *carried = &endpoint->scan.carried;
    if (carried_has(carried, event->id)) {
        pass_by(endpoint);
        return true;
    }
    if (carried->count && carried_is_passed(carried, event->id))
        carried_forget(carried);
    return (endpoint->row.options.ordered ? route_in_order : route_apart)(endpoint, event);
}

static bool route(struct endpoint *endpoint, const struct record *record)
{
    struct str bytes = chunk_record(endpoint->scan.chunk, endpoint->scan.at);
    struct event event;
    if (record->id <= endpoint->row.cursor || !packed_read(bytes, &event))
        return true; /* ephemeral ones have no id, and are not for webhooks */
    if (!route_event(endpoint, &event))
        return false;
    endpoint->row.cursor = record->id;
    endpoint_changed(endpoint);
    return true;
}

/* ---- taking ---------------------------------------------------------------------------------- */

static void tell_gap(struct endpoint *endpoint, const struct gap *gap)
{
    struct lane *lane = lane_new(endpoint, LANE_GAP, STR(""));
    lane->row.after = gap->after;
    lane->trimmed = gap->earliest;
    lane->reason = gap->reason;
    lane->gap_cursor = gap->cursor;
    endpoint->scan.gap = lane;
    lane_step_or_free(lane);
}

static void hold(struct endpoint *endpoint, const struct taken *taken)
{
    endpoint->scan.chunk = chunk_ref(endpoint->scan.sub.taken);
    endpoint->scan.at = taken->first;
    endpoint->scan.end = taken->end;
    hub_sent(&endpoint->courier->hub, &endpoint->scan.sub, taken->bytes.len, false);
}

/* Notes gaps, and takes the events behind them. */
static enum take take_behind_gaps(struct endpoint *endpoint, struct taken *taken)
{
    enum take take = TAKE_GAP;
    for (int i = 0; i < GAPS_AT_ONCE && take == TAKE_GAP; i++) {
        take = hub_take(&endpoint->courier->hub, &endpoint->scan.sub, taken);
        if (take == TAKE_GAP)
            endpoint->scan.trimmed = taken->trimmed;
    }
    return take;
}

/* Takes the events behind a gap before the gap is delivered, even if they must be read first.
 * Delivering takes a request, and retention may trim more meanwhile: a receiver slower than
 * retention would otherwise get nothing but gaps. Returns true if there are events to route. */
static bool take(struct endpoint *endpoint)
{
    struct endpoint_scan *scan = &endpoint->scan;
    struct taken taken;
    enum take take = take_behind_gaps(endpoint, &taken);
    if (take == TAKE_BYTES)
        hold(endpoint, &taken);
    if (take == TAKE_FAILED)
        endpoint_look_again(endpoint, BUSY_MS);
    if (scan->trimmed && take != TAKE_WAIT && take != TAKE_FAILED) {
        struct gap gap =
            gap_behind(endpoint->courier->config.log, endpoint->row.cursor, scan->trimmed);
        scan->trimmed = 0;
        tell_gap(endpoint, &gap);
    }
    return take == TAKE_BYTES;
}

/* The cursor is beyond the log, which lost its newest events; an older copy of the folder, for
 * example. */
static bool is_unknown(const struct endpoint *endpoint)
{
    return gap_is_beyond(endpoint->courier->config.log, endpoint->row.cursor);
}

static bool subscribe(struct endpoint *endpoint)
{
    struct hub *hub = &endpoint->courier->hub;
    if (endpoint->scan.sub.state != SUB_NONE)
        return true;
    if (is_unknown(endpoint)) {
        struct gap gap = gap_unknown(endpoint->courier->config.log, endpoint->made.selection,
                                     endpoint->row.cursor);
        tell_gap(endpoint, &gap);
        return false;
    }
    if (!hub_subscribe(hub, &endpoint->scan.sub, &sub_ops, endpoint->made.selection, 0,
                       endpoint->row.cursor, endpoint->row.told))
        return true;
    endpoint_look_again(endpoint, BUSY_MS);
    return false;
}

/* Whether no more events may wait in memory. An endpoint without any may always have one, so that
 * it makes progress whatever the others hold. */
bool scan_is_crowded(const struct endpoint *endpoint)
{
    const struct courier *courier = endpoint->courier;
    return endpoint->lanes.queued >= QUEUED_MAX || endpoint->lanes.queued_bytes >= QUEUED_BYTES ||
           (endpoint->lanes.queued && courier->queued_bytes >= courier->config.queued_max);
}

/* Frees the queues of lanes that are not being tried. */
static bool make_room(struct endpoint *endpoint)
{
    int64_t now_ns = courier_now_ns(endpoint->courier);
    endpoint_look_again(endpoint, SLOW_MS);
    if (now_ns < endpoint->scan.room_at_ns)
        return false;
    endpoint->scan.room_at_ns = now_ns + SLOW_MS / 4 * INT64_C(1000000);
    list_each (&endpoint->lanes.all, node) {
        struct lane *lane = container_of(node, struct lane, node);
        if (lane->kind == LANE_CHANNEL && lane->queued && is_slow(lane) && !list_linked(&lane->due))
            lane_drop_queue(lane);
    }
    return !scan_is_crowded(endpoint);
}

static bool may_scan(const struct endpoint *endpoint)
{
    const struct lane *all = endpoint->row.options.batch ? lane_find(endpoint, STR("")) : NULL;
    if (endpoint->scan.gap || endpoint->scan.leaving || endpoint_circuit_open(endpoint) ||
        endpoint->lanes.count >= LANES_MAX || (all && (all->row.failures || all->behind)))
        return false;
    return endpoint->lanes.due_count <= 2 * endpoint->row.options.concurrency;
}

static bool find_room(struct endpoint *endpoint)
{
    endpoint->scan.crowded = scan_is_crowded(endpoint) && !make_room(endpoint);
    return !endpoint->scan.crowded;
}

void scan(struct endpoint *endpoint)
{
    while (may_scan(endpoint) && find_room(endpoint)) {
        if (!endpoint->scan.chunk) {
            if (!subscribe(endpoint) || !take(endpoint))
                return;
            continue;
        }
        if (endpoint->scan.at == endpoint->scan.end) {
            endpoint->scan.chunk = chunk_unref(endpoint->scan.chunk);
            continue;
        }
        if (!route(endpoint, &endpoint->scan.chunk->records[endpoint->scan.at]))
            return;
        endpoint->scan.at++;
        if (!budget_spend(&endpoint->courier->budget, BUDGET_STEP)) {
            endpoint_ready(endpoint); /* continues in the next turn, after the other endpoints */
            return;
        }
    }
}
