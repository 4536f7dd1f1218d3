#include "webhooks/endpoint/shift.h"

#include "webhooks/endpoint/lane.h"
#include "webhooks/endpoint/saving.h"

static void shift(int64_t *time_us, int64_t by_us)
{
    if (*time_us)
        *time_us += by_us;
}

static void shift_lane(struct lane *lane, int64_t by_us)
{
    if (!lane->row.next_us && !lane->row.since_us)
        return;
    shift(&lane->row.next_us, by_us);
    shift(&lane->row.since_us, by_us);
    lane_changed(lane);
}

/* Moves all times that were counted from the wall clock, after it has jumped for good, so that
 * nothing is sent sooner, given up earlier or ended before its time. Called between turns, so that
 * all times within a turn are of one clock. */
void shift_schedules(struct courier *courier)
{
    int64_t by_us = courier->unshifted_us;
    courier->unshifted_us = 0;
    list_each (&courier->endpoints, node) {
        struct endpoint *endpoint = container_of(node, struct endpoint, links.node);
        shift(&endpoint->row.next_us, by_us);
        shift(&endpoint->row.since_us, by_us);
        shift(&endpoint->row.lease_until_us, by_us);
        /* Skip it: while a change is being saved, the saver's thread reads the replaced keys. */
        for (uint32_t i = 0; !endpoint->change.busy && i < endpoint->row.olds.count; i++)
            shift(&endpoint->row.olds.at[i].until_us, by_us);
        shift(&endpoint->circuit.accepted_us, by_us);
        endpoint_changed(endpoint);
        list_each (&endpoint->lanes.all, lane)
            shift_lane(container_of(lane, struct lane, node), by_us);
    }
}
