#include "webhooks/endpoint/endpoint.h"

#include "webhooks/endpoint/lane.h"
#include "webhooks/endpoint/spec.h"

#include <assert.h>
#include <stdlib.h>

/* ---- making and freeing ---------------------------------------------------------------------- */

static void free_headers(struct endpoint *endpoint)
{
    for (char **line = endpoint->made.headers; line && *line; line++)
        free(*line);
    free(endpoint->made.headers);
    endpoint->made.headers = NULL;
}

struct lines {
    char **lines;
    size_t count;
    bool failed;
};

static void add_line(void *context, const char *name, const char *value)
{
    struct lines *lines = context;
    /* curl's syntax for a header with an empty value. */
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
    selection_unref(endpoint->made.selection);
    endpoint->made.selection = selection;
    free_headers(endpoint);
    endpoint->made.headers = lines.lines;
    endpoint->made.schedule = endpoint->courier->schedule;
    spec_schedule(endpoint->row.schedule, &endpoint->made.schedule);
    return selection && !lines.failed;
}

static void ring_wake(struct timer *timer)
{
    endpoint_ready(container_of(timer, struct endpoint, scan.wake));
}

static void ring_probe(struct timer *timer)
{
    struct endpoint *endpoint = container_of(timer, struct endpoint, circuit.probe);
    endpoint->circuit.probe_due =
        true; /* look at its lanes within the turn's budget: thousands of timers may ring at once */
    endpoint_ready(endpoint);
}

static void call_endpoint(struct pool_waiter *waiter)
{
    endpoint_ready(container_of(waiter, struct endpoint, flow.waiter));
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
    *endpoint = (struct endpoint){
        .courier = courier,
        .row = *row,
        .scan = {.wake = {.ring = ring_wake}},
        .flow = {.window = WINDOW_FIRST,
                 .standing = row->failures ? POOL_FAILING : POOL_NEW,
                 .patience_ms = courier->config.patience_ms,
                 .waiter = {.call = call_endpoint}},
        .circuit = {.probe = {.ring = ring_probe}},
    };
    map_init(&endpoint->lanes.by_channel, lane_is);
    list_init(&endpoint->lanes.all);
    list_init(&endpoint->lanes.due);
    list_init(&endpoint->lanes.changed);
    list_init(&endpoint->change.waiting);
    if (endpoint_prepare(endpoint))
        return endpoint;
    endpoint_free(endpoint);
    return NULL;
}

void endpoint_free(struct endpoint *endpoint)
{
    assert(list_empty(&endpoint->lanes.all) && !list_linked(&endpoint->links.node));
    list_remove(&endpoint->links.ready);
    list_remove(&endpoint->links.changed);
    list_remove(&endpoint->links.visit);
    quota_give(&endpoint->courier->subjects, endpoint->links.place);
    hub_unsubscribe(&endpoint->courier->hub, &endpoint->scan.sub);
    endpoint->scan.chunk = chunk_unref(endpoint->scan.chunk);
    pool_forget(&endpoint->courier->pool, &endpoint->flow.waiter);
    pool_forget(&endpoint->courier->pool, &endpoint->flow.ping_waiter);
    timer_stop(&endpoint->scan.wake);
    timer_stop(&endpoint->circuit.probe);
    carried_forget(&endpoint->scan.carried);
    map_deinit(&endpoint->lanes.by_channel);
    buf_free(&endpoint->last.response);
    free_headers(endpoint);
    selection_unref(endpoint->made.selection);
    endpoint_row_free(&endpoint->row);
    free(endpoint);
}

/* ---- readiness and terms --------------------------------------------------------------------- */

void endpoint_ready(struct endpoint *endpoint)
{
    if (!list_linked(&endpoint->links.node)) /* not among the others (yet) */
        return;
    list_remove(&endpoint->links.ready);
    list_add_last(&endpoint->courier->ready, &endpoint->links.ready);
}

void endpoint_look_again(struct endpoint *endpoint, int64_t ms)
{
    timer_set(&endpoint->courier->loop, &endpoint->scan.wake,
              ms < SCHEDULE_DAY_MS ? ms : SCHEDULE_DAY_MS);
}

void endpoint_note(struct endpoint *endpoint, const struct call *call)
{
    endpoint->last.status = call->status;
    endpoint->last.error = call->error;
    endpoint->last.at_us = courier_wall_us(endpoint->courier);
    buf_clear(&endpoint->last.response);
    buf_add_str(&endpoint->last.response, buf_str(&call->response));
}

struct body_terms endpoint_terms(const struct endpoint *endpoint)
{
    const struct endpoint_row *row = &endpoint->row;
    struct courier *courier = endpoint->courier;
    return (struct body_terms){.format = (enum body_format_id)row->options.format,
                               .batch = row->options.batch,
                               .key = &row->key,
                               .pair = &row->pair,
                               .olds = &row->olds,
                               .headers = endpoint->made.headers,
                               .origin = courier->origin,
                               .topic = row_is_websub(row) ? row->topic : NULL,
                               .hub_secret = row->hub_secret,
                               .base = courier->config.base,
                               .wall_us = courier_wall_us(courier),
                               .now_us = courier_now_us(courier)};
}

/* ---- positions ------------------------------------------------------------------------------- */

uint64_t endpoint_scanned(const struct endpoint *endpoint)
{
    uint64_t cursor = endpoint->row.cursor;
    if (endpoint->scan.chunk || endpoint->scan.gap || endpoint->scan.sub.state == SUB_NONE)
        return cursor;
    uint64_t seen = hub_cursor(&endpoint->courier->hub, &endpoint->scan.sub);
    return seen > cursor ? seen : cursor;
}
