#include "webhooks/endpoint/saving.h"

#include "base/say.h"
#include "webhooks/endpoint/directory.h"

enum { SAVE_MS = 20, SAVE_AGAIN_MS = 1000, PRUNE_MS = 1000, AGAIN_MOST = 10000 };

/* ---- gathering ------------------------------------------------------------------------------- */

static struct bundle *gathering(struct courier *courier)
{
    if (!courier->bundle)
        courier->bundle = bundle_new();
    if (!courier->save_at_ns)
        courier->save_at_ns = courier_now_ns(courier) + SAVE_MS * INT64_C(1000000);
    return courier->bundle;
}

void endpoint_changed(struct endpoint *endpoint)
{
    if (!list_linked(&endpoint->links.node)) /* deleted or not saved yet: such an endpoint is saved
                                                as a whole */
        return;
    if (!list_linked(&endpoint->links.changed))
        list_add_last(&endpoint->courier->changed, &endpoint->links.changed);
    (void)gathering(endpoint->courier);
}

void lane_changed(struct lane *lane)
{
    if (!lane_has_row(lane))
        return;
    if (!list_linked(&lane->changed))
        list_add_last(&lane->endpoint->lanes.changed, &lane->changed);
    endpoint_changed(lane->endpoint);
}

void lane_forgotten(struct lane *lane)
{
    bundle_drop_lane(gathering(lane->endpoint->courier), lane->row.endpoint, lane->row.slot);
    endpoint_changed(lane->endpoint);
}

void save_attempt(struct courier *courier, const struct logged_attempt *attempt)
{
    bundle_add_attempt(gathering(courier), attempt);
}

void save_skipped(struct courier *courier, uint64_t n)
{
    bundle_add_skipped(gathering(courier), n);
}

/* ---- handing over ---------------------------------------------------------------------------- */

void discard_progress(struct courier *courier)
{
    bundle_free(courier->bundle);
    courier->bundle = NULL;
}

/* Allows further requests of the bundle's endpoints: their progress is saved now. */
static void release(struct courier *courier, const struct bundle *bundle)
{
    for (size_t i = 0; i < bundle->rows_count; i++) {
        struct endpoint *endpoint = directory_find(courier, bundle->rows[i].row.id);
        if (!endpoint)
            continue;
        endpoint->flow.saving -= bundle->rows[i].accepted;
        if (bundle->rows[i].accepted) /* room for a thousand: most rows only move a cursor */
            endpoint_ready(endpoint);
    }
}

/* Takes over the attempts of a bundle that was not written. Accepted first attempts are left out,
 * since there may be any number of them while the disk is full. */
static void restore_attempts(struct courier *courier, const struct bundle *bundle)
{
    for (size_t i = 0; i < bundle->attempts_count && i < AGAIN_MOST; i++) {
        const struct logged_attempt *attempt = &bundle->attempts[i];
        if (attempt->state != DELIVERY_DELIVERED || attempt->number > 1)
            save_attempt(courier, attempt);
    }
    gathering(courier)->restored = true;
}

/* Takes back a bundle that was not written. Its rows are gathered again, because further deliveries
 * may have been accepted since. Attempts, skipped events and removed lanes are moved to the next
 * bundle. */
static void restore(struct courier *courier, struct bundle *bundle)
{
    for (size_t i = 0; i < bundle->rows_count; i++) {
        struct endpoint *endpoint = directory_find(courier, bundle->rows[i].row.id);
        if (!endpoint)
            continue;
        list_each (&endpoint->lanes.all, node)
            lane_changed(container_of(node, struct lane, node));
        endpoint_changed(endpoint);
    }
    for (size_t i = 0; i < bundle->lanes_count; i++)
        if (!bundle->lanes[i].channel)
            bundle_drop_lane(gathering(courier), bundle->lanes[i].endpoint, bundle->lanes[i].slot);
    restore_attempts(courier, bundle);
    for (size_t i = 0; i < bundle->skipped_count; i++)
        save_skipped(courier, bundle->skipped[i]);
}

