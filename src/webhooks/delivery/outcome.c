#include "webhooks/delivery/outcome.h"

#include "base/hash.h"
#include "base/say.h"
#include "webhooks/delivery/health.h"
#include "webhooks/delivery/logged.h"
#include "webhooks/endpoint/notice.h"
#include "webhooks/endpoint/saving.h"
#include "webhooks/endpoint/standing.h"

#include <inttypes.h>

/* ---- accepted -------------------------------------------------------------------------------- */

/* The lane's first delivery is settled: reset its failures and its number for the next one. */
static void settle(struct lane *lane, uint64_t upto)
{
    struct lane_row *row = &lane->row;
    if (row->after < upto)
        row->after = upto;
    if (lane->kind != LANE_RANGE)
        row->upto = 0;
    row->failures = row->attempts = row->n = 0;
    row->since_us = row->next_us = 0;
    lane->exhausted = lane->probing = false;
    lane_changed(lane);
}

static void gap_told_or_free(struct lane *lane)
{
    struct endpoint *endpoint = lane->endpoint;
    uint64_t trimmed = lane->trimmed;
    lane->trimmed = 0;
    if (lane->kind == LANE_RANGE) {
        lane_free(lane);
        return;
    }
    if (lane->kind != LANE_GAP) {
        settle(lane, lane->gap_cursor);
        lane->row.told = trimmed;
        lane_step_or_free(lane);
        return;
    }
    endpoint->row.told = trimmed;
    if (lane->gap_cursor != endpoint->row.cursor) {
        endpoint->row.cursor = lane->gap_cursor;
        hub_unsubscribe(&endpoint->courier->hub, &endpoint->scan.sub);
        endpoint->scan.chunk = chunk_unref(endpoint->scan.chunk);
    }
    endpoint_changed(endpoint);
    lane_free(lane);
}

/* A range may be only partly delivered: each read is bounded in events, bytes and rows. */
static bool has_rest(const struct lane *lane, const struct outcome *outcome)
{
    return lane->kind == LANE_RANGE && outcome->last < lane->row.upto;
}

/* Moves the lane behind the events that the attempt carried, or ends it. */
static void go_on_or_free(struct lane *lane, const struct outcome *outcome)
{
    if (lane->kind == LANE_RANGE && !has_rest(lane, outcome)) {
        lane_free(lane);
        return;
    }
    if (lane->kind == LANE_RANGE) {
        lane->behind = true;
        lane->count -= lane->count > outcome->count ? outcome->count : lane->count - 1;
    }
    settle(lane, outcome->last);
    lane_step_or_free(lane);
}

static void accepted_or_free(struct lane *lane, const struct outcome *outcome)
{
    struct endpoint *endpoint = lane->endpoint;
    logged_add(lane, outcome, DELIVERY_DELIVERED);
    if (outcome->gap) {
        gap_told_or_free(lane);
    } else {
        go_on_or_free(lane, outcome);
    }
    health_accepted(endpoint); /* walks over all lanes: this one may be freed by it */
}

/* ---- failed ---------------------------------------------------------------------------------- */

static void tell_exhausted(struct lane *lane, const struct outcome *outcome, bool dead)
{
    struct buf more = {0};
    if (lane->exhausted)
        return;
    lane->exhausted = true;
    struct json_writer writer = json_members_writer(&more);
    json_member_number(&writer, "delivery", lane->row.n);
    json_member_id(&writer, "event", outcome->first);
    json_member_string(&writer, "channel", logged_channel(lane, outcome));
    json_member_number(&writer, "attempts", lane->row.attempts);
    json_member_bool(&writer, "given_up", dead);
    endpoint_notice(lane->endpoint, "exhausted", buf_str(&more));
    buf_free(&more);
}

/* Whether to give the delivery up: only if the receiver accepts others. While everything fails,
 * nothing is given up. */
static bool is_given_up(const struct lane *lane, const struct outcome *outcome)
{
    const struct endpoint *endpoint = lane->endpoint;
    return !outcome->gap && schedule_is_over(&endpoint->made.schedule, lane->row.failures) &&
           endpoint->circuit.accepted_us > lane->row.since_us && endpoint->resends.dead < DEAD_MAX;
}

