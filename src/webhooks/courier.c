/* The courier's thread. A turn: the loop opens mail (batches, requests) and tells curl of its
 * sockets; requests that have ended move their lanes on; whoever may have something to do scans the
 * log and starts requests; what has changed goes to the keeper, in bundles.
 *
 * What can go wrong: after a crash, events that were delivered and not yet kept are delivered again
 * (at least once); a disk that cannot be written delays the keeping and nothing else; a receiver
 * that fails holds up itself alone. */
#include "webhooks/courier.h"

#include "base/say.h"
#include "webhooks/endpoint/endpoint.h"
#include "webhooks/delivery/packed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    ENDPOINTS_DEFAULT = 1000,
    TIMEOUT_DEFAULT_MS = 15000,
    CHUNK_MAX = 64 << 10, /* an endpoint holds a chunk while it delivers; there may be a thousand */
    SETTLE_MS = 10000,
    STOP_MS = 2000,
    QUEUED_DEFAULT = 64 << 20,
    READS_DEFAULT = 8 << 20,
    MAIL_MAX = 8 << 20, /* bytes that the log has mailed and nobody has looked at */
    MAIL_US = 5000,     /* of a turn, for these */
    TURN_US = 5000,     /* of a turn, for what endpoints do */
    REQUESTS_DEFAULT = 2048,
    PATIENCE_DEFAULT_MS = 250,
    HOPS_DEFAULT = 8,
    PRESS_MS = 5, /* at least, between two looks at what is overdue */
    RECORDS_DEFAULT = 250000,
};
#define DAY_US (INT64_C(86400) * 1000000)

static void encode(void *context, unsigned encoding, struct buf *out, const struct event *event)
{
    (void)context;
    (void)encoding;
    packed_add(out, event);
}

/* ---- the log's mail --------------------------------------------------------------------------
 *
 * Fanning a batch out costs as much as there are endpoints that it matches, and the log must not
 * wait for that. So batches are only queued when they are opened, and fanned out for as long as a
 * turn may take. Beyond `backlog_max` they are dropped, here or by the log itself: endpoints have
 * cursors, and read on from the store. */

struct batch_mail {
    struct list node;
    struct batch *batch;
};

static void count_one(_Atomic uint64_t *stat)
{
    atomic_fetch_add_explicit(stat, 1, memory_order_relaxed);
}

static struct batch *take_mail(struct courier *courier)
{
    struct list *node = list_take_first(&courier->mail);
    if (!node)
        return NULL;
    struct batch_mail *mail = container_of(node, struct batch_mail, node);
    struct batch *batch = mail->batch;
    courier->mail_bytes -= batch_bytes(batch);
    free(mail);
    return batch;
}

static void drop_mail(struct courier *courier)
{
    for (struct batch *batch; (batch = take_mail(courier));)
        batch_unref(batch);
}

/* Drops the queued mail: all of it is older than `upto`. */
static void on_missed(void *owner, uint64_t upto)
{
    struct courier *courier = owner;
    drop_mail(courier);
    hub_miss(&courier->hub, upto);
    count_one(&courier->stats.missed);
}

/* The newest event of a batch; of one that has none, that before it. */
static uint64_t newest_of(const struct batch *batch, uint64_t before)
{
    for (uint32_t i = batch->count; i > 0; i--)
        if (batch->events[i - 1].state == EVENT_APPENDED)
            return batch->events[i - 1].id;
    return before;
}

static void fan_out(struct courier *courier, struct batch *batch)
{
    if (list_empty(&courier->endpoints))
        hub_pass(&courier->hub, batch);
    else
        hub_on_batch(&courier->hub, batch);
}

