#include "webhooks/delivery/health.h"

#include "base/rfc3339.h"
#include "base/say.h"
#include "webhooks/delivery/scan.h"
#include "webhooks/endpoint/notice.h"
#include "webhooks/endpoint/saving.h"

#include <inttypes.h>

enum { PROBE_MS = 30000, PROBE_MOST_MS = 1800000 };

/* ---- accepted -------------------------------------------------------------------------------- */

static void hurry_all(struct endpoint *endpoint)
{
    list_each (&endpoint->lanes.all, node)
        lane_hurry(container_of(node, struct lane, node));
}

void health_accepted(struct endpoint *endpoint)
{
    struct endpoint_row *row = &endpoint->row;
    bool was_open = endpoint_circuit_open(endpoint), was_failing = row->state == ENDPOINT_FAILING;
    endpoint->flow.unsaved++;
    endpoint->circuit.accepted_us = courier_now_us(endpoint->courier);
    endpoint->circuit.struck = endpoint->circuit.probes = 0;
    timer_stop(&endpoint->circuit.probe);
    if (endpoint->flow.window < row->options.concurrency)
        endpoint->flow.window++;
    endpoint_changed(endpoint); /* accepted deliveries count until they are saved */
    if (was_failing) {
        struct buf more = {0};
        row->state = ENDPOINT_ACTIVE;
        struct json_writer writer = json_members_writer(&more);
        json_member_number(&writer, "failures", row->failures);
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

/* ---- failed ---------------------------------------------------------------------------------- */

void health_disable(struct endpoint *endpoint, const char *reason)
{
    struct buf more = {0};
    scan_let_go(endpoint);
    endpoint->row.state = ENDPOINT_DISABLED;
    endpoint->row.next_us = 0;
    endpoint_changed(endpoint);
    endpoint->courier->save_urgent = true; /* after a crash it would be sent events again */
    say(SAY_WARN, "webhook_disabled", "id=%s reason=%s", endpoint->row.id, reason);
    struct json_writer writer = json_members_writer(&more);
    json_member_string(&writer, "reason", str_from(reason));
    json_member_number(&writer, "failures", endpoint->row.failures);
    endpoint_notice(endpoint, "disabled", buf_str(&more));
    buf_free(&more);
}

static void warn(struct endpoint *endpoint, const struct call *call)
{
    struct buf more = {0};
    int64_t limit_us = endpoint->courier->config.disable_after_us;
    struct json_writer writer = json_members_writer(&more);
    json_member_number(&writer, "failures", endpoint->row.failures);
    json_member_time(&writer, "since", endpoint->row.since_us);
    json_member_time(&writer, "disabled_at", endpoint->row.since_us + limit_us);
    if (call->status)
        json_member_signed(&writer, "status", call->status);
    if (call->error)
        json_member_string(&writer, "error", str_from(call->error));
    say(SAY_ERROR, "webhook_failing", "id=%s failures=%" PRIu64, endpoint->row.id,
        endpoint->row.failures);
    endpoint_notice(endpoint, "failing", buf_str(&more));
    buf_free(&more);
}

/* The number of warnings that are due: the first when the endpoint counts as failing, the second at
 * half and the third at nine tenths of the time after which it is disabled. */
static uint32_t warnings_due(const struct endpoint *endpoint, int64_t now_us)
{
    int64_t limit_us = endpoint->courier->config.disable_after_us,
            failed_us = now_us - endpoint->row.since_us;
    uint64_t after = endpoint->made.schedule.count + 1;
    if (after > FAILING_AFTER)
        after = FAILING_AFTER;
    if (endpoint->row.failures < after && !endpoint_circuit_open(endpoint))
        return 0;
    return 1U + (failed_us >= limit_us / 2) + (failed_us >= limit_us / 10 * 9);
}

static void slow_down(struct endpoint *endpoint, const struct call *call, int64_t asked_ms,
                      int64_t now_us)
{
    int status = call->status;
    if (status && !call->error && status != 429 && status != 502 && status != 503 && status != 504)
        return;
    endpoint->flow.window = endpoint->flow.window > 1 ? endpoint->flow.window / 2 : 1;
    if ((status == 429 || status == 503) && asked_ms)
        endpoint->row.next_us = now_us + asked_ms * 1000;
}

bool health_failed(struct endpoint *endpoint, const struct call *call, int64_t asked_ms)
{
    struct endpoint_row *row = &endpoint->row;
    int64_t now_us = courier_now_us(endpoint->courier);
    if (!row->failures++)
        row->since_us = now_us;
    endpoint_changed(endpoint);
    if (call->status == 410) {
        health_disable(endpoint, "gone");
        return false;
    }
    /* A WebSub subscription is tried until its lease ends (section 7). */
    if (now_us - row->since_us >= endpoint->courier->config.disable_after_us &&
        !row_is_websub(row)) {
        health_disable(endpoint, "failing");
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

/* ---- the circuit ----------------------------------------------------------------------------- */

static void set_probe(struct endpoint *endpoint)
{
    int64_t ms = endpoint->courier->config.probe_ms ? endpoint->courier->config.probe_ms : PROBE_MS;
    for (unsigned i = 0; i < endpoint->circuit.probes && ms < PROBE_MOST_MS; i++)
        ms *= 2;
    timer_set(&endpoint->courier->loop, &endpoint->circuit.probe,
              ms < PROBE_MOST_MS ? ms : PROBE_MOST_MS);
}

void health_strike(struct lane *lane)
{
    struct endpoint *endpoint = lane->endpoint;
    bool was_open = endpoint_circuit_open(endpoint);
    if (lane->row.failures == 1)
        endpoint->circuit.struck++;
    if (lane->probing)
        endpoint->circuit.probes++;
    if (endpoint_circuit_open(endpoint) && (!was_open || lane->probing))
        set_probe(endpoint);
    if (!endpoint_circuit_open(endpoint) || was_open)
        return;
    /* Free the queues: the lanes now wait, and a probe needs their memory. */
    list_each (&endpoint->lanes.all, node)
        lane_drop_queue(container_of(node, struct lane, node));
}

static bool has_failed(const struct endpoint *endpoint)
{
    list_each (&endpoint->lanes.all, node) {
        const struct lane *lane = container_of(node, struct lane, node);
        if (lane->row.failures && lane->state != LANE_LEAVING)
            return true;
    }
    return false;
}

static bool is_probing(const struct endpoint *endpoint)
{
    list_each (&endpoint->lanes.all, node)
        if (container_of(node, struct lane, node)->probing)
            return true;
    return false;
}

static struct lane *oldest_to_probe(const struct endpoint *endpoint)
{
    struct lane *oldest = NULL;
    list_each (&endpoint->lanes.all, node) {
        struct lane *lane = container_of(node, struct lane, node);
        if (lane->row.failures && !lane->attempt &&
            (!oldest || lane->row.after < oldest->row.after))
            oldest = lane;
    }
    return oldest;
}

/* Closes the circuit if no failed lane is left to probe with: a change may have been undone, or
 * retention has trimmed their events. The circuit would otherwise stay open for ever. */
void health_probe(struct endpoint *endpoint)
{
    endpoint->circuit.probe_due = false;
    if (!endpoint_circuit_open(endpoint))
        return;
    if (!has_failed(endpoint)) {
        endpoint->circuit.struck = endpoint->circuit.probes = 0;
        return;
    }
    set_probe(endpoint); /* try another later, in case this one gets no answer */
    struct lane *oldest = is_probing(endpoint) ? NULL : oldest_to_probe(endpoint);
    if (!oldest)
        return;
    oldest->probing = true;
    lane_step_or_free(oldest);
}