static void bundle_done(struct mail *mail, void *owner)
{
    struct bundle *bundle = container_of(mail, struct bundle, job.mail);
    struct courier *courier = owner;
    int result = bundle->job.result;
    courier->jobs--;
    courier->saving--;
    courier->saving_whole = courier->saving_whole && !bundle->whole;
    courier->save_fails = result != 0;
    if (result) {
        /* Deliveries continue: after a crash, those not saved are repeated. */
        say(SAY_WARN, "webhooks_not_kept", "error=%d", -result);
        restore(courier, bundle);
        courier->save_at_ns = courier_now_ns(courier) + SAVE_AGAIN_MS * INT64_C(1000000);
    }
    release(courier, bundle);
    bundle_free(bundle);
}

static void take_lanes(struct bundle *bundle, struct endpoint *endpoint)
{
    for (struct list *node; (node = list_take_first(&endpoint->lanes.changed));) {
        struct lane *lane = container_of(node, struct lane, changed);
        bundle_add_lane(bundle, &lane->row);
        lane->saved = true;
    }
}

/* While a change is being saved, the endpoint has the state of that change already. A bundle that
 * was written would keep it, also if the change is refused then. So bundles leave the state out
 * meanwhile, and put_end_busy() has it saved. */
static void take_endpoints(struct courier *courier, struct bundle *bundle)
{
    for (struct list *node; (node = list_take_first(&courier->changed));) {
        struct endpoint *endpoint = container_of(node, struct endpoint, links.changed);
        bundle_add_endpoint(bundle, &endpoint->row, endpoint_scanned(endpoint),
                            endpoint->flow.unsaved, !endpoint->change.busy);
        take_lanes(bundle, endpoint);
        endpoint->flow.saving += endpoint->flow.unsaved;
        endpoint->flow.unsaved = 0;
    }
}

static void set_prune(struct courier *courier, struct bundle *bundle)
{
    int64_t now_ns = courier_now_ns(courier);
    if (now_ns < courier->prune_at_ns)
        return;
    courier->prune_at_ns = now_ns + PRUNE_MS * INT64_C(1000000);
    bundle->prune = true;
    bundle->prune_before_us = courier_now_us(courier) - courier->config.records_age_us;
    bundle->prune_rows = courier->config.records_max;
}

/* The next save is due at once if a request waits for it, unless the last save failed. */
int64_t save_due_ns(const struct courier *courier)
{
    if (!courier->bundle || courier->saving)
        return 0;
    return courier->save_urgent && !courier->save_fails ? 1 : courier->save_at_ns;
}

void save_progress(struct courier *courier, bool now)
{
    struct bundle *bundle = courier->bundle;
    if (!bundle)
        return;
    if (!now && (courier->saving || courier_now_ns(courier) < save_due_ns(courier)))
        return;
    /* The saver refuses bundles until one is whole. Behind that one it may write others, and a
     * change of an endpoint too: it must find all lanes saved. */
    if (courier->saving && courier->save_fails && !courier->saving_whole)
        return;
    courier->bundle = NULL;
    bundle->whole = !courier->saving;
    courier->saving_whole |= bundle->whole;
    courier->save_urgent = false;
    courier->save_at_ns = 0;
    courier->saving++;
    take_endpoints(courier, bundle);
    set_prune(courier, bundle);
    bundle->job = (struct saver_job){.run = bundle_write, .mail = {NULL, bundle_done}};
    courier_submit_job(courier, &bundle->job);
}

void save_cursors(struct courier *courier)
{
    list_each (&courier->endpoints, node) {
        struct endpoint *endpoint = container_of(node, struct endpoint, links.node);
        uint64_t cursor = endpoint_scanned(endpoint);
        if (cursor == endpoint->row.cursor)
            continue;
        endpoint->row.cursor = cursor;
        endpoint_changed(endpoint);
    }
}
