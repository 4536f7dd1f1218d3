/* Flights: one request each, for what a lane has next. */
#include "webhooks/endpoint/endpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUSY_MS = 1000 };

struct flight {
    struct call call;
    struct pool_seat seat;
    struct lane *lane;
    struct list events; /* of struct owed */
    uint32_t count;
    uint64_t first;
    uint64_t last;
    uint8_t hops; /* the most that one of them has */
    bool gap;
    struct buf body;
    size_t counted; /* of it, in courier->body_bytes */
};

static void count_body(struct flight *flight, struct courier *courier, size_t bytes)
{
    courier->body_bytes += bytes - flight->counted;
    flight->counted = bytes;
}

static void free_events(struct flight *flight)
{
    list_each (&flight->events, node)
        owed_free(container_of(node, struct owed, node));
}

void flight_free(struct flight *flight)
{
    if (!flight)
        return;
    struct endpoint *endpoint = flight->lane->endpoint;
    endpoint->inflight--;
    pool_rise(&endpoint->courier->pool, &flight->seat);
    call_free(&flight->call);
    free_events(flight);
    count_body(flight, endpoint->courier, 0);
    buf_free(&flight->body);
    free(flight);
}

uint64_t flight_last(const struct flight *flight)
{
    return flight->last;
}

int64_t flight_since_ns(const struct flight *flight)
{
    return flight->call.started_ns;
}

/* Whether what would come again after a crash is as much as may be. */
static bool is_unkept(const struct endpoint *endpoint)
{
    struct courier *courier = endpoint->courier;
    unsigned most = endpoint->row.options.concurrency, open = endpoint->inflight;
    /* Accepted deliveries that are not stored yet would be repeated after a crash, like requests
     * under way. So both are bounded together. */
    if (!courier->keep_fails)
        open += endpoint->unkept + endpoint->keeping;
    if (open < (most > UNKEPT_LEAST ? most : UNKEPT_LEAST))
        return false;
    courier->keep_urgent = true;
    return true;
}

bool flight_allowed(struct endpoint *endpoint)
{
    if (endpoint->inflight >= endpoint_most(endpoint) || is_unkept(endpoint))
        return false;
    return pool_ask(&endpoint->courier->pool, &endpoint->waiter, endpoint->standing);
}

/* The request is broken off for another that waits: what it carried comes first again. */
static void give_way(struct pool_seat *seat)
{
    struct flight *flight = container_of(seat, struct flight, seat);
    struct lane *lane = flight->lane;
    struct endpoint *endpoint = lane->endpoint;
    if (lane->leaves) {
        lane_free(lane); /* the scan comes to it again */
        endpoint_ready(endpoint);
        endpoint_gave_way(endpoint);
        return;
    }
    list_each (&flight->events, node)
        lane_queued(lane, container_of(node, struct owed, node));
    list_take_all(&flight->events, &lane->queue);
    list_take_all(&lane->queue, &flight->events);
    lane->flight = NULL;
    flight_free(flight);
    endpoint_gave_way(endpoint);
    lane_wait(lane);
    lane_look(lane);
}

static void flight_done(struct call *call)
{
    struct flight *flight = container_of(call, struct flight, call);
    struct lane *lane = flight->lane;
    struct list events = LIST_INIT(events);
    struct outcome outcome = {.call = call,
                              .events = &events,
                              .first = flight->first,
                              .last = flight->last,
                              .count = flight->count,
                              .gap = flight->gap};
    list_take_all(&events, &flight->events);
    count_body(flight, lane->endpoint->courier, 0);
    lane->flight = NULL;
    lane->endpoint->inflight--;
    pool_rise(&lane->endpoint->courier->pool, &flight->seat);
    endpoint_ready(lane->endpoint);
    lane_outcome(lane, &outcome);
    list_each (&events, node)
        owed_free(container_of(node, struct owed, node));
    call_free(&flight->call);
    buf_free(&flight->body);
    free(flight);
}

/* ---- loading --------------------------------------------------------------------------------- */

static uint32_t most_of(const struct lane *lane)
{
    uint32_t batch = lane->endpoint->row.options.batch;
    if (lane->kind == LANE_RANGE || lane->kind == LANE_LETTER)
        return batch ? UINT32_MAX : 1; /* the pages may have been switched off meanwhile */
    return lane->kind == LANE_ALL && batch ? batch : 1;
}

static bool is_looped(const struct lane *lane)
{
    const struct owed *owed = container_of(lane->queue.next, struct owed, node);
    return lane->kind != LANE_LETTER &&
           owed->event.hops >= lane->endpoint->courier->config.hops_max;
}

bool lane_is_looped(const struct lane *lane)
{
    return !lane->trimmed && lane->queued && is_looped(lane);
}

