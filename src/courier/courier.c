/* The courier's thread. A turn: the loop opens mail (batches, requests) and tells curl of its
 * sockets; calls that have ended move their endpoints on; whoever may have something to do looks at
 * the hub; what has changed is kept, in groups.
 *
 * What can go wrong: after a crash, events that were delivered and not yet kept are delivered again
 * (at least once); a disk that cannot be written delays the keeping and nothing else; a receiver
 * that fails holds up itself alone. */
#include "courier/courier.h"

#include "base/say.h"
#include "courier/endpoint.h"
#include "log/envelope.h"

#include <errno.h>
#include <stdlib.h>

enum {
    ENDPOINTS_DEFAULT = 1000,
    TIMEOUT_DEFAULT_MS = 15000,
    CHUNK_MAX = 64 << 10, /* an endpoint holds a chunk while it delivers; there may be a thousand */
    SETTLE_MS = 10000,
    STOP_MS = 2000,
};

static void encode(void *context, unsigned encoding, struct buf *out, const struct event *event)
{
    (void)context;
    (void)encoding;
    envelope_add(out, event);
}

static void on_batch(void *owner, struct batch *batch)
{
    struct courier *courier = owner;
    hub_on_batch(&courier->hub, batch);
}

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

/* ---- opening -------------------------------------------------------------------------------- */

static void set_up(struct courier *courier, const struct courier_config *config)
{
    *courier = (struct courier){.config = *config, .settle = {.ring = ring_settle}};
    list_init(&courier->endpoints);
    list_init(&courier->ready);
    list_init(&courier->changed);
    list_init(&courier->pings);
    map_init(&courier->by_id, id_is);
    schedule_init(&courier->schedule);
    if (config->schedule_ms && config->schedule_count) {
        size_t count =
            config->schedule_count < SCHEDULE_MAX ? config->schedule_count : SCHEDULE_MAX;
        memcpy(courier->schedule.delays_ms, config->schedule_ms, count * sizeof(int64_t));
        courier->schedule.count = count;
    }
    if (!config->timeout_ms)
        courier->config.timeout_ms = TIMEOUT_DEFAULT_MS;
    if (!config->endpoints_max)
        courier->config.endpoints_max = ENDPOINTS_DEFAULT;
    if (config->hub.chunk_bytes > CHUNK_MAX)
        courier->config.hub.chunk_bytes = CHUNK_MAX;
}

static void load(void *context, struct endpoint_row *row)
{
    struct courier *courier = context;
    char id[ENDPOINT_ID_LEN + 1];
    memcpy(id, row->id, sizeof(id));
    struct endpoint *endpoint = endpoint_new(courier, row);
    if (endpoint)
        endpoint_add(endpoint);
    else
        say(SAY_ERROR, "webhook_unreadable", "id=%s", id);
}

static int open_client(struct courier *courier)
{
    struct address_policy policy = {.loopback = courier->config.allow_loopback,
                                    .networks = courier->config.networks,
                                    .networks_count = courier->config.networks_count};
    return client_init(&courier->client, &courier->loop, &policy, courier->config.timeout_ms);
}

/* The hub last: once attached to the log it has to stay. */
static int open_parts(struct courier *courier)
{
    int result = registry_open(courier->config.dir, &courier->registry);
    if (result)
        return result;
    result = open_client(courier);
    if (!result)
        result = hub_init(&courier->hub, courier->config.log, courier->config.clock,
                          &courier->loop.mailbox, &courier->config.hub, encode, NULL, on_batch);
    if (!result)
        return 0;
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
        free(courier);
        return result;
    }
    timer_set(&courier->loop, &courier->settle, SETTLE_MS);
    *ret_courier = courier;
    /* What cannot be read now is no reason to lose it: the server does not start. */
    return registry_load(courier->registry, load, courier);
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
    if (!list_empty(&courier->ready))
        return 0;
    if (courier->keep_at_ns)
        ms = shorter(ms, until_ms(courier, courier->keep_at_ns));
    if (courier->stopping)
        ms = shorter(ms, until_ms(courier, courier->stop_at_ns));
    return ms;
}

static void turn(struct courier *courier)
{
    loop_turn(&courier->loop, wait_ms(courier));
    client_turn(&courier->client);
    endpoints_go(courier);
    hub_turn_end(&courier->hub);
    endpoints_keep(courier, false);
    atomic_store_explicit(&courier->stats.inflight, courier->client.inflight, memory_order_relaxed);
}

static bool is_done(const struct courier *courier)
{
    if (!courier->stopping || courier->searches)
        return false;
    return !courier->client.inflight || clock_now_ns(courier->config.clock) >= courier->stop_at_ns;
}

static void end(struct courier *courier)
{
    pings_end(courier);
    endpoints_settle(courier);
    endpoints_keep(courier, true);
    list_each (&courier->endpoints, node)
        endpoint_free(container_of(node, struct endpoint, node));
    client_deinit(&courier->client);
    registry_close(courier->registry);
    courier->registry = NULL;
}

static void *courier_main(void *arg)
{
    struct courier *courier = arg;
    while (!is_done(courier))
        turn(courier);
    end(courier);
    return NULL;
}

int courier_start(struct courier *courier)
{
    return -pthread_create(&courier->thread, NULL, courier_main, courier);
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
        end(courier); /* it was never started */
    while (mailbox_empty(&courier->loop.mailbox))
        ;
    hub_deinit(&courier->hub);
    map_deinit(&courier->by_id);
    loop_deinit(&courier->loop);
    free(courier);
}

const struct courier_stats *courier_stats(const struct courier *courier)
{
    return &courier->stats;
}
