#include "webhooks/endpoint/state_json.h"

#include "base/base64.h"
#include "base/rfc3339.h"
#include "base/utf8.h"
#include "webhooks/endpoint/lane.h"
#include "webhooks/endpoint/spec.h"

#include <inttypes.h>

/* How many events in memory are looked at to count what is owed; fewer with many patterns, since
 * each event is held against all of them. What that costs depends on the patterns and on the
 * channels' names, so that the time is bounded too: the clock is read after LAG_SLICE events. */
enum { ROWS_A_LINE = 2000, ROWS_ALL = 100000, PATTERNS_FEW = 4, LAG_US = 5000, LAG_SLICE = 16 };

static const char *state_name(const struct endpoint *endpoint)
{
    switch (endpoint->row.state) {
    case ENDPOINT_ACTIVE:
        break;
    case ENDPOINT_FAILING:
        return "failing";
    case ENDPOINT_PAUSED:
        return "paused";
    case ENDPOINT_DISABLED:
        return "disabled";
    }
    return "active";
}

static void add_text(struct buf *out, const char *name, const char *text)
{
    buf_addf(out, ",\"%s\":", name);
    buf_add_json(out, str_from(text));
}

static void add_position(struct buf *out, const char *name, uint64_t id)
{
    buf_addf(out, ",\"%s\":\"", name);
    buf_add_id(out, id);
    buf_add_char(out, '"');
}

static void add_time(struct buf *out, const char *name, int64_t us)
{
    buf_addf(out, ",\"%s\":\"", name);
    rfc3339_add(out, us);
    buf_add_char(out, '"');
}

static void add_header_name(void *context, const char *name, const char *value)
{
    struct buf *out = context;
    (void)value; /* may well be a credential */
    if (out->at[out->len - 1] != '[')
        buf_add_char(out, ',');
    buf_add_json(out, str_from(name));
}

struct lag {
    const struct endpoint *endpoint;
    uint64_t scanned;
    uint64_t count;
};

/* Below the scan only what is in a channel's lane is owed; ranges know their numbers themselves. */
static bool count_event(void *context, const struct event *event)
{
    struct lag *lag = context;
    if (event->id > lag->scanned) {
        lag->count++;
        return true;
    }
    const struct lane *lane =
        lane_find(lag->endpoint, lag->endpoint->row.options.batch ? STR("") : event->channel);
    lag->count += lane && event->id > lane->row.after;
    return true;
}

/* Counts what is owed above `from`, and returns how far it came. Names are looked up: only patterns
 * are held against each event. */
static uint64_t count_lag(struct lag *lag, uint64_t from, uint64_t rows)
{
    struct courier *courier = lag->endpoint->courier;
    struct window *window = &courier->hub.window;
    const struct selection *selection = lag->endpoint->made.selection;
    struct budget budget;
    if (!selection->patterns_count)
        return window_read(window, selection, from, rows, NULL, count_event, lag);
    budget_begin(&budget, courier->config.clock, LAG_US, INT64_MAX);
    for (uint64_t looked = 0; from < window->applied && looked < rows; looked += LAG_SLICE) {
        uint64_t through = window_read(window, selection, from, LAG_SLICE, NULL, count_event, lag);
        if (through <= from || !budget_spend(&budget, BUDGET_STRIDE))
            return through;
        from = through;
    }
    return from;
}

/* Adds the number of owed events in the window: exact if the cursor lies in it and there are not
 * too many, else a lower bound. */
static void add_lag(const struct endpoint *endpoint, struct buf *out, uint64_t cursor,
                    uint64_t rows)
{
    struct window *window = &endpoint->courier->hub.window;
    struct lag lag = {endpoint, endpoint_scanned(endpoint), 0};
    uint64_t through = window->applied, from = cursor < window->floor ? window->floor : cursor;
    rows /= 1 + endpoint->made.selection->patterns_count / PATTERNS_FEW;
    if (from < window->applied)
        through = count_lag(&lag, from, rows);
    bool exact = from == cursor && through >= window->applied;
    list_each (&endpoint->lanes.all, node) {
        const struct lane *lane = container_of(node, struct lane, node);
        if (lane->kind == LANE_RANGE &&
            lane->state != LANE_LEAVING) /* the scan is before those that leave */
            lag.count += lane->count;
    }
    buf_addf(out, ",\"lag\":%" PRIu64 ",\"lag_exact\":%s", lag.count, exact ? "true" : "false");
}

