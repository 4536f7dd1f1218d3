/* The consequences of a response, or of a request without one. */
#include "webhooks/endpoint/endpoint.h"

#include "base/hash.h"
#include "base/rfc3339.h"
#include "base/say.h"
#include "webhooks/delivery/packed.h"

#include <inttypes.h>

enum { PROBE_MS = 30000, PROBE_MOST_MS = 1800000 };

void endpoint_note(struct endpoint *endpoint, const struct call *call)
{
    endpoint->last_status = call->status;
    endpoint->last_error = call->error;
    endpoint->last_us = clock_wall_us(endpoint->courier->config.clock);
    buf_clear(&endpoint->last_response);
    buf_add_str(&endpoint->last_response, buf_str(&call->response));
}

static int64_t took_us(const struct call *call)
{
    int64_t ns = call->ended_ns - call->started_ns;
    return ns > 0 ? ns / 1000 : 0;
}

static void count_attempt(struct courier *courier, const struct call *call, uint32_t events)
{
    bool accepted = call_is_accepted(call);
    _Atomic uint64_t *counter = accepted ? &courier->stats.deliveries : &courier->stats.failures;
    atomic_fetch_add_explicit(counter, accepted && events ? events : 1, memory_order_relaxed);
    hist_add(&courier->stats.attempts_ns, (uint64_t)took_us(call) * 1000, 1);
}

/* ---- the record ------------------------------------------------------------------------------ */

static struct str type_of(const struct outcome *outcome)
{
    if (outcome->gap)
        return STR("$gap");
    if (list_empty(outcome->events))
        return STR("");
    return container_of(outcome->events->next, struct owed, node)->event.type;
}

static struct str channel_of(const struct lane *lane, const struct outcome *outcome)
{
    if (list_empty(outcome->events))
        return str_from(lane->row.channel);
    return container_of(outcome->events->next, struct owed, node)->event.channel;
}

static void pack_events(struct buf *out, const struct outcome *outcome)
{
    list_each (outcome->events, node)
        packed_add(out, &container_of(node, struct owed, node)->event);
}

/* A letter stays the delivery that it was, though it may be sent again in several requests. */
static bool has_own_extent(const struct lane *lane, const struct outcome *outcome)
{
    return !outcome->gap && lane->kind != LANE_LETTER;
}

/* Counts the attempt, and gives the delivery its number at the first. */
static void record(struct lane *lane, const struct outcome *outcome, enum record_state state)
{
    struct courier *courier = lane->endpoint->courier;
    const struct call *call = outcome->call;
    struct str response = buf_str(&call->response);
    struct buf letter = {0};
    if (!lane->row.attempts++)
        lane->row.n = courier->next_n++;
    if (call_is_accepted(call) && response.len > RECORD_OK_RESPONSE_MAX)
        response.len = RECORD_OK_RESPONSE_MAX;
    if (state == RECORD_DEAD && lane->kind != LANE_LETTER)
        pack_events(&letter, outcome);
    keep_attempt(courier, &(struct record_attempt){
                              .n = lane->row.n,
                              .endpoint = lane->row.endpoint,
                              .first = outcome->first,
                              .last = outcome->last,
                              .count = has_own_extent(lane, outcome) ? outcome->count : 0,
                              .number = (uint32_t)lane->row.attempts,
                              .state = state,
                              .channel = channel_of(lane, outcome),
                              .type = type_of(outcome),
                              .time_us = clock_wall_us(courier->config.clock) - took_us(call),
                              .took_us = took_us(call),
                              .status = call->status,
                              .error = call->error,
                              .response = response,
                              .letter = buf_str(&letter),
                          });
    buf_free(&letter);
}

/* ---- accepted -------------------------------------------------------------------------------- */

static void hurry_all(struct endpoint *endpoint)
{
    list_each (&endpoint->lanes, node)
        lane_hurry(container_of(node, struct lane, node));
}

static void endpoint_accepted(struct endpoint *endpoint)
{
    struct endpoint_row *row = &endpoint->row;
    bool was_open = endpoint_circuit_open(endpoint), was_failing = row->state == ENDPOINT_FAILING;
    endpoint->unkept++;
    endpoint->accepted_us = courier_now_us(endpoint->courier);
    endpoint->struck = endpoint->probes = 0;
    timer_stop(&endpoint->probe);
    if (endpoint->window < row->options.concurrency)
        endpoint->window++;
    endpoint_changed(endpoint); /* accepted deliveries count until they are stored */
    if (was_failing) {
        struct buf more = {0};
        row->state = ENDPOINT_ACTIVE;
        buf_addf(&more, ",\"failures\":%" PRIu64, row->failures);
        say(SAY_INFO, "webhook_recovered", "id=%s failures=%" PRIu64, row->id, row->failures);
        endpoint_notice(endpoint, "recovered", buf_str(&more));
        buf_free(&more);
    }
    row->failures = 0;
    row->since_us = 0;
    row->warned = 0;
    if (was_open || was_failing)
        hurry_all(endpoint);
}

