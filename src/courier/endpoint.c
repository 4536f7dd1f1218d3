#include "courier/endpoint.h"

#include "base/say.h"
#include "courier/spec.h"

#include <stdlib.h>

enum { KEEP_MS = 50, KEEP_AGAIN_MS = 1000 };

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
    return selection && !lines.failed;
}

static void ring_retry(struct timer *timer)
{
    endpoint_ready(container_of(timer, struct endpoint, retry));
}

struct endpoint *endpoint_new(struct courier *courier, struct endpoint_row *row)
{
    struct endpoint *endpoint = mem_try_alloc(sizeof(*endpoint));
    if (!endpoint) {
        endpoint_row_free(row);
        return NULL;
    }
    *endpoint = (struct endpoint){.courier = courier, .row = *row, .retry = {.ring = ring_retry}};
    if (endpoint_prepare(endpoint))
        return endpoint;
    endpoint_free(endpoint);
    return NULL;
}

static void count_endpoints(struct courier *courier)
{
    atomic_store_explicit(&courier->stats.endpoints, courier->by_id.count, memory_order_relaxed);
}

void endpoint_free(struct endpoint *endpoint)
{
    struct courier *courier = endpoint->courier;
    pings_forget(endpoint);
    call_free(&endpoint->call);
    endpoint->hand = HAND_EMPTY;
    endpoint_let_go(endpoint);
    timer_stop(&endpoint->retry);
    list_remove(&endpoint->ready);
    list_remove(&endpoint->changed);
    if (list_linked(&endpoint->node)) {
        list_remove(&endpoint->node);
        map_remove(&courier->by_id, &endpoint->in_map);
        count_endpoints(courier);
    }
    buf_free(&endpoint->hand_body);
    buf_free(&endpoint->last_response);
    free_headers(endpoint);
    selection_unref(endpoint->selection);
    endpoint_row_free(&endpoint->row);
    free(endpoint);
}

void endpoint_add(struct endpoint *endpoint)
{
    struct courier *courier = endpoint->courier;
    list_add_last(&courier->endpoints, &endpoint->node);
    map_add(&courier->by_id, &endpoint->in_map, str_from(endpoint->row.id));
    count_endpoints(courier);
    endpoint_wait(endpoint);
}

struct endpoint *endpoint_find(const struct courier *courier, const char *id)
{
    struct map_node *node = map_find(&courier->by_id, str_from(id));
    return node ? container_of(node, struct endpoint, in_map) : NULL;
}

/* ---- keeping --------------------------------------------------------------------------------- */

void endpoint_changed(struct endpoint *endpoint)
{
    struct courier *courier = endpoint->courier;
    if (!list_linked(&endpoint->node)) /* deleted, or not there yet: kept as a whole */
        return;
    if (!list_linked(&endpoint->changed))
        list_add_last(&courier->changed, &endpoint->changed);
    if (!courier->keep_at_ns)
        courier->keep_at_ns = clock_now_ns(courier->config.clock) + KEEP_MS * INT64_C(1000000);
}

static int keep_all(struct courier *courier)
{
    int result = registry_begin(courier->registry);
    if (result)
        return result;
    list_each (&courier->changed, node) {
        struct endpoint *endpoint = container_of(node, struct endpoint, changed);
        if (!result)
            result = registry_progress(courier->registry, &endpoint->row);
    }
    return registry_commit(courier->registry, result);
}

void endpoints_keep(struct courier *courier, bool now)
{
    int64_t time_ns = clock_now_ns(courier->config.clock);
    if (list_empty(&courier->changed) || (!now && courier->keep_at_ns > time_ns))
        return;
    int result = keep_all(courier);
    if (result) {
        /* Deliveries go on: what is not kept is, after a crash, delivered again. */
        say(SAY_WARN, "webhooks_not_kept", "error=%d", -result);
        courier->keep_at_ns = time_ns + KEEP_AGAIN_MS * INT64_C(1000000);
        return;
    }
    while (list_take_first(&courier->changed))
        ;
    courier->keep_at_ns = 0;
}

uint64_t endpoint_cursor(const struct endpoint *endpoint)
{
    uint64_t cursor = endpoint->row.cursor;
    if (endpoint->hand != HAND_EMPTY || endpoint->chunk || endpoint->sub.state == SUB_NONE ||
        endpoint->stale)
        return cursor;
    uint64_t seen = hub_cursor(&endpoint->courier->hub, &endpoint->sub);
    return seen > cursor ? seen : cursor;
}

void endpoints_settle(struct courier *courier)
{
    list_each (&courier->endpoints, node) {
        struct endpoint *endpoint = container_of(node, struct endpoint, node);
        uint64_t cursor = endpoint_cursor(endpoint);
        if (cursor == endpoint->row.cursor)
            continue;
        endpoint->row.cursor = cursor;
        endpoint_changed(endpoint);
    }
}