/* A page ends in front of an event that is not to be sent. */
static void load(struct flight *flight, struct lane *lane)
{
    uint32_t most = most_of(lane);
    while (lane->queued && flight->count < most && !is_looped(lane)) {
        struct owed *owed = container_of(lane->queue.next, struct owed, node);
        if (lane->kind == LANE_ALL && lane->row.upto && owed->event.id > lane->row.upto)
            break; /* a page that failed comes again as it was */
        if (flight->hops < owed->event.hops)
            flight->hops = owed->event.hops;
        list_remove(&owed->node);
        list_add_last(&flight->events, &owed->node);
        lane_unqueued(lane, owed);
        flight->last = owed->event.id;
        if (!flight->count++)
            flight->first = owed->event.id;
    }
}

static void load_gap(struct flight *flight, const struct lane *lane, char id[WEBHOOK_ID_MAX])
{
    struct buf *body = &flight->body;
    uint64_t after = lane->row.after;
    flight->gap = true;
    flight->first = after;
    flight->last = lane->trimmed;
    snprintf(id, WEBHOOK_ID_MAX, "gap_%016" PRIu64 "_%016" PRIu64, after, lane->trimmed);
    buf_addf(body,
             "{\"type\":\"$gap\",\"after\":\"%016" PRIu64 "\",\"earliest\":\"%016" PRIu64
             "\",\"reason\":\"%s\"",
             after, lane->trimmed, lane->reason);
    if (*lane->row.channel) {
        buf_add_lit(body, ",\"channel\":");
        buf_add_json(body, str_from(lane->row.channel));
    }
    buf_add_char(body, '}');
}

static const struct event *first_event(const struct flight *flight)
{
    if (list_empty(&flight->events))
        return NULL;
    return &container_of(flight->events.next, struct owed, node)->event;
}

static bool post(struct flight *flight)
{
    struct lane *lane = flight->lane;
    struct endpoint *endpoint = lane->endpoint;
    char id[WEBHOOK_ID_MAX] = "";
    if (lane->trimmed)
        load_gap(flight, lane, id);
    else
        load(flight, lane);
    if (!flight->gap) {
        body_add(&flight->body, endpoint, &flight->events, id);
        endpoint->hops = flight->hops;
    }
    struct str body = buf_str(&flight->body);
    count_body(flight, endpoint->courier, body.len);
    struct curl_slist *headers =
        buf_failed(&flight->body)
            ? NULL
            : body_headers(endpoint, str_from(id), body, first_event(flight), endpoint->hops);
    flight->call.done = flight_done;
    flight->call.timeout_ms = endpoint->row.options.timeout_ms;
    return headers &&
           !call_post(&endpoint->courier->client, &flight->call, endpoint->row.url, headers, body);
}

void flight_start(struct lane *lane)
{
    struct endpoint *endpoint = lane->endpoint;
    if (lane->trimmed && row_is_websub(&endpoint->row)) {
        lane_gap_told(lane); /* a topic is what it is now: no gaps are told */
        endpoint_ready(endpoint);
        return;
    }
    struct flight *flight = mem_alloc(sizeof(*flight));
    *flight = (struct flight){.lane = lane, .seat = {.give_way = give_way}};
    list_init(&flight->events);
    endpoint->inflight++;
    pool_sit(&endpoint->courier->pool, &flight->seat, &endpoint->waiter, endpoint->standing,
             endpoint_overdue_ns(endpoint));
    if (post(flight)) {
        lane->flight = flight;
        return;
    }
    /* No memory: not the receiver's fault. */
    bool carried = flight->count > 0;
    flight_free(flight);
    if (lane->kind == LANE_LETTER) {
        lane_free(lane); /* stays in the record as it was */
        endpoint_ready(endpoint);
        return;
    }
    lane_drop_queue(lane);
    lane->behind = lane->behind || carried;
    timer_set(&endpoint->courier->loop, &lane->retry, BUSY_MS);
}

/* ---- loops ----------------------------------------------------------------------------------- */

void lane_pass_loop(struct lane *lane)
{
    struct list events = LIST_INIT(events);
    int64_t now_ns = clock_now_ns(lane->endpoint->courier->config.clock);
    struct call call = {
        .error = lane->endpoint->courier->loop_error, .started_ns = now_ns, .ended_ns = now_ns};
    struct outcome outcome = {.call = &call, .events = &events};
    if (is_unkept(lane->endpoint))
        return;
    lane_not_due(lane);
    /* A delivery on record has as many events as a request would carry: it is a range of ids, and
     * in the range of a channel's events there are events of others. */
    for (uint32_t most = most_of(lane); outcome.count < most && lane_is_looped(lane);) {
        struct owed *owed = container_of(lane->queue.next, struct owed, node);
        list_remove(&owed->node);
        list_add_last(&events, &owed->node);
        lane_unqueued(lane, owed);
        outcome.last = owed->event.id;
        if (!outcome.count++)
            outcome.first = owed->event.id;
    }
    lane_looped(lane, &outcome);
    list_each (&events, node)
        owed_free(container_of(node, struct owed, node));
}