/* The front of the lane is settled: what comes next begins afresh. */
static void lane_settled(struct lane *lane, uint64_t upto)
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

void lane_gap_told(struct lane *lane)
{
    struct endpoint *endpoint = lane->endpoint;
    uint64_t trimmed = lane->trimmed;
    lane->trimmed = 0;
    if (lane->kind == LANE_RANGE) {
        lane_free(lane);
        return;
    }
    if (lane->kind != LANE_GAP) {
        lane_settled(lane, lane->gap_cursor);
        lane->row.told = trimmed;
        lane_look(lane);
        return;
    }
    endpoint->row.told = trimmed;
    if (lane->gap_cursor != endpoint->row.cursor) {
        endpoint->row.cursor = lane->gap_cursor;
        hub_unsubscribe(&endpoint->courier->hub, &endpoint->sub);
        endpoint->chunk = chunk_unref(endpoint->chunk);
    }
    endpoint_changed(endpoint);
    lane_free(lane);
}

/* A range that was read from the log may have been carried in part: a read is bounded in events,
 * bytes and rows. */
static bool has_rest(const struct lane *lane, const struct outcome *outcome)
{
    return lane->kind == LANE_RANGE && outcome->last < lane->row.upto;
}

/* The lane goes on behind the events that the flight carried, or is over. */
static void go_on(struct lane *lane, const struct outcome *outcome)
{
    if (lane->kind == LANE_RANGE && !has_rest(lane, outcome)) {
        lane_free(lane);
        return;
    }
    if (lane->kind == LANE_RANGE) {
        lane->behind = true;
        lane->count -= lane->count > outcome->count ? outcome->count : lane->count - 1;
    }
    lane_settled(lane, outcome->last);
    lane_look(lane);
}

static void accepted(struct lane *lane, const struct outcome *outcome)
{
    struct endpoint *endpoint = lane->endpoint;
    record(lane, outcome, RECORD_DELIVERED);
    if (outcome->gap) {
        lane_gap_told(lane);
    } else {
        go_on(lane, outcome);
    }
    endpoint_accepted(endpoint); /* looks at all lanes: this one may be gone */
}

/* ---- failed ---------------------------------------------------------------------------------- */

static void disable(struct endpoint *endpoint, const char *reason)
{
    struct buf more = {0};
    endpoint_let_go(endpoint);
    endpoint->row.state = ENDPOINT_DISABLED;
    endpoint->row.next_us = 0;
    endpoint_changed(endpoint);
    say(SAY_WARN, "webhook_disabled", "id=%s reason=%s", endpoint->row.id, reason);
    buf_addf(&more, ",\"reason\":\"%s\",\"failures\":%" PRIu64, reason, endpoint->row.failures);
    endpoint_notice(endpoint, "disabled", buf_str(&more));
    buf_free(&more);
}

static void warn(struct endpoint *endpoint, const struct call *call)
{
    struct buf more = {0};
    int64_t limit_us = endpoint->courier->config.disable_after_us;
    buf_addf(&more, ",\"failures\":%" PRIu64 ",\"since\":\"", endpoint->row.failures);
    rfc3339_add(&more, endpoint->row.since_us);
    buf_add_lit(&more, "\",\"disabled_at\":\"");
    rfc3339_add(&more, endpoint->row.since_us + limit_us);
    buf_add_char(&more, '"');
    if (call->status)
        buf_addf(&more, ",\"status\":%d", call->status);
    if (call->error) {
        buf_add_lit(&more, ",\"error\":");
        buf_add_json(&more, str_from(call->error));
    }
    say(SAY_ERROR, "webhook_failing", "id=%s failures=%" PRIu64, endpoint->row.id,
        endpoint->row.failures);
    endpoint_notice(endpoint, "failing", buf_str(&more));
    buf_free(&more);
}

/* How many warnings are due: one when it is failing, one at half and one at nine tenths of the time
 * after which it is disabled. */
static uint32_t warnings_due(const struct endpoint *endpoint, int64_t now_us)
{
    int64_t limit_us = endpoint->courier->config.disable_after_us,
            failed_us = now_us - endpoint->row.since_us;
    uint64_t after = endpoint->schedule.count + 1;
    if (after > FAILING_AFTER)
        after = FAILING_AFTER;
    if (endpoint->row.failures < after && !endpoint_circuit_open(endpoint))
        return 0;
    return 1U + (failed_us >= limit_us / 2) + (failed_us >= limit_us / 10 * 9);
}