static void add_options(const struct endpoint *endpoint, struct buf *out)
{
    static const char *const formats[BODY_FORMATS] = {"event", "data", "cloudevents",
                                                      "cloudevents-binary"};
    const struct endpoint_options *options = &endpoint->row.options;
    int64_t timeout_ms =
        options->timeout_ms ? options->timeout_ms : endpoint->courier->config.timeout_ms;
    const char *comma = "";
    buf_addf(out, ",\"ordered\":%s,\"format\":\"%s\",\"batch\":%u,\"concurrency\":%u",
             options->ordered ? "true" : "false", formats[options->format], options->batch,
             options->concurrency);
    buf_addf(out, ",\"timeout\":%g,\"schedule\":[", (double)timeout_ms / 1000);
    for (size_t i = 0; i < endpoint->made.schedule.count; i++) {
        buf_addf(out, "%s%.15g", comma, (double)endpoint->made.schedule.delays_ms[i] / 1000);
        comma = ",";
    }
    buf_add_char(out, ']');
    if (!endpoint->row.pair.set)
        return;
    buf_add_lit(out, ",\"public_key\":\"");
    sign_pair_add_public(out, &endpoint->row.pair);
    buf_add_char(out, '"');
}

/* Channels that wait for an event that failed. */
static unsigned held_lanes(const struct endpoint *endpoint)
{
    unsigned held = 0;
    list_each (&endpoint->lanes.all, node)
        held += container_of(node, struct lane, node)->row.failures > 0;
    return held;
}

static void add_response(const struct endpoint *endpoint, struct buf *out)
{
    struct str response = buf_str(&endpoint->last.response);
    if (utf8_valid(response)) {
        buf_add_lit(out, ",\"response\":");
        buf_add_json(out, response);
    } else {
        buf_add_lit(out, ",\"response_base64\":\"");
        base64_add(out, response);
        buf_add_char(out, '"');
    }
}

static void add_last(const struct endpoint *endpoint, struct buf *out, enum tell tell)
{
    if (!endpoint->last.at_us)
        return;
    buf_add_lit(out, ",\"last\":{\"status\":");
    if (endpoint->last.status)
        buf_addf(out, "%d", endpoint->last.status);
    else
        buf_add_lit(out, "null");
    add_time(out, "time", endpoint->last.at_us);
    if (endpoint->last.error)
        add_text(out, "error", endpoint->last.error);
    if (tell != TELL_LINE && endpoint->last.response.len)
        add_response(endpoint, out);
    buf_add_char(out, '}');
}

/* When something is tried again; 0 when nothing waits for a time. */
static int64_t next_attempt_us(const struct endpoint *endpoint)
{
    int64_t next_us = 0;
    list_each (&endpoint->lanes.all, node) {
        int64_t at_us = container_of(node, struct lane, node)->row.next_us;
        if (at_us && (!next_us || at_us < next_us))
            next_us = at_us;
    }
    return next_us > endpoint->row.next_us ? next_us : endpoint->row.next_us;
}

static void add_progress(const struct endpoint *endpoint, struct buf *out, enum tell tell)
{
    uint64_t cursor = endpoint_cursor(endpoint);
    add_text(out, "state", state_name(endpoint));
    add_position(out, "cursor", cursor);
    add_position(out, "newest", hub_applied(&endpoint->courier->hub));
    add_lag(endpoint, out, cursor, tell == TELL_LINE ? ROWS_A_LINE : ROWS_ALL);
    buf_addf(out, ",\"inflight\":%u,\"held\":%u,\"dead\":%" PRIu64 ",\"circuit\":\"%s\"",
             endpoint->flow.inflight, held_lanes(endpoint), endpoint->resends.dead,
             endpoint_circuit_open(endpoint) ? "open" : "closed");
    buf_addf(out, ",\"failures\":%" PRIu64, endpoint->row.failures);
    int64_t next_us = next_attempt_us(endpoint);
    if (next_us && endpoint_runs(endpoint))
        add_time(out, "next_attempt", next_us);
    add_last(endpoint, out, tell);
}

void endpoint_tell(const struct endpoint *endpoint, struct buf *out, enum tell tell)
{
    const struct endpoint_row *row = &endpoint->row;
    buf_addf(out, "{\"id\":\"%s\"", row->id);
    add_text(out, "url", row->url);
    buf_add_lit(out, ",\"channels\":");
    buf_add_str(out, str_from(row->channels));
    buf_add_lit(out, ",\"types\":");
    buf_add_str(out, str_from(row->types));
    add_text(out, "description", row->description);
    buf_add_lit(out, ",\"header_names\":[");
    if (!buf_failed(out))
        spec_each_header(row->headers, add_header_name, out);
    buf_add_char(out, ']');
    if (tell == TELL_SECRET) {
        buf_add_lit(out, ",\"secret\":\"");
        sign_key_add(out, &row->key);
        buf_add_char(out, '"');
    }
    add_options(endpoint, out);
    if (row_is_websub(row)) {
        add_text(out, "topic", row->topic);
        add_time(out, "lease_until", row->lease_until_us);
    }
    add_time(out, "created", row->created_us);
    add_progress(endpoint, out, tell);
    buf_add_char(out, '}');
}