static void on_batch(void *owner, struct batch *batch)
{
    struct courier *courier = owner;
    if (list_empty(&courier->endpoints) && list_empty(&courier->mail)) {
        hub_pass(&courier->hub, batch);
        return;
    }
    courier->mailed = newest_of(batch, courier->mailed);
    struct batch_mail *mail =
        courier->mail_bytes <= courier->config.backlog_max ? mem_try_alloc(sizeof(*mail)) : NULL;
    if (!mail) {
        on_missed(courier, courier->mailed);
        return;
    }
    *mail = (struct batch_mail){.batch = batch_ref(batch)};
    courier->mail_bytes += batch_bytes(batch);
    list_add_last(&courier->mail, &mail->node);
}

void courier_read_mail(struct courier *courier)
{
    struct budget budget;
    struct batch *batch;
    budget_begin(&budget, courier->config.clock, MAIL_US, INT64_MAX);
    while (!budget_is_spent(&budget) && (batch = take_mail(courier))) {
        fan_out(courier, batch);
        /* An event may be for every endpoint, so that each batch is worth a look at the clock. */
        (void)budget_spend(&budget, BUDGET_STRIDE);
        batch_unref(batch);
    }
    if (!list_empty(&courier->mail))
        count_one(&courier->stats.turns_cut);
}

/* ---- endpoints and timers -------------------------------------------------------------------- */

static bool id_is(const struct map_node *node, struct str key)
{
    return str_eq(str_from(container_of(node, const struct endpoint, in_map)->row.id), key);
}

static void ring_settle(struct timer *timer)
{
    struct courier *courier = container_of(timer, struct courier, settle);
    endpoints_settle(courier);
    timer_set(&courier->loop, timer, SETTLE_MS);
}

static void ring_lease(struct timer *timer)
{
    websub_watch(container_of(timer, struct courier, lease));
}

/* ---- opening -------------------------------------------------------------------------------- */

static void set_defaults(struct courier_config *config)
{
    if (!config->timeout_ms)
        config->timeout_ms = TIMEOUT_DEFAULT_MS;
    if (!config->endpoints_max)
        config->endpoints_max = ENDPOINTS_DEFAULT;
    if (!config->requests_max)
        config->requests_max = REQUESTS_DEFAULT;
    if (!config->backlog_max)
        config->backlog_max = MAIL_MAX;
    if (!config->queued_max)
        config->queued_max = QUEUED_DEFAULT;
    if (!config->reads_max)
        config->reads_max = READS_DEFAULT;
    if (!config->patience_ms)
        config->patience_ms = PATIENCE_DEFAULT_MS;
    for (unsigned i = 0; i < POOL_CLASSES; i++)
        if (!config->shares[i])
            config->shares[i] = pool_shares[i];
    if (!config->disable_after_us)
        config->disable_after_us = 5 * DAY_US;
    if (!config->records_age_us)
        config->records_age_us = 7 * DAY_US;
    if (!config->records_max)
        config->records_max = RECORDS_DEFAULT;
    if (!config->hops_max)
        config->hops_max = HOPS_DEFAULT;
    if (!config->leases.most)
        config->leases = WEBSUB_LEASES_DEFAULT;
}

static void set_up(struct courier *courier, const struct courier_config *config)
{
    *courier = (struct courier){
        .config = *config, .settle = {.ring = ring_settle}, .lease = {.ring = ring_lease}};
    list_init(&courier->endpoints);
    list_init(&courier->mail);
    list_init(&courier->ready);
    list_init(&courier->changed);
    list_init(&courier->pings);
    list_init(&courier->intents);
    list_init(&courier->listings);
    list_init(&courier->loaded);
    map_init(&courier->by_id, id_is);
    creations_init(courier);
    schedule_init(&courier->schedule);
    if (gethostname(courier->origin, sizeof(courier->origin) - 1))
        snprintf(courier->origin, sizeof(courier->origin), "freshet");
    if (config->schedule_ms && config->schedule_count) {
        size_t count =
            config->schedule_count < SCHEDULE_MAX ? config->schedule_count : SCHEDULE_MAX;
        memcpy(courier->schedule.delays_ms, config->schedule_ms, count * sizeof(int64_t));
        courier->schedule.count = count;
    }
    set_defaults(&courier->config);
    snprintf(courier->loop_error, sizeof(courier->loop_error), "loop: %u hops",
             courier->config.hops_max);
    steady_init(&courier->time, courier->config.clock);
    courier->config.hub.branches_max = 0; /* endpoints_max and the terms of each bound them */
    pool_init(&courier->pool, courier->config.requests_max, courier->config.shares);
    courier->config.hub.backlog_max = courier->config.backlog_max;
    courier->config.hub.on_missed = on_missed;
    if (config->hub.chunk_bytes > CHUNK_MAX)
        courier->config.hub.chunk_bytes = CHUNK_MAX;
    courier->config.hub.slice_bytes = 0;
    courier->config.hub.live_max = 0; /* lanes hold chunks, within bounds of their own */
}

