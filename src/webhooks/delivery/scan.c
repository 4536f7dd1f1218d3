/* From the hub into lanes: the one reading of the log that an endpoint does. */
#include "webhooks/endpoint/endpoint.h"

#include "webhooks/delivery/packed.h"

enum { BUSY_MS = 1000, GO_COST = BUDGET_STRIDE / 4, GAPS_AT_ONCE = 4 };

/* ---- readiness ------------------------------------------------------------------------------- */

void endpoint_ready(struct endpoint *endpoint)
{
    if (!list_linked(&endpoint->node)) /* not among the others (yet) */
        return;
    list_remove(&endpoint->ready);
    list_add_last(&endpoint->courier->ready, &endpoint->ready);
}

static void wake(struct sub *sub)
{
    endpoint_ready(container_of(sub, struct endpoint, sub));
}

static const struct sub_ops sub_ops = {.wake = wake};

static void look_again(struct endpoint *endpoint, int64_t ms)
{
    timer_set(&endpoint->courier->loop, &endpoint->wake,
              ms < SCHEDULE_DAY_MS ? ms : SCHEDULE_DAY_MS);
}

void endpoint_let_go(struct endpoint *endpoint)
{
    endpoint->row.cursor = endpoint_scanned(endpoint);
    endpoint->chunk = chunk_unref(endpoint->chunk);
    hub_unsubscribe(&endpoint->courier->hub, &endpoint->sub);
    list_each (&endpoint->lanes, node)
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
    int64_t now_ns = clock_now_ns(lane->endpoint->courier->config.clock);
    return !lane->flight || now_ns - flight_since_ns(lane->flight) > SLOW_MS * INT64_C(1000000);
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

/* Whether the event was taken; if not, the scan waits in front of it. */
static bool route_in_order(struct endpoint *endpoint, const struct event *event)
{
    struct lane *lane = lane_for(endpoint, event);
    if (!lane->behind && lane->queued >= queue_most(endpoint)) {
        if (lane->kind == LANE_ALL || !is_slow(lane)) {
            look_again(endpoint, SLOW_MS);
            return false;
        }
        lane_drop_queue(lane);
    }
    lane->newest = event->id;
    if (!lane->behind && !lane_add(lane, event, endpoint->chunk, NULL))
        lane->behind = true;
    lane_look(lane);
    return true;
}

/* The page that still gathers; NULL without one. */
static struct lane *gathering(const struct endpoint *endpoint)
{
    uint32_t batch = endpoint->row.options.batch;
    if (batch < 2 || list_empty(&endpoint->lanes))
        return NULL;
    struct lane *last = container_of(endpoint->lanes.prev, struct lane, node);
    bool gathers = last->kind == LANE_RANGE && !last->closed && !last->flight && !last->behind &&
                   !last->row.attempts && last->queued < batch;
    return gathers ? last : NULL;
}

/* A page that still gathers, or a lane for one event. */
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
    if (!lane_add(lane, event, endpoint->chunk, NULL))
        lane_drop_queue(lane);
    if (!lane->queued)
        lane->behind = true;
    lane_look(lane);
    return true;
}

/* A page that went on behind this event would carry it a second time. */
static bool pass_by(struct endpoint *endpoint)
{
    struct lane *page = gathering(endpoint);
    if (page)
        page->closed = true;
    return true;
}

static bool route_event(struct endpoint *endpoint, const struct event *event)
{
    if (endpoint->carried && endpoint_has_carried(endpoint, event->id))
        return pass_by(endpoint);
    return (endpoint->row.options.ordered ? route_in_order : route_apart)(endpoint, event);
}

