#include "webhooks/delivery/anew.h"

#include "base/say.h"
#include "webhooks/delivery/attempt.h"
#include "webhooks/delivery/reading.h"
#include "webhooks/delivery/scan.h"
#include "webhooks/endpoint/saving.h"

/* Drops the lane's failed delivery for good: the scan will put its events into new deliveries if
 * the endpoint still wants them. A resend keeps its delivery. */
static void skip_delivery(const struct lane *lane)
{
    if (lane->row.n && lane->kind != LANE_RESEND)
        save_skipped(lane->endpoint->courier, lane->row.n);
}

static void drop(struct lane *lane)
{
    reading_stop(lane);
    attempt_stop(lane);
    lane_free(lane);
}

void deliveries_begin_anew(struct endpoint *endpoint, bool again)
{
    uint64_t cursor = endpoint_cursor(endpoint);
    scan_let_go(endpoint);
    endpoint->row.cursor = cursor;
    list_each (&endpoint->lanes.all, node) {
        struct lane *lane = container_of(node, struct lane, node);
        if (lane->kind == LANE_RESEND)
            continue;
        skip_delivery(lane);
        if (lane->attempt)
            lane_leave(lane, again);
        else
            drop(lane);
    }
    if (again)
        carried_forget(&endpoint->scan.carried);
    endpoint_changed(endpoint);
}

static void drop_all(struct endpoint *endpoint)
{
    scan_let_go(endpoint);
    list_each (&endpoint->lanes.all, node)
        drop(container_of(node, struct lane, node));
    carried_forget(&endpoint->scan.carried);
}

void deliveries_drop(struct endpoint *endpoint)
{
    list_each (&endpoint->lanes.all, node)
        skip_delivery(container_of(node, struct lane, node));
    drop_all(endpoint);
}

void deliveries_end(struct endpoint *endpoint)
{
    list_each (&endpoint->lanes.all, node)
        /* The lane's row is not deleted here: it goes with the endpoint's row, or stays for the
         * next start. */
        container_of(node, struct lane, node)->saved = false;
    drop_all(endpoint);
}

/* ---- beginning ------------------------------------------------------------------------------- */

/* Drops the lanes from disk and scans again, if they do not fit the endpoint's options. */
static void mend_lanes(struct endpoint *endpoint)
{
    if (!endpoint->lanes.misfits)
        return;
    endpoint->lanes.misfits = false;
    say(SAY_WARN, "webhook_begins_anew", "id=%s detail=\"its lanes are of other options\"",
        endpoint->row.id);
    deliveries_begin_anew(endpoint, true);
}

void deliveries_begin(struct endpoint *endpoint)
{
    mend_lanes(endpoint);
    list_each (&endpoint->lanes.all, node) {
        struct lane *lane = container_of(node, struct lane, node);
        lane->row.endpoint = endpoint->row.number;
        if (lane->row.failures && endpoint->row.failures)
            endpoint->circuit.struck++;
        lane_step_or_free(lane);
    }
    if (endpoint_circuit_open(endpoint))
        timer_set(&endpoint->courier->loop, &endpoint->circuit.probe, 1000);
    endpoint_ready(endpoint);
}