static void set_probe(struct endpoint *endpoint)
{
    int64_t ms = endpoint->courier->config.probe_ms ? endpoint->courier->config.probe_ms : PROBE_MS;
    for (unsigned i = 0; i < endpoint->probes && ms < PROBE_MOST_MS; i++)
        ms *= 2;
    timer_set(&endpoint->courier->loop, &endpoint->probe, ms < PROBE_MOST_MS ? ms : PROBE_MOST_MS);
}

static void slow_down(struct endpoint *endpoint, const struct call *call, int64_t asked_ms,
                      int64_t now_us)
{
    int status = call->status;
    if (status && !call->error && status != 429 && status != 502 && status != 503 && status != 504)
        return;
    endpoint->window = endpoint->window > 1 ? endpoint->window / 2 : 1;
    if ((status == 429 || status == 503) && asked_ms)
        endpoint->row.next_us = now_us + asked_ms * 1000;
}

/* Notes a failure on the endpoint. Returns false if the endpoint was disabled. */
static bool endpoint_failed(struct endpoint *endpoint, const struct call *call, int64_t asked_ms)
{
    struct endpoint_row *row = &endpoint->row;
    int64_t now_us = courier_now_us(endpoint->courier);
    if (!row->failures++)
        row->since_us = now_us;
    endpoint_changed(endpoint);
    if (call->status == 410) {
        disable(endpoint, "gone");
        return false;
    }
    /* A subscription of WebSub is tried until its lease ends (section 7). */
    if (now_us - row->since_us >= endpoint->courier->config.disable_after_us &&
        !row_is_websub(row)) {
        disable(endpoint, "failing");
        return false;
    }
    slow_down(endpoint, call, asked_ms, now_us);
    uint32_t due = warnings_due(endpoint, now_us);
    if (due && row->state == ENDPOINT_ACTIVE)
        row->state = ENDPOINT_FAILING;
    if (due > row->warned)
        warn(endpoint, call);
    if (due > row->warned)
        row->warned = due;
    return true;
}

static void strike(struct lane *lane)
{
    struct endpoint *endpoint = lane->endpoint;
    bool was_open = endpoint_circuit_open(endpoint);
    if (lane->row.failures == 1)
        endpoint->struck++;
    if (lane->probing)
        endpoint->probes++;
    if (endpoint_circuit_open(endpoint) && (!was_open || lane->probing))
        set_probe(endpoint);
    if (!endpoint_circuit_open(endpoint) || was_open)
        return;
    /* The lanes wait from now on, and a probe needs their memory. */
    list_each (&endpoint->lanes, node)
        lane_drop_queue(container_of(node, struct lane, node));
}

static void tell_exhausted(struct lane *lane, const struct outcome *outcome, bool dead)
{
    struct buf more = {0};
    if (lane->exhausted)
        return;
    lane->exhausted = true;
    buf_addf(&more, ",\"delivery\":%" PRIu64 ",\"event\":\"", lane->row.n);
    buf_add_id(&more, outcome->first);
    buf_add_lit(&more, "\",\"channel\":");
    buf_add_json(&more, channel_of(lane, outcome));
    buf_addf(&more, ",\"attempts\":%" PRIu64 ",\"given_up\":%s", lane->row.attempts,
             dead ? "true" : "false");
    endpoint_notice(lane->endpoint, "exhausted", buf_str(&more));
    buf_free(&more);
}

/* Whether to give the delivery up: only if the receiver accepts others. While everything fails,
 * nothing is skipped. */
static bool is_given_up(const struct lane *lane, const struct outcome *outcome)
{
    const struct endpoint *endpoint = lane->endpoint;
    return !outcome->gap && schedule_is_over(&endpoint->schedule, lane->row.failures) &&
           endpoint->accepted_us > lane->row.since_us && endpoint->dead < DEAD_MAX;
}

static void give_up(struct lane *lane, const struct outcome *outcome)
{
    say(SAY_WARN, "webhook_gave_up", "id=%s event=%016" PRIu64 " attempts=%" PRIu64,
        lane->endpoint->row.id, outcome->first, lane->row.attempts);
    lane->endpoint->dead++;
    tell_exhausted(lane, outcome, true);
    go_on(lane, outcome);
}

/* Puts the delivery off; its events are read from the log again when it is due. */
static void put_off(struct lane *lane, const struct outcome *outcome, int64_t asked_ms)
{
    struct endpoint *endpoint = lane->endpoint;
    struct lane_row *row = &lane->row;
    int64_t now_us = courier_now_us(endpoint->courier);
    uint32_t random;
    hash_random(&random, sizeof(random));
    int64_t delay_ms = schedule_delay_ms(&endpoint->schedule, row->failures, random, asked_ms);
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
    if (schedule_is_over(&endpoint->schedule, row->failures))
        tell_exhausted(lane, outcome, false);
    lane_look(lane);
}