static void load(void *context, struct endpoint_row *row)
{
    struct courier *courier = context;
    char id[ENDPOINT_ID_LEN + 1];
    memcpy(id, row->id, sizeof(id));
    struct endpoint *endpoint = endpoint_new(courier, row);
    if (endpoint)
        list_add_last(&courier->loaded, &endpoint->ready);
    else
        say(SAY_ERROR, "webhook_unreadable", "id=%s", id);
}

/* Lanes come grouped by endpoint, so that each endpoint is searched for once. */
struct lane_loading {
    struct courier *courier;
    struct endpoint **by_number;
    size_t count;
    struct endpoint *last; /* the endpoint of the last lane */
};

static int compare_numbers(const void *a, const void *b)
{
    uint64_t x = (*(struct endpoint *const *)a)->row.number;
    uint64_t y = (*(struct endpoint *const *)b)->row.number;
    return (x > y) - (x < y);
}

static struct endpoint *find_number(const struct lane_loading *loading, uint64_t number)
{
    size_t low = 0, high = loading->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (loading->by_number[middle]->row.number < number)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < loading->count && loading->by_number[low]->row.number == number;
    return found ? loading->by_number[low] : NULL;
}

static void load_lane(void *context, struct lane_row *row)
{
    struct lane_loading *loading = context;
    struct courier *courier = loading->courier;
    if (row->slot >= courier->next_slot)
        courier->next_slot = row->slot + 1;
    if (!loading->last || loading->last->row.number != row->endpoint)
        loading->last = find_number(loading, row->endpoint);
    if (loading->last)
        lane_restore(loading->last, row);
    else
        free(row->channel);
}

/* Linear in lanes, with one binary search an endpoint: thousands of webhooks that fail leave
 * hundreds of thousands of lanes. */
static int load_lanes(struct courier *courier)
{
    struct lane_loading loading = {.courier = courier};
    size_t count = 0;
    list_each (&courier->loaded, node)
        count++;
    loading.by_number = mem_alloc((count + 1) * sizeof(struct endpoint *));
    list_each (&courier->loaded, node)
        loading.by_number[loading.count++] = container_of(node, struct endpoint, ready);
    qsort(loading.by_number, count, sizeof(struct endpoint *), compare_numbers);
    int result = registry_load_lanes(courier->registry, load_lane, &loading);
    free(loading.by_number);
    return result;
}

/* Loads everything. On an error the server does not start: to go on without the data would lose
 * it. */
static int load_all(struct courier *courier)
{
    struct record_statements *records = registry_records(courier->registry);
    int result = registry_load(courier->registry, load, courier);
    courier->next_slot = 1;
    result = result ? result : load_lanes(courier);
    result = result ? result : record_newest(records, &courier->next_n);
    courier->next_n++;
    for (struct list *node; (node = list_take_first(&courier->loaded));) {
        struct endpoint *endpoint = container_of(node, struct endpoint, ready);
        if (!result)
            result = record_dead(records, endpoint->row.number, &endpoint->dead);
        endpoint_add(endpoint);
    }
    timer_set(&courier->loop, &courier->lease, 0);
    return result;
}