static bool route(struct endpoint *endpoint, const struct record *record)
{
    struct str bytes = chunk_record(endpoint->chunk, endpoint->at);
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

static void tell_gap(struct endpoint *endpoint, uint64_t trimmed, uint64_t cursor,
                     const char *reason)
{
    struct lane *lane = lane_new(endpoint, LANE_GAP, STR(""));
    lane->row.after = endpoint->row.cursor;
    lane->trimmed = trimmed;
    lane->reason = reason;
    lane->gap_cursor = cursor;
    endpoint->gap = lane;
    lane_look(lane);
}

/* A cursor beyond the log: it lost its newest events (an older copy of the folder, say). */
static bool is_unknown(struct endpoint *endpoint)
{
    struct log *log = endpoint->courier->config.log;
    if (endpoint->row.cursor <= log_newest(log))
        return false;
    tell_gap(endpoint, log_trimmed(log, endpoint->selection), 0, "unknown");
    return true;
}

static void hold(struct endpoint *endpoint, const struct taken *taken)
{
    endpoint->chunk = chunk_ref(endpoint->sub.taken);
    endpoint->at = taken->first;
    endpoint->end = taken->end;
    hub_sent(&endpoint->courier->hub, &endpoint->sub, taken->bytes.len, false);
}

/* Telling a gap takes a request, and retention may have trimmed more when it is answered. The
 * events behind the gap are taken before it is told, so that they come next, whatever was trimmed
 * meanwhile: otherwise a receiver that is slower than retention would hear of gaps alone. */
static enum take take_behind_gaps(struct endpoint *endpoint, struct taken *taken,
                                  uint64_t *ret_trimmed)
{
    enum take take = TAKE_GAP;
    *ret_trimmed = 0;
    for (int i = 0; i < GAPS_AT_ONCE && take == TAKE_GAP; i++) {
        take = hub_take(&endpoint->courier->hub, &endpoint->sub, taken);
        if (take == TAKE_GAP)
            *ret_trimmed = taken->trimmed;
    }
    return take;
}

/* True when there are events to be routed. */
static bool take(struct endpoint *endpoint)
{
    struct taken taken;
    uint64_t trimmed;
    enum take take = take_behind_gaps(endpoint, &taken, &trimmed);
    if (take == TAKE_BYTES)
        hold(endpoint, &taken);
    if (trimmed)
        tell_gap(endpoint, trimmed, endpoint->row.cursor,
                 log_gap_reason(endpoint->courier->config.log, trimmed));
    else if (take == TAKE_FAILED)
        look_again(endpoint, BUSY_MS);
    return take == TAKE_BYTES;
}

static bool subscribe(struct endpoint *endpoint)
{
    struct hub *hub = &endpoint->courier->hub;
    if (endpoint->sub.state != SUB_NONE)
        return true;
    if (is_unknown(endpoint))
        return false;
    if (!hub_subscribe(hub, &endpoint->sub, &sub_ops, endpoint->selection, 0, endpoint->row.cursor,
                       endpoint->row.told))
        return true;
    look_again(endpoint, BUSY_MS);
    return false;
}

/* Whether no more events may wait in memory. An endpoint without any may have one, whatever others
 * hold, so that it goes on. */
static bool is_crowded(const struct endpoint *endpoint)
{
    const struct courier *courier = endpoint->courier;
    return endpoint->queued >= QUEUED_MAX || endpoint->queued_bytes >= QUEUED_BYTES ||
           (endpoint->queued && courier->queued_bytes >= courier->config.queued_max);
}

/* Queues of lanes that stand still are of no use in memory. */
static bool make_room(struct endpoint *endpoint)
{
    int64_t now_ns = clock_now_ns(endpoint->courier->config.clock);
    look_again(endpoint, SLOW_MS);
    if (now_ns < endpoint->room_at_ns)
        return false;
    endpoint->room_at_ns = now_ns + SLOW_MS / 4 * INT64_C(1000000);
    list_each (&endpoint->lanes, node) {
        struct lane *lane = container_of(node, struct lane, node);
        if (lane->kind == LANE_CHANNEL && lane->queued && is_slow(lane) && !list_linked(&lane->due))
            lane_drop_queue(lane);
    }
    return !is_crowded(endpoint);
}

static bool may_scan(struct endpoint *endpoint)
{
    struct lane *all = endpoint->row.options.batch ? lane_find(endpoint, STR("")) : NULL;
    if (endpoint->gap || endpoint->leaving || endpoint_circuit_open(endpoint) ||
        endpoint->lanes_count >= LANES_MAX || (all && (all->row.failures || all->behind)))
        return false;
    if (endpoint->due_count > 2 * endpoint->row.options.concurrency)
        return false;
    endpoint->crowded = is_crowded(endpoint) && !make_room(endpoint);
    return !endpoint->crowded;
}

static void scan(struct endpoint *endpoint)
{
    while (may_scan(endpoint)) {
        if (!endpoint->chunk) {
            if (!subscribe(endpoint) || !take(endpoint))
                return;
            continue;
        }
        if (endpoint->at == endpoint->end) {
            endpoint->chunk = chunk_unref(endpoint->chunk);
            continue;
        }
        if (!route(endpoint, &endpoint->chunk->records[endpoint->at]))
            return;
        endpoint->at++;
        if (!budget_spend(&endpoint->courier->budget, BUDGET_STEP)) {
            endpoint_ready(endpoint); /* goes on in the next turn, behind the others */
            return;
        }
    }
}

/* ---- starting -------------------------------------------------------------------------------- */

/* The oldest of those that failed goes out of turn, to see whether the receiver is well again. */
static void probe(struct endpoint *endpoint)
{
    struct lane *oldest = NULL;
    endpoint->probe_due = false;
    list_each (&endpoint->lanes, node) {
        struct lane *lane = container_of(node, struct lane, node);
        if (lane->row.failures && !lane->flight && (!oldest || lane->row.after < oldest->row.after))
            oldest = lane;
    }
    if (!oldest)
        return;
    oldest->probing = true;
    lane_look(oldest);
}

static bool may_start(struct endpoint *endpoint, const struct lane *lane)
{
    bool alone = lane->kind != LANE_LETTER && endpoint_circuit_open(endpoint);
    return lane_is_tried(lane) && !(alone && endpoint->inflight) && flight_allowed(endpoint);
}

static bool may_read(const struct endpoint *endpoint)
{
    return endpoint->reads < READS_MAX && !is_crowded(endpoint);
}

/* Lanes that are due go in turn. Once neither a read nor a request may begin, the rest of them is
 * not looked at: there may be as many as LANES_MAX. */
static void start(struct endpoint *endpoint)
{
    bool refused = false;
    list_each (&endpoint->due, node) {
        struct lane *lane = container_of(node, struct lane, due);
        bool reads = !lane->trimmed && !lane->queued;
        if (lane_is_looped(lane)) {
            lane_pass_loop(lane);
            continue;
        }
        if (refused && !may_read(endpoint))
            break;
        if (reads ? !lane_is_tried(lane) || !may_read(endpoint)
                  : refused || !may_start(endpoint, lane)) {
            refused = refused || (!reads && !endpoint_circuit_open(endpoint));
            if (!reads && endpoint->inflight >= endpoint_most(endpoint))
                break;
            continue;
        }
        lane_not_due(lane);
        if (reads)
            lane_read(lane);
        else
            flight_start(lane);
    }
}

static void advance(struct endpoint *endpoint)
{
    struct courier *courier = endpoint->courier;
    if (courier->stopping || !endpoint_runs(endpoint))
        return;
    int64_t held_ms = (endpoint->row.next_us - courier_now_us(courier)) / 1000;
    if (endpoint->row.next_us && held_ms > 0) {
        look_again(endpoint, held_ms);
        return;
    }
    if (endpoint->probe_due)
        probe(endpoint);
    start(endpoint);
    endpoint->crowded = false;
    scan(endpoint);
    start(endpoint);
    if (endpoint->crowded && !is_crowded(endpoint))
        endpoint_ready(endpoint); /* requests are under way, and there may be more */
    letters_look(endpoint);
}

static void go(struct endpoint *endpoint)
{
    advance(endpoint);
    pool_decline(&endpoint->courier->pool, &endpoint->waiter);
}

void endpoints_go(struct courier *courier)
{
    struct list *node;
    while (!budget_is_spent(&courier->budget) && (node = list_take_first(&courier->ready))) {
        go(container_of(node, struct endpoint, ready));
        (void)budget_spend(&courier->budget, GO_COST);
    }
}
