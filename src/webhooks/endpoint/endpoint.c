#include "webhooks/endpoint/endpoint.h"

#include "base/say.h"
#include "webhooks/endpoint/spec.h"

#include <stdlib.h>

/* ---- making and freeing ---------------------------------------------------------------------- */

static void free_headers(struct endpoint *endpoint)
{
    for (char **line = endpoint->headers; line && *line; line++)
        free(*line);
    free(endpoint->headers);
    endpoint->headers = NULL;
}

struct lines {
    char **lines;
    size_t count;
    bool failed;
};

static void add_line(void *context, const char *name, const char *value)
{
    struct lines *lines = context;
    /* curl's way to say a header without a value. */
    const char *between = *value ? ": " : ";";
    if (lines->count == SPEC_HEADERS_MAX)
        return;
    if (asprintf(&lines->lines[lines->count], "%s%s%s", name, between, value) < 0) {
        lines->lines[lines->count] = NULL;
        lines->failed = true;
        return;
    }
    lines->count++;
}

bool endpoint_prepare(struct endpoint *endpoint)
{
    struct lines lines = {.lines = mem_alloc((SPEC_HEADERS_MAX + 1) * sizeof(char *))};
    spec_each_header(endpoint->row.headers, add_line, &lines);
    struct selection *selection = spec_selection(endpoint->row.channels, endpoint->row.types);
    selection_unref(endpoint->selection);
    endpoint->selection = selection;
    free_headers(endpoint);
    endpoint->headers = lines.lines;
    endpoint->schedule = endpoint->courier->schedule;
    spec_schedule(endpoint->row.schedule, &endpoint->schedule);
    return selection && !lines.failed;
}

static void ring_wake(struct timer *timer)
{
    endpoint_ready(container_of(timer, struct endpoint, wake));
}

static void ring_probe(struct timer *timer)
{
    struct endpoint *endpoint = container_of(timer, struct endpoint, probe);
    endpoint->probe_due =
        true; /* looked for within the turn's budget: thousands may ring at once */
    endpoint_ready(endpoint);
}

static void call_endpoint(struct pool_waiter *waiter)
{
    endpoint_ready(container_of(waiter, struct endpoint, waiter));
}

static void call_ping(struct pool_waiter *waiter)
{
    ping_first(container_of(waiter, struct endpoint, ping_waiter));
}

static bool lane_is(const struct map_node *node, struct str key)
{
    return str_eq(str_from(container_of(node, const struct lane, in_map)->row.channel), key);
}

struct endpoint *endpoint_new(struct courier *courier, struct endpoint_row *row)
{
    struct endpoint *endpoint = mem_try_alloc(sizeof(*endpoint));
    if (!endpoint) {
        endpoint_row_free(row);
        return NULL;
    }
    *endpoint = (struct endpoint){.courier = courier,
                                  .row = *row,
                                  .window = WINDOW_FIRST,
                                  .standing = row->failures ? POOL_FAILING : POOL_NEW,
                                  .patience_ms = courier->config.patience_ms,
                                  .waiter = {.call = call_endpoint},
                                  .ping_waiter = {.call = call_ping},
                                  .wake = {.ring = ring_wake},
                                  .probe = {.ring = ring_probe}};
    map_init(&endpoint->by_channel, lane_is);
    list_init(&endpoint->lanes);
    list_init(&endpoint->due);
    list_init(&endpoint->lanes_changed);
    list_init(&endpoint->waiting);
    if (endpoint_prepare(endpoint))
        return endpoint;
    endpoint_free(endpoint);
    return NULL;
}

static void count_endpoints(struct courier *courier)
{
    atomic_store_explicit(&courier->stats.endpoints, courier->by_id.count, memory_order_relaxed);
}

static void take_out(struct endpoint *endpoint)
{
    struct courier *courier = endpoint->courier;
    list_remove(&endpoint->ready);
    list_remove(&endpoint->changed);
    if (!list_linked(&endpoint->node))
        return;
    listings_forget(endpoint);
    list_remove(&endpoint->node);
    map_remove(&courier->by_id, &endpoint->in_map);
    endpoint_forget_key(endpoint);
    count_endpoints(courier);
}

void endpoint_free(struct endpoint *endpoint)
{
    take_out(endpoint);
    requests_go_on(endpoint); /* waiting requests then find no endpoint */
    pings_forget(endpoint);
    list_each (&endpoint->lanes, node) {
        struct lane *lane = container_of(node, struct lane, node);
        lane->kept = false; /* the row on disk is gone with the endpoint's, or must stay */
        lane_free(lane);
    }
    endpoint_let_go(endpoint);
    pool_forget(&endpoint->courier->pool, &endpoint->waiter);
    pool_forget(&endpoint->courier->pool, &endpoint->ping_waiter);
    timer_stop(&endpoint->wake);
    timer_stop(&endpoint->probe);
    endpoint_forget_carried(endpoint);
    map_deinit(&endpoint->by_channel);
    buf_free(&endpoint->last_response);
    free_headers(endpoint);
    selection_unref(endpoint->selection);
    endpoint_row_free(&endpoint->row);
    free(endpoint);
}

/* Begins after a start: lanes that failed wait on, the others continue at once. */
static void begin(struct endpoint *endpoint)
{
    endpoint_mend_lanes(endpoint);
    list_each (&endpoint->lanes, node) {
        struct lane *lane = container_of(node, struct lane, node);
        lane->row.endpoint = endpoint->row.number;
        if (lane->row.failures && endpoint->row.failures)
            endpoint->struck++;
        lane_look(lane);
    }
    if (endpoint_circuit_open(endpoint))
        timer_set(&endpoint->courier->loop, &endpoint->probe, 1000);
    endpoint_ready(endpoint);
}

void endpoint_add(struct endpoint *endpoint)
{
    struct courier *courier = endpoint->courier;
    list_add_last(&courier->endpoints, &endpoint->node);
    map_add(&courier->by_id, &endpoint->in_map, str_from(endpoint->row.id));
    endpoint_remember_key(endpoint);
    count_endpoints(courier);
    begin(endpoint);
}

struct endpoint *endpoint_find(const struct courier *courier, const char *id)
{
    struct map_node *node = map_find(&courier->by_id, str_from(id));
    return node ? container_of(node, struct endpoint, in_map) : NULL;
}

/* ---- positions ------------------------------------------------------------------------------- */

uint64_t endpoint_scanned(const struct endpoint *endpoint)
{
    uint64_t cursor = endpoint->row.cursor;
    if (endpoint->chunk || endpoint->gap || endpoint->sub.state == SUB_NONE)
        return cursor;
    uint64_t seen = hub_cursor(&endpoint->courier->hub, &endpoint->sub);
    return seen > cursor ? seen : cursor;
}

uint64_t endpoint_cursor(const struct endpoint *endpoint)
{
    uint64_t cursor = endpoint_scanned(endpoint);
    list_each (&endpoint->lanes, node) {
        const struct lane *lane = container_of(node, struct lane, node);
        if (lane->kind != LANE_LETTER && lane->kind != LANE_GAP && lane->row.after < cursor)
            cursor = lane->row.after;
    }
    return cursor;
}