static int open_client(struct courier *courier)
{
    struct address_policy policy = {.loopback = courier->config.allow_loopback,
                                    .networks = courier->config.networks,
                                    .networks_count = courier->config.networks_count,
                                    .hosts = courier->config.hosts,
                                    .hosts_count = courier->config.hosts_count};
    if (policy.loopback)
        say(SAY_INFO, "webhooks_to_loopback",
            "detail=\"webhooks may go to this machine, since only it can register them\"");
    int result = client_init(&courier->client, &courier->loop, &policy, courier->config.timeout_ms,
                             courier->pool.total);
    courier->client.resolve = courier->config.resolve;
    courier->client.ca_file = courier->config.ca_file;
    courier->client.identity = courier->config.identity;
    return result;
}

/* The hub last: once attached to the log it has to stay. */
static int open_parts(struct courier *courier)
{
    int result = registry_open(courier->config.dir, &courier->registry);
    if (result)
        return result;
    result = open_client(courier);
    asker_init(&courier->asker, courier->config.log, &courier->loop.mailbox,
               courier->config.reads_max);
    if (!result)
        result = hub_init(&courier->hub, &courier->asker, courier->config.clock,
                          &courier->loop.mailbox, &courier->config.hub, encode, NULL, on_batch);
    if (!result) {
        submitter_init(&courier->submitter, courier->config.log, &courier->hub.port,
                       courier->config.clock);
        return 0;
    }
    client_deinit(&courier->client);
    registry_close(courier->registry);
    return result;
}

int courier_open(const struct courier_config *config, struct courier **ret_courier)
{
    struct courier *courier = mem_alloc(sizeof(*courier));
    set_up(courier, config);
    int result = loop_init(&courier->loop, config->clock, courier);
    if (!result) {
        result = open_parts(courier);
        if (result)
            loop_deinit(&courier->loop);
    }
    if (result) {
        map_deinit(&courier->by_id);
        creations_deinit(courier);
        free(courier);
        return result;
    }
    timer_set(&courier->loop, &courier->settle, SETTLE_MS);
    *ret_courier = courier;
    return load_all(courier);
}

/* ---- running --------------------------------------------------------------------------------- */

