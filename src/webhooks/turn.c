#include "webhooks/turn.h"

#include "webhooks/delivery/dispatch.h"
#include "webhooks/delivery/log_mail.h"
#include "webhooks/delivery/reading.h"
#include "webhooks/delivery/revoked.h"
#include "webhooks/delivery/scan.h"
#include "webhooks/endpoint/saving.h"
#include "webhooks/endpoint/shift.h"
#include "webhooks/requests/listing.h"
#include "webhooks/requests/ping.h"
#include "webhooks/requests/removal.h"
#include "webhooks/websub/subscription.h"

enum {
    STOP_MS = 2000,
    TURN_US = 5000, /* time of a turn for endpoints */
    PRESS_MS = 5,   /* least time between two checks for overdue requests */
};

static int until_ms(const struct courier *courier, int64_t at_ns)
{
    int64_t left = at_ns - courier_now_ns(courier);
    return left <= 0 ? 0 : (int)(left / 1000000 + 1);
}

static int shorter(int a, int b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

static int wait_ms(const struct courier *courier)
{
    int ms = client_wait_ms(&courier->client);
    if (!list_empty(&courier->ready) || !list_empty(&courier->mail) ||
        !list_empty(&courier->listings))
        return 0;
    int64_t save_at_ns = save_due_ns(courier);
    if (save_at_ns)
        ms = shorter(ms, until_ms(courier, save_at_ns));
    if (courier->stopping)
        ms = shorter(ms, until_ms(courier, courier->stop_at_ns));
    else if (pool_is_crowded(&courier->pool) && courier->press_at_ns != INT64_MAX)
        ms = shorter(ms, until_ms(courier, courier->press_at_ns));
    return ms;
}

static void set_stat(_Atomic uint64_t *stat, uint64_t value)
{
    atomic_store_explicit(stat, value, memory_order_relaxed);
}

static void count(struct courier *courier)
{
    struct courier_stats *stats = &courier->stats;
    const struct pool *pool = &courier->pool;
    uint64_t waiting = 0;
    for (unsigned i = 0; i < POOL_CLASSES; i++) {
        set_stat(&stats->inflight[i], pool->used_by[i]);
        waiting += pool->waiting[i];
    }
    set_stat(&stats->requests_max, pool->total);
    set_stat(&stats->backlog, courier->mail_bytes);
    set_stat(&stats->queued, courier->queued_bytes);
    set_stat(&stats->bodies, courier->body_bytes);
    set_stat(&stats->found, asker_held(&courier->asker));
    set_stat(&stats->waiting, waiting);
    set_stat(&stats->waits, pool->waits);
    set_stat(&stats->gave_way, pool->gave_way);
}

/* Aborts overdue requests for endpoints that wait, and calls those that may send. */
static void share_seats(struct courier *courier)
{
    if (!pool_is_crowded(&courier->pool)) {
        courier->press_at_ns = 0;
    } else if (courier_now_ns(courier) >= courier->press_at_ns) {
        int64_t now_ns = courier_now_ns(courier);
        int64_t next_ns = pool_press(&courier->pool, now_ns);
        int64_t least_ns = now_ns + PRESS_MS * INT64_C(1000000);
        courier->press_at_ns = next_ns > least_ns ? next_ns : least_ns;
    }
    pool_call(&courier->pool);
}

/* Before anything is sent: makers may have lost their rights or credentials while no server ran, or
 * just before it was killed. */
static void look_at_makers(struct courier *courier)
{
    courier->has_opened = false;
    revoked_by_restart(courier);
}

void courier_turn(struct courier *courier, int most_ms)
{
    if (courier->has_opened)
        look_at_makers(courier);
    if (courier->unshifted_us)
        shift_schedules(courier);
    mailbox_set_leisure(&courier->loop.mailbox, list_empty(&courier->endpoints));
    loop_turn(&courier->loop, shorter(wait_ms(courier), most_ms));
    client_turn(&courier->client);
    log_mail_read(courier);
    share_seats(courier);
    budget_begin(&courier->budget, courier->config.clock, TURN_US, INT64_MAX);
    endpoints_go(courier);
    if (budget_is_spent(&courier->budget))
        atomic_fetch_add_explicit(&courier->stats.turns_cut, 1, memory_order_relaxed);
    share_seats(courier);
    listings_go_on(courier);
    hub_turn_end(&courier->hub);
    save_progress(courier, false);
    count(courier);
}

bool courier_is_done(const struct courier *courier)
{
    if (!courier->stopping)
        return false;
    return !courier->client.inflight || courier_now_ns(courier) >= courier->stop_at_ns;
}

/* Does not wait for reads of the log, which may take long. */
static void let_go(struct courier *courier)
{
    list_each (&courier->endpoints, node) {
        struct endpoint *endpoint = container_of(node, struct endpoint, links.node);
        scan_let_go(endpoint);
        list_each (&endpoint->lanes.all, lane)
            reading_stop(container_of(lane, struct lane, node));
    }
}

/* Saves the last progress, and waits for the jobs of other threads. */
static void save_rest(struct courier *courier)
{
    pings_end(courier);
    listings_end(courier);
    websub_end(courier);
    save_cursors(courier);
    let_go(courier);
    while (courier->jobs || courier->bundle) {
        if (!courier->save_fails)
            save_progress(courier, true);
        else if (!courier->saving)
            break;
        loop_turn(&courier->loop, 10);
    }
    while (courier->jobs || !asker_is_idle(&courier->asker))
        loop_turn(&courier->loop, 10);
}

void courier_end(struct courier *courier)
{
    if (courier->stopping)
        save_rest(courier);
    saver_free(courier->saver);
    courier->saver = NULL;
    list_each (&courier->endpoints, node)
        endpoint_remove_and_free(container_of(node, struct endpoint, links.node));
    while (mailbox_empty(&courier->loop.mailbox))
        ; /* requests that waited for an endpoint: their askers still exist */
    if (courier->bundle)
        discard_progress(courier);
    client_deinit(&courier->client);
    registry_close(courier->registry);
    courier->registry = NULL;
}

void courier_begin_stop(struct courier *courier)
{
    courier->stopping = true;
    courier->stop_at_ns = courier_now_ns(courier) + STOP_MS * INT64_C(1000000);
}
