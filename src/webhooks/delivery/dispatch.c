#include "webhooks/delivery/dispatch.h"

#include "webhooks/delivery/health.h"
#include "webhooks/delivery/outcome.h"
#include "webhooks/delivery/reading.h"
#include "webhooks/delivery/resend.h"
#include "webhooks/delivery/revoked.h"
#include "webhooks/delivery/scan.h"
#include "webhooks/endpoint/standing.h"

enum {
    READS_MAX = 4, /* lanes of an endpoint that read from the log */
    GO_COST = BUDGET_STRIDE / 4,
};

/* Whether the lane may send now. If only a seat is missing, asks for one. */
static bool take_seat(struct endpoint *endpoint, const struct lane *lane)
{
    bool alone = lane->kind != LANE_RESEND && endpoint_circuit_open(endpoint);
    return lane_is_tried(lane) && !(alone && endpoint->flow.inflight) &&
           attempt_take_seat(endpoint);
}

static bool may_read(const struct endpoint *endpoint)
{
    return endpoint->lanes.reading < READS_MAX && !scan_is_crowded(endpoint);
}

static void pass_loop(struct lane *lane)
{
    if (attempts_wait_for_saving(lane->endpoint)) {
        lane->endpoint->courier->save_urgent = true;
        return;
    }
    lane_move(lane, LANE_IDLE);
    outcome_skip_loop_or_free(lane);
}

/* Whether nothing is left of a resend. Its lane goes on, or is freed. */
static bool is_resend_of_nothing(struct lane *lane)
{
    if (lane->kind != LANE_RESEND)
        return false;
    resend_drop_foreign(lane);
    if (lane->queued)
        return false;
    lane_move(lane, LANE_IDLE);
    lane_step_or_free(lane);
    return true;
}

static void send_next(struct lane *lane)
{
    struct endpoint *endpoint = lane->endpoint;
    if (is_resend_of_nothing(lane))
        return;
    if (lane_has_gap(lane) && row_is_websub(&endpoint->row)) {
        lane_move(lane, LANE_IDLE);
        outcome_skip_gap_or_free(
            lane); /* WebSub subscribers get no gaps: a topic is its newest state */
        endpoint_ready(endpoint);
        return;
    }
    if (attempt_start(lane, outcome_step_or_free))
        return;
    /* A lack of memory must not count against the receiver. */
    if (lane->kind == LANE_RESEND) {
        lane_free(lane); /* the delivery log keeps it as it was */
        endpoint_ready(endpoint);
    } else {
        lane_try_later(lane);
    }
}

/* Gives due lanes their turn. Stops once neither a read nor a request may begin: there may be
 * LANES_MAX lanes. */
static void start(struct endpoint *endpoint)
{
    bool refused = false;
    list_each (&endpoint->lanes.due, node) {
        struct lane *lane = container_of(node, struct lane, due);
        bool has_gap = lane_has_gap(lane), reads = !has_gap && !lane->queued;
        if (!has_gap && lane_front_is_looped(lane)) {
            pass_loop(lane);
            continue;
        }
        if (refused && !may_read(endpoint))
            break;
        if (reads ? !lane_is_tried(lane) || !may_read(endpoint)
                  : refused || !take_seat(endpoint, lane)) {
            refused = refused || (!reads && !endpoint_circuit_open(endpoint));
            if (!reads && endpoint->flow.inflight >= endpoint_most(endpoint))
                break;
            continue;
        }
        if (reads)
            reading_start(lane);
        else
            send_next(lane);
    }
}

static void advance(struct endpoint *endpoint)
{
    struct courier *courier = endpoint->courier;
    if (courier->stopping || !endpoint_runs(endpoint) || endpoint->change.held ||
        endpoint->change.busy)
        return;
    if (revoked_has_expired(endpoint)) {
        health_disable(endpoint, "expired");
        return;
    }
    int64_t held_ms = (endpoint->row.next_us - courier_now_us(courier)) / 1000;
    if (endpoint->row.next_us && held_ms > 0) {
        endpoint_look_again(endpoint, held_ms);
        return;
    }
    if (endpoint->circuit.probe_due)
        health_probe(endpoint);
    start(endpoint);
    endpoint->scan.crowded = false;
    scan(endpoint);
    start(endpoint);
    if (endpoint->scan.crowded && !scan_is_crowded(endpoint))
        endpoint_ready(endpoint); /* some requests have begun, and others might */
    resend_next(endpoint);
}

static void go(struct endpoint *endpoint)
{
    advance(endpoint);
    pool_decline(&endpoint->courier->pool, &endpoint->flow.waiter);
}

void endpoints_go(struct courier *courier)
{
    struct list *node;
    while (!budget_is_spent(&courier->budget) && (node = list_take_first(&courier->ready))) {
        go(container_of(node, struct endpoint, links.ready));
        (void)budget_spend(&courier->budget, GO_COST);
    }
}