static int until_ms(const struct courier *courier, int64_t at_ns)
{
    int64_t left = at_ns - clock_now_ns(courier->config.clock);
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
    int64_t keep_at_ns = courier_keep_at(courier);
    if (keep_at_ns)
        ms = shorter(ms, until_ms(courier, keep_at_ns));
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

/* Requests that are overdue give way to those that wait, and those that may go are called. */
static void share_seats(struct courier *courier)
{
    if (!pool_is_crowded(&courier->pool)) {
        courier->press_at_ns = 0;
    } else if (clock_now_ns(courier->config.clock) >= courier->press_at_ns) {
        int64_t now_ns = clock_now_ns(courier->config.clock);
        int64_t next_ns = pool_press(&courier->pool, now_ns);
        int64_t least_ns = now_ns + PRESS_MS * INT64_C(1000000);
        courier->press_at_ns = next_ns > least_ns ? next_ns : least_ns;
    }
    pool_call(&courier->pool);
}

int64_t courier_now_us(struct courier *courier)
{
    if (steady_read(&courier->time) == STEADY_BELIEVED)
        courier->unshifted_us += courier->time.jump_us;
    return courier->time.wall_us - courier->unshifted_us;
}

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

/* A wall clock that has jumped for good takes all that was counted from it along, so that nothing
 * is sent sooner, given up earlier or ended before its time. Between turns, so that within one all
 * times are of one clock. */
static void shift_schedules(struct courier *courier)
{
    int64_t by_us = courier->unshifted_us;
    courier->unshifted_us = 0;
    list_each (&courier->endpoints, node) {
        struct endpoint *endpoint = container_of(node, struct endpoint, node);
        shift(&endpoint->row.next_us, by_us);
        shift(&endpoint->row.since_us, by_us);
        shift(&endpoint->row.lease_until_us, by_us);
        /* Of an endpoint that is busy the keeper's thread reads them. */
        for (uint32_t i = 0; !endpoint->busy && i < endpoint->row.olds.count; i++)
            shift(&endpoint->row.olds.at[i].until_us, by_us);
        shift(&endpoint->accepted_us, by_us);
        endpoint_changed(endpoint);
        list_each (&endpoint->lanes, lane)
            shift_lane(container_of(lane, struct lane, node), by_us);
    }
}

static void turn(struct courier *courier)
{
    if (courier->unshifted_us)
        shift_schedules(courier);
    mailbox_set_leisure(&courier->loop.mailbox, list_empty(&courier->endpoints));
    loop_turn(&courier->loop, wait_ms(courier));
    client_turn(&courier->client);
    courier_read_mail(courier);
    share_seats(courier);
    budget_begin(&courier->budget, courier->config.clock, TURN_US, INT64_MAX);
    endpoints_go(courier);
    if (budget_is_spent(&courier->budget))
        count_one(&courier->stats.turns_cut);
    share_seats(courier);
    listings_go_on(courier);
    hub_turn_end(&courier->hub);
    courier_keep(courier, false);
    count(courier);
}

static bool is_done(const struct courier *courier)
{
    if (!courier->stopping)
        return false;
    return !courier->client.inflight || clock_now_ns(courier->config.clock) >= courier->stop_at_ns;
}

/* Keeps the last of it, and waits for all that is with others. */
static void finish(struct courier *courier)
{
    pings_end(courier);
    listings_end(courier);
    websub_end(courier);
    endpoints_settle(courier);
    while (courier->jobs || courier->keep) {
        if (!courier->keep_fails)
            courier_keep(courier, true);
        else if (!courier->keeping)
            break;
        loop_turn(&courier->loop, 10);
    }
    while (courier->jobs || !asker_is_idle(&courier->asker))
        loop_turn(&courier->loop, 10);
    keeper_stop(courier->keeper);
    courier->keeper = NULL;
}

static void end(struct courier *courier)
{
    list_each (&courier->endpoints, node)
        endpoint_free(container_of(node, struct endpoint, node));
    if (courier->keep)
        keep_discard(courier);
    client_deinit(&courier->client);
    registry_close(courier->registry);
    courier->registry = NULL;
}

static void *courier_main(void *arg)
{
    struct courier *courier = arg;
    while (!is_done(courier))
        turn(courier);
    finish(courier);
    end(courier);
    return NULL;
}

int courier_start(struct courier *courier)
{
    int result = keeper_start(courier->registry, &courier->keeper);
    if (result)
        return result;
    result = -pthread_create(&courier->thread, NULL, courier_main, courier);
    if (!result)
        return 0;
    keeper_stop(courier->keeper);
    courier->keeper = NULL;
    return result;
}

static void open_stop(struct mail *mail, void *owner)
{
    struct courier *courier = owner;
    (void)mail;
    courier->stopping = true;
    courier->stop_at_ns = clock_now_ns(courier->config.clock) + STOP_MS * INT64_C(1000000);
}

void courier_stop(struct courier *courier)
{
    courier->stop_mail.open = open_stop;
    mailbox_post(&courier->loop.mailbox, &courier->stop_mail);
    pthread_join(courier->thread, NULL);
}

void courier_free(struct courier *courier)
{
    if (courier->registry)
        end(courier); /* the courier was never started */
    while (mailbox_empty(&courier->loop.mailbox))
        ;
    drop_mail(courier);
    hub_deinit(&courier->hub);
    map_deinit(&courier->by_id);
    creations_deinit(courier);
    loop_deinit(&courier->loop);
    free(courier);
}

const struct courier_stats *courier_stats(const struct courier *courier)
{
    return &courier->stats;
}