static void failed(struct lane *lane, const struct outcome *outcome)
{
    struct endpoint *endpoint = lane->endpoint;
    int64_t now_us = courier_now_us(endpoint->courier);
    /* A date that the receiver names is one of its own clock. */
    int64_t asked_ms = retry_after_ms(str_from(outcome->call->retry_after),
                                      clock_wall_us(endpoint->courier->config.clock));
    if (!lane->row.failures)
        lane->row.since_us = now_us;
    if (!lane->probing)
        lane->row.failures++;
    strike(lane);
    bool runs = endpoint_failed(endpoint, outcome->call, asked_ms) && endpoint_runs(endpoint);
    bool dead = runs && is_given_up(lane, outcome);
    record(lane, outcome, dead ? RECORD_DEAD : RECORD_FAILING);
    if (dead)
        give_up(lane, outcome);
    else
        put_off(lane, outcome, asked_ms);
    if (!endpoint_runs(endpoint))
        courier_keep(endpoint->courier, true); /* kept before anybody is told of it */
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
    if (sparing_may(&courier->loops, clock_now_ns(courier->config.clock), &left_out))
        say(SAY_WARN, "webhook_loop",
            "id=%s event=%016" PRIu64 " events=%u hops=%u left_out=%" PRIu64
            " detail=\"what this webhook sends leads back to a channel that it reads\"",
            endpoint->row.id, outcome->first, outcome->count, courier->config.hops_max, left_out);
}

void lane_looped(struct lane *lane, const struct outcome *outcome)
{
    struct endpoint *endpoint = lane->endpoint;
    atomic_fetch_add_explicit(&endpoint->courier->stats.looped, outcome->count,
                              memory_order_relaxed);
    say_loop(endpoint, outcome);
    record(lane, outcome, RECORD_SKIPPED);
    endpoint->unkept++;
    endpoint_changed(endpoint);
    endpoint_ready(endpoint);
    go_on(lane, outcome);
}

/* ---- leaving --------------------------------------------------------------------------------- */

/* A lane of options that are no more ends with its request. What was not accepted comes anew, in
 * the lanes of today. */
static void left(struct lane *lane, const struct outcome *outcome)
{
    struct endpoint *endpoint = lane->endpoint;
    const struct call *call = outcome->call;
    bool good = call_is_accepted(call);
    int64_t asked_ms =
        retry_after_ms(str_from(call->retry_after), clock_wall_us(endpoint->courier->config.clock));
    record(lane, outcome, good ? RECORD_DELIVERED : RECORD_FAILING);
    if (good && !outcome->gap && !lane->again)
        endpoint_add_carried(endpoint, outcome->events);
    lane_free(lane);
    if (good)
        endpoint_accepted(endpoint);
    else if (!endpoint_failed(endpoint, call, asked_ms))
        courier_keep(endpoint->courier, true); /* kept before anybody is told of it */
}

/* ---- letters --------------------------------------------------------------------------------- */

static bool letter_has_rest(const struct lane *lane, const struct outcome *outcome)
{
    return lane->row.upto ? outcome->last < lane->row.upto : lane->queued > 0;
}

static void letter_outcome(struct lane *lane, const struct outcome *outcome)
{
    struct endpoint *endpoint = lane->endpoint;
    bool good = call_is_accepted(outcome->call), rest = good && letter_has_rest(lane, outcome);
    record(lane, outcome, good && !rest ? RECORD_DELIVERED : lane->letter_state);
    if (good && !rest && lane->letter_state == RECORD_DEAD && endpoint->dead)
        endpoint->dead--;
    if (rest) {
        lane->row.after = outcome->last;
        lane->behind = lane->row.upto != 0;
        lane_look(lane);
    } else {
        lane_free(lane);
    }
    if (good)
        endpoint_accepted(endpoint);
    if (!good && outcome->call->status == 410)
        disable(endpoint, "gone");
}

void lane_outcome(struct lane *lane, const struct outcome *outcome)
{
    struct endpoint *endpoint = lane->endpoint;
    count_attempt(endpoint->courier, outcome->call, outcome->count);
    endpoint_note(endpoint, outcome->call);
    if (lane->kind == LANE_LETTER)
        letter_outcome(lane, outcome);
    else if (lane->leaves)
        left(lane, outcome);
    else if (call_is_accepted(outcome->call))
        accepted(lane, outcome);
    else
        failed(lane, outcome);
    endpoint_judge(endpoint, outcome->call);
}