static void give_up_or_free(struct lane *lane, const struct outcome *outcome)
{
    say(SAY_WARN, "webhook_gave_up", "id=%s event=%016" PRIu64 " attempts=%" PRIu64,
        lane->endpoint->row.id, outcome->first, lane->row.attempts);
    lane->endpoint->resends.dead++;
    tell_exhausted(lane, outcome, true);
    go_on_or_free(lane, outcome);
}

/* Schedules a retry. The events are dropped, and read from the log again when it is due. */
static void put_off_or_free(struct lane *lane, const struct outcome *outcome, int64_t asked_ms)
{
    struct endpoint *endpoint = lane->endpoint;
    struct lane_row *row = &lane->row;
    int64_t now_us = courier_now_us(endpoint->courier);
    uint32_t random;
    hash_random(&random, sizeof(random));
    int64_t delay_ms = schedule_delay_ms(&endpoint->made.schedule, row->failures, random, asked_ms);
    lane_drop_queue(lane);
    if (!outcome->gap) {
        lane->behind = true;
        if (lane->newest < outcome->last)
            lane->newest = outcome->last;
        if (lane->kind == LANE_ALL)
            row->upto = outcome->last;
    }
    if (!lane->probing || row->next_us <= now_us)
        row->next_us = now_us + delay_ms * 1000;
    lane->probing = false;
    lane_changed(lane);
    say(SAY_WARN, "webhook_failed",
        "id=%s event=%016" PRIu64 " status=%d failures=%" PRIu64 " retry_ms=%" PRId64
        " detail=\"%s\"",
        endpoint->row.id, outcome->first, outcome->call->status, row->failures,
        (row->next_us - now_us) / 1000, outcome->call->error ? outcome->call->error : "");
    if (schedule_is_over(&endpoint->made.schedule, row->failures))
        tell_exhausted(lane, outcome, false);
    lane_step_or_free(lane);
}

static void failed_or_free(struct lane *lane, const struct outcome *outcome)
{
    struct endpoint *endpoint = lane->endpoint;
    int64_t now_us = courier_now_us(endpoint->courier);
    /* A date in Retry-After is by the receiver's clock. */
    int64_t asked_ms =
        retry_after_ms(str_from(outcome->call->retry_after), courier_wall_us(endpoint->courier));
    if (!lane->row.failures)
        lane->row.since_us = now_us;
    if (!lane->probing)
        lane->row.failures++;
    health_strike(lane);
    bool runs = health_failed(endpoint, outcome->call, asked_ms) && endpoint_runs(endpoint);
    bool dead = runs && is_given_up(lane, outcome);
    logged_add(lane, outcome, dead ? DELIVERY_DEAD : DELIVERY_FAILING);
    if (dead)
        give_up_or_free(lane, outcome);
    else
        put_off_or_free(lane, outcome, asked_ms);
    if (!endpoint_runs(endpoint))
        save_progress(endpoint->courier, true); /* save first, before anybody hears of it */
}

/* ---- loops -----------------------------------------------------------------------------------
 *
 * A delivery that leads back to a channel that its own webhook reads, by a publish, an inbound
 * source, another webhook or another server, would go on for ever. Each delivery tells how many
 * there were before it (Event-Hops), and what is published by it keeps that number. Beyond the
 * greatest it is noted, and not sent: the receiver has no part in that, so nothing counts against
 * it. */

static void say_loop(const struct endpoint *endpoint, const struct outcome *outcome)
{
    struct courier *courier = endpoint->courier;
    uint64_t left_out;
    if (sparing_may(&courier->loops, courier_now_ns(courier), &left_out))
        say(SAY_WARN, "webhook_loop",
            "id=%s event=%016" PRIu64 " events=%u hops=%u left_out=%" PRIu64
            " detail=\"what this webhook sends leads back to a channel that it reads\"",
            endpoint->row.id, outcome->first, outcome->count, courier->config.hops_max, left_out);
}

