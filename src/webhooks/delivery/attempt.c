#include "webhooks/delivery/attempt.h"

#include "webhooks/endpoint/inside.h"
#include "webhooks/endpoint/saving.h"
#include "webhooks/endpoint/standing.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    UNSAVED_LEAST = 32
}; /* for small windows: deliveries that are accepted but not saved, or under way */

struct attempt {
    struct call call;
    struct pool_seat seat;
    struct lane *lane;
    struct list events; /* of struct pending */
    uint32_t count;
    uint64_t first;
    uint64_t last;
    uint8_t hops; /* the most that any of them has */
    bool gap;
    struct buf body;
    size_t counted; /* of it, in courier->body_bytes */
    void (*ended)(struct lane *lane, const struct outcome *outcome);
};

static void count_body(struct attempt *attempt, struct courier *courier, size_t bytes)
{
    courier->body_bytes += bytes - attempt->counted;
    attempt->counted = bytes;
}

/* ---- ending ---------------------------------------------------------------------------------- */

/* The attempt no longer belongs to its lane, and its seat is free. */
static struct lane *leave(struct attempt *attempt)
{
    struct lane *lane = attempt->lane;
    struct courier *courier = lane->endpoint->courier;
    count_body(attempt, courier, 0);
    lane->attempt = NULL;
    lane->endpoint->flow.inflight--;
    pool_rise(&courier->pool, &attempt->seat);
    if (lane->state == LANE_SENDING)
        lane_move(lane, LANE_IDLE);
    return lane;
}

static void attempt_free(struct attempt *attempt)
{
    call_free(&attempt->call);
    pending_free_all(&attempt->events);
    buf_free(&attempt->body);
    free(attempt);
}

void attempt_stop(struct lane *lane)
{
    struct attempt *attempt = lane->attempt;
    if (!attempt)
        return;
    (void)leave(attempt);
    attempt_free(attempt);
}

int64_t attempt_since_ns(const struct lane *lane)
{
    return lane->attempt->call.started_ns;
}

/* Another attempt took the seat: try this one's events again first. */
static void give_way(struct pool_seat *seat)
{
    struct attempt *attempt = container_of(seat, struct attempt, seat);
    struct lane *lane = leave(attempt);
    struct endpoint *endpoint = lane->endpoint;
    if (lane->state == LANE_LEAVING) {
        attempt_free(attempt);
        lane_free(lane); /* drop it: the scan will find the event again */
        endpoint_ready(endpoint);
        endpoint_gave_way(endpoint);
        return;
    }
    lane_put_back(lane, &attempt->events);
    attempt_free(attempt);
    endpoint_gave_way(endpoint);
    lane_drop_queue_if_not_tried(lane);
    lane_step_or_free(lane);
}

static void call_done(struct call *call)
{
    struct attempt *attempt = container_of(call, struct attempt, call);
    struct lane *lane = leave(attempt);
    struct outcome outcome = {.call = call,
                              .events = &attempt->events,
                              .first = attempt->first,
                              .last = attempt->last,
                              .count = attempt->count,
                              .gap = attempt->gap};
    endpoint_ready(lane->endpoint);
    attempt->ended(lane, &outcome);
    attempt_free(attempt);
}

/* ---- starting -------------------------------------------------------------------------------- */

bool attempts_wait_for_saving(const struct endpoint *endpoint)
{
    unsigned most = endpoint->row.options.concurrency, open = endpoint->flow.inflight;
    if (!endpoint->courier->save_fails)
        open += endpoint->flow.unsaved + endpoint->flow.saving;
    return open >= (most > UNSAVED_LEAST ? most : UNSAVED_LEAST);
}

bool attempt_take_seat(struct endpoint *endpoint)
{
    if (endpoint->flow.inflight >= endpoint_most(endpoint))
        return false;
    if (attempts_wait_for_saving(endpoint)) {
        endpoint->courier->save_urgent = true;
        return false;
    }
    return pool_ask(&endpoint->courier->pool, &endpoint->flow.waiter, endpoint->flow.standing);
}

/* Ends a page before an event that must not be sent. */
static void load(struct attempt *attempt, struct lane *lane)
{
    uint32_t most = lane_most(lane);
    while (lane->queued && attempt->count < most && !lane_front_is_looped(lane)) {
        const struct event *event = pending_first(&lane->queue);
        if (lane->kind == LANE_ALL && lane->row.upto && event->id > lane->row.upto)
            break; /* a failed page is sent again with the same events */
        if (attempt->hops < event->hops)
            attempt->hops = event->hops;
        attempt->last = event->id;
        if (!attempt->count++)
            attempt->first = event->id;
        (void)lane_take_first(lane, &attempt->events);
    }
}

static void load_gap(struct attempt *attempt, const struct lane *lane, char id[WEBHOOK_ID_MAX])
{
    uint64_t after = lane->row.after;
    attempt->gap = true;
    attempt->first = after;
    attempt->last = lane->trimmed;
    snprintf(id, WEBHOOK_ID_MAX, "gap_%016" PRIu64 "_%016" PRIu64, after, lane->trimmed);
    struct json_writer writer = json_writer(&attempt->body);
    json_object_begin(&writer);
    json_member_string(&writer, "type", STR("$gap"));
    json_member_id(&writer, "after", after);
    json_member_id(&writer, "earliest", lane->trimmed);
    json_member_string(&writer, "reason", str_from(lane->reason));
    if (*lane->row.channel)
        json_member_string(&writer, "channel", str_from(lane->row.channel));
    json_object_end(&writer);
}

static bool post(struct attempt *attempt)
{
    struct lane *lane = attempt->lane;
    struct endpoint *endpoint = lane->endpoint;
    struct body_terms terms = endpoint_terms(endpoint);
    char id[WEBHOOK_ID_MAX] = "";
    if (lane_has_gap(lane))
        load_gap(attempt, lane, id);
    else
        load(attempt, lane);
    if (!attempt->gap) {
        body_add(&attempt->body, &terms, &attempt->events, id);
        endpoint->flow.hops = attempt->hops;
    }
    struct str body = buf_str(&attempt->body);
    count_body(attempt, endpoint->courier, body.len);
    struct curl_slist *headers =
        buf_failed(&attempt->body)
            ? NULL
            : body_headers(&terms, str_from(id), body, pending_first(&attempt->events),
                           endpoint->flow.hops);
    attempt->call.done = call_done;
    attempt->call.timeout_ms = endpoint->row.options.timeout_ms;
    return headers &&
           !call_post(inside_client(endpoint), &attempt->call, endpoint->row.url, headers, body);
}

bool attempt_start(struct lane *lane,
                   void (*ended)(struct lane *lane, const struct outcome *outcome))
{
    struct endpoint *endpoint = lane->endpoint;
    struct attempt *attempt = mem_alloc(sizeof(*attempt));
    *attempt = (struct attempt){.lane = lane, .seat = {.give_way = give_way}, .ended = ended};
    list_init(&attempt->events);
    endpoint->flow.inflight++;
    pool_sit(&endpoint->courier->pool, &attempt->seat, &endpoint->flow.waiter,
             endpoint->flow.standing, endpoint_overdue_ns(endpoint));
    lane_move(lane, LANE_SENDING);
    lane->attempt = attempt;
    if (post(attempt))
        return true;
    bool carried = attempt->count > 0;
    attempt_stop(lane);
    lane_drop_queue(lane);
    lane->behind = lane->behind || (carried && lane->kind != LANE_RESEND);
    return false;
}
