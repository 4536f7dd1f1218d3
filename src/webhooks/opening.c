#include "webhooks/opening.h"

#include "base/bisect.h"
#include "base/say.h"
#include "webhooks/delivery/anew.h"
#include "webhooks/delivery/log_mail.h"
#include "webhooks/delivery/packed.h"
#include "webhooks/delivery/revoked.h"
#include "webhooks/endpoint/directory.h"
#include "webhooks/endpoint/inside.h"
#include "webhooks/endpoint/lane.h"
#include "webhooks/endpoint/saving.h"
#include "webhooks/requests/creation.h"
#include "webhooks/requests/requests.h"
#include "webhooks/websub/subscription.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    ENDPOINTS_DEFAULT = 1000,
    TIMEOUT_DEFAULT_MS = 15000,
    CHUNK_MAX = 64 << 10, /* an endpoint holds a chunk while it delivers; there may be a thousand */
    SETTLE_MS = 10000,
    QUEUED_DEFAULT = 64 << 20,
    READS_DEFAULT = 8 << 20,
    MAIL_MAX = 8 << 20, /* bytes of batches that the log has mailed and that wait */
    REQUESTS_DEFAULT = 2048,
    PATIENCE_DEFAULT_MS = 250,
    HOPS_DEFAULT = 8,
    RECORDS_DEFAULT = 250000,
};
#define DAY_US (INT64_C(86400) * 1000000)

static void encode(void *context, unsigned encoding, struct buf *out, const struct event *event)
{
    (void)context;
    (void)encoding;
    packed_add(out, event);
}

static void ring_settle(struct timer *timer)
{
    struct courier *courier = container_of(timer, struct courier, settle);
    save_cursors(courier);
    revoked_disable(courier);
    timer_set(&courier->loop, timer, SETTLE_MS);
}

static void ring_lease(struct timer *timer)
{
    websub_watch(container_of(timer, struct courier, lease));
}

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

void opening_limit(struct courier *courier, const struct hub_limits *limits)
{
    struct hub_limits *own = &courier->config.hub;
    *own = *limits;
    own->branches_max = 0; /* bounded by endpoints_max and the terms of each */
    own->backlog_max = courier->config.backlog_max;
    own->on_missed = log_mail_on_missed;
    if (own->chunk_bytes > CHUNK_MAX)
        own->chunk_bytes = CHUNK_MAX;
    own->slice_bytes = 0;
    own->live_max = 0; /* chunks held by lanes, bounded elsewhere */
}

void opening_set_up(struct courier *courier, const struct courier_config *config)
{
    *courier = (struct courier){
        .config = *config,
        .open_request = requests_open,
        .settle = {.ring = ring_settle},
        .lease = {.ring = ring_lease},
        .revoked = {.look = revoked_look},
    };
    directory_init(courier);
    list_init(&courier->mail);
    list_init(&courier->ready);
    list_init(&courier->changed);
    list_init(&courier->pings);
    list_init(&courier->intents);
    list_init(&courier->confirmed);
    list_init(&courier->listings);
    list_init(&courier->loaded);
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
    pool_init(&courier->pool, courier->config.requests_max, courier->config.shares);
    opening_limit(courier, &config->hub);
}

/* ---- parts ----------------------------------------------------------------------------------- */

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
    courier->client.authorities = courier->config.authorities;
    courier->client.identity = courier->config.identity;
    inside_init(courier);
    return result;
}

int opening_open_parts(struct courier *courier)
{
    int result = registry_open(courier->config.dir, &courier->registry);
    if (result)
        return result;
    courier->saver = saver_new(courier->registry);
    result = open_client(courier);
    asker_init(&courier->asker, courier->config.log, &courier->loop.mailbox,
               courier->config.reads_max);
    if (!result)
        result =
            hub_init(&courier->hub, &courier->asker, courier->config.clock, &courier->loop.mailbox,
                     &courier->config.hub, encode, NULL, log_mail_on_batch);
    if (!result) {
        submitter_init(&courier->submitter, courier->config.log, &courier->hub.port,
                       courier->config.clock);
        return 0;
    }
    client_deinit(&courier->client);
    saver_free(courier->saver);
    registry_close(courier->registry);
    return result;
}

/* ---- loading --------------------------------------------------------------------------------- */

static void load(void *context, struct endpoint_row *row)
{
    struct courier *courier = context;
    char id[ENDPOINT_ID_LEN + 1];
    memcpy(id, row->id, sizeof(id));
    struct endpoint *endpoint = endpoint_new(courier, row);
    if (endpoint)
        list_add_last(&courier->loaded, &endpoint->links.ready);
    else
        say(SAY_ERROR, "webhook_unreadable", "id=%s", id);
}

/* Lanes come grouped by endpoint, so each endpoint is searched for once. */
struct lane_loading {
    struct courier *courier;
    struct endpoint **by_number;
    size_t count;
    struct endpoint *last; /* the endpoint of the lane before */
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
    BISECT(low, high, middle, loading->by_number[middle]->row.number < number);
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

static size_t count_loaded(const struct courier *courier)
{
    size_t count = 0;
    list_each (&courier->loaded, node)
        count++;
    return count;
}

/* Cost: linear in lanes, and a binary search for each endpoint. Thousands of failing webhooks leave
 * hundreds of thousands of lanes. */
static int load_lanes(struct courier *courier)
{
    struct lane_loading loading = {.courier = courier};
    size_t count = count_loaded(courier);
    loading.by_number = mem_alloc((count + 1) * sizeof(struct endpoint *));
    list_each (&courier->loaded, node)
        loading.by_number[loading.count++] = container_of(node, struct endpoint, links.ready);
    qsort(loading.by_number, count, sizeof(struct endpoint *), compare_numbers);
    int result = registry_load_lanes(courier->registry, load_lane, &loading);
    free(loading.by_number);
    return result;
}

int opening_load(struct courier *courier)
{
    struct delivery_log *log = registry_delivery_log(courier->registry);
    int result = registry_load(courier->registry, load, courier);
    int counted = directory_count_by_subject(courier, (uint32_t)count_loaded(courier));
    result = result ? result : counted;
    courier->next_slot = 1;
    result = result ? result : load_lanes(courier);
    result = result ? result : delivery_log_newest(log, &courier->next_n);
    courier->next_n++;
    for (struct list *node; (node = list_take_first(&courier->loaded));) {
        struct endpoint *endpoint = container_of(node, struct endpoint, links.ready);
        if (!result)
            result = delivery_log_dead(log, endpoint->row.number, &endpoint->resends.dead);
        directory_add(endpoint);
        deliveries_begin(endpoint);
    }
    courier->revoked.mailbox = &courier->loop.mailbox;
    timer_set(&courier->loop, &courier->lease, 0);
    timer_set(&courier->loop, &courier->settle, SETTLE_MS);
    courier->has_opened = true;
    return result;
}