static void looped_or_free(struct lane *lane, const struct outcome *outcome)
{
    struct endpoint *endpoint = lane->endpoint;
    atomic_fetch_add_explicit(&endpoint->courier->stats.looped, outcome->count,
                              memory_order_relaxed);
    say_loop(endpoint, outcome);
    logged_add(lane, outcome, DELIVERY_SKIPPED);
    endpoint->flow.unsaved++;
    endpoint_changed(endpoint);
    endpoint_ready(endpoint);
    go_on_or_free(lane, outcome);
}

void outcome_skip_loop_or_free(struct lane *lane)
{
    struct list events = LIST_INIT(events);
    int64_t now_ns = courier_now_ns(lane->endpoint->courier);
    struct call call = {
        .error = lane->endpoint->courier->loop_error, .started_ns = now_ns, .ended_ns = now_ns};
    struct outcome outcome = {.call = &call, .events = &events};
    /* The number of events in a resent delivery is known from the log: its range of ids may include
     * events of other channels. */
    for (uint32_t most = lane_most(lane); outcome.count < most && lane_front_is_looped(lane);) {
        const struct pending *pending = lane_take_first(lane, &events);
        outcome.last = pending->event.id;
        if (!outcome.count++)
            outcome.first = pending->event.id;
    }
    looped_or_free(lane, &outcome);
    pending_free_all(&events);
}

/* ---- leaving --------------------------------------------------------------------------------- */

/* Remembers the events that a leaving lane has delivered. */
static void carry(struct endpoint *endpoint, const struct list *events)
{
    list_each (events, node)
        carried_add(&endpoint->scan.carried, container_of(node, struct pending, node)->event.id);
}

/* Ends a leaving lane with its request. Events that were not accepted come again, in lanes of the
 * new options. */
static void left_and_free(struct lane *lane, const struct outcome *outcome)
{
    struct endpoint *endpoint = lane->endpoint;
    const struct call *call = outcome->call;
    bool good = call_is_accepted(call);
    int64_t asked_ms =
        retry_after_ms(str_from(call->retry_after), courier_wall_us(endpoint->courier));
    logged_add(lane, outcome, good ? DELIVERY_DELIVERED : DELIVERY_SKIPPED);
    if (good && !outcome->gap && !lane->again)
        carry(endpoint, outcome->events);
    lane_free(lane);
    if (good)
        health_accepted(endpoint);
    else if (!health_failed(endpoint, call, asked_ms))
        save_progress(endpoint->courier, true); /* save first, before anybody hears of it */
}

/* ---- resends --------------------------------------------------------------------------------- */

static bool resend_has_rest(const struct lane *lane, const struct outcome *outcome)
{
    return lane->row.upto ? outcome->last < lane->row.upto : lane->queued > 0;
}

static void resent_or_free(struct lane *lane, const struct outcome *outcome)
{
    struct endpoint *endpoint = lane->endpoint;
    bool good = call_is_accepted(outcome->call), rest = good && resend_has_rest(lane, outcome);
    logged_add(lane, outcome, good && !rest ? DELIVERY_DELIVERED : lane->resend_state);
    if (good && !rest && lane->resend_state == DELIVERY_DEAD && endpoint->resends.dead)
        endpoint->resends.dead--;
    if (rest) {
        lane->row.after = outcome->last;
        lane->behind = lane->row.upto != 0;
        lane_step_or_free(lane);
    } else {
        lane_free(lane);
    }
    if (good)
        health_accepted(endpoint);
    if (!good && outcome->call->status == 410)
        health_disable(endpoint, "gone");
}

void outcome_step_or_free(struct lane *lane, const struct outcome *outcome)
{
    struct endpoint *endpoint = lane->endpoint;
    logged_count(endpoint->courier, outcome->call, outcome->count);
    endpoint_note(endpoint, outcome->call);
    if (lane->kind == LANE_RESEND)
        resent_or_free(lane, outcome);
    else if (lane->state == LANE_LEAVING)
        left_and_free(lane, outcome);
    else if (call_is_accepted(outcome->call))
        accepted_or_free(lane, outcome);
    else
        failed_or_free(lane, outcome);
    endpoint_judge(endpoint, outcome->call);
}

void outcome_skip_gap_or_free(struct lane *lane)
{
    gap_told_or_free(lane);
}
