/* A webhook begins anew when its owner changes which events it is owed (`channels`, `types`) or in
 * which lanes they go (`ordered`, `batch`).
 *
 * Lanes mean something only together with the options that they were made under: a range of a
 * webhook without order says nothing of channels, and a page in order says nothing of one channel.
 * So no lane outlives such a change. The cursor goes back to the first event that is not settled,
 * the lanes are dropped, in memory and on disk, in the transaction that keeps the options, and the
 * scan makes new ones.
 *
 * A lane with a request under way cannot be dropped like that: the receiver is at work on what it
 * carries, and if the scan went on beside it, two requests would be under way in one channel. Such
 * a lane *leaves*: it has no row and takes no events, it ends with its request, whatever the answer
 * is, and the scan waits until all of them have ended. That takes as long as a request may take.
 *
 * What these requests delivered is remembered by its ids, so that the scan passes it by and it does
 * not come twice. An ordered webhook gets it again all the same: the cursor has gone back for
 * all channels, so that older events of the same channel may come first, and the newest would not
 * be the last. The ids are in memory alone and few (CARRIED_MAX); without them events come again,
 * as the owner is told. */
#include "webhooks/endpoint/endpoint.h"

#include "base/say.h"

#include <stdlib.h>

enum { CARRIED_MAX = 1024 };

/* ---- events delivered beyond the cursor
 * ------------------------------------------------------------ */

/* Where the first id is that is not below `id`. */
static uint32_t place_of(const struct endpoint *endpoint, uint64_t id)
{
    uint32_t low = 0, high = endpoint->carried_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (endpoint->carried[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void add_carried(struct endpoint *endpoint, uint64_t id)
{
    if (endpoint->carried_count == CARRIED_MAX)
        return;
    if (!endpoint->carried)
        endpoint->carried = mem_alloc(CARRIED_MAX * sizeof(uint64_t));
    uint32_t at = place_of(endpoint, id);
    memmove(endpoint->carried + at + 1, endpoint->carried + at,
            (endpoint->carried_count - at) * sizeof(uint64_t));
    endpoint->carried[at] = id;
    endpoint->carried_count++;
}

void endpoint_add_carried(struct endpoint *endpoint, const struct list *events)
{
    list_each (events, node)
        add_carried(endpoint, container_of(node, struct owed, node)->event.id);
}

void endpoint_forget_carried(struct endpoint *endpoint)
{
    free(endpoint->carried);
    endpoint->carried = NULL;
    endpoint->carried_count = 0;
}

bool endpoint_has_carried(struct endpoint *endpoint, uint64_t id)
{
    uint32_t at = place_of(endpoint, id);
    if (at < endpoint->carried_count)
        return endpoint->carried[at] == id;
    endpoint_forget_carried(endpoint); /* the scan is beyond all of them */
    return false;
}

/* ---- beginning anew -------------------------------------------------------------------------- */

void endpoint_begin_anew(struct endpoint *endpoint, bool again)
{
    uint64_t cursor = endpoint_cursor(endpoint);
    endpoint_let_go(endpoint);
    endpoint->row.cursor = cursor;
    list_each (&endpoint->lanes, node) {
        struct lane *lane = container_of(node, struct lane, node);
        if (lane->kind == LANE_LETTER)
            continue;
        if (lane->flight)
            lane_leave(lane, again);
        else
            lane_free(lane);
    }
    if (again)
        endpoint_forget_carried(endpoint);
    endpoint_changed(endpoint);
}

void endpoint_drop_lanes(struct endpoint *endpoint)
{
    list_each (&endpoint->lanes, node)
        lane_free(container_of(node, struct lane, node));
    endpoint_forget_carried(endpoint);
}

/* ---- lanes from disk ------------------------------------------------------------------------- */

bool lane_row_fits(const struct endpoint *endpoint, const struct lane_row *row)
{
    const struct endpoint_options *options = &endpoint->row.options;
    if (!options->ordered)
        return !*row->channel && row->upto > row->after;
    return (*row->channel == 0) == (options->batch > 0) &&
           !lane_find(endpoint, str_from(row->channel));
}

void endpoint_mend_lanes(struct endpoint *endpoint)
{
    if (!endpoint->misfits)
        return;
    endpoint->misfits = false;
    say(SAY_WARN, "webhook_begins_anew", "id=%s detail=\"its lanes are of other options\"",
        endpoint->row.id);
    endpoint_begin_anew(endpoint, true);
}
