#include "webhooks/endpoint/state_json.h"

#include "webhooks/endpoint/lane.h"
#include "webhooks/endpoint/spec.h"

#include <stdio.h>

/* Events in memory that are examined to count the lag; fewer if there are many patterns, each of
 * which is compared with each event. The cost depends on patterns and names, so the time is bounded
 * too: the clock is read after LAG_SLICE events. */
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

static void write_header_name(void *context, const char *name, const char *value)
{
    (void)value; /* may well be a credential */
    json_add_string(context, str_from(name));
}

struct lag {
    const struct endpoint *endpoint;
    uint64_t scanned;
    uint64_t count;
};

/* Below the scan, only events in the lane of their channel count; ranges have counts of their own.
 */
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

/* Counts the lag above `from`, and returns how far it came. Names are looked up in a table; only
 * patterns are compared with each event. */
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

/* Writes the lag: exact if the cursor lies in the window and there are not too many events, else a
 * lower bound. */
static void write_lag(const struct endpoint *endpoint, struct json_writer *writer, uint64_t cursor,
                      uint64_t rows)
{
    struct window *window = &endpoint->courier->hub.window;
    struct lag lag = {endpoint, endpoint_scanned(endpoint), 0};
    uint64_t through = window->applied,
             from = cursor < window->held_above ? window->held_above : cursor;
    rows /= 1 + endpoint->made.selection->patterns_count / PATTERNS_FEW;
    if (from < window->applied)
        through = count_lag(&lag, from, rows);
    bool exact = from == cursor && through >= window->applied;
    list_each (&endpoint->lanes.all, node) {
        const struct lane *lane = container_of(node, struct lane, node);
        /* The scan stands before the events of leaving lanes, so they are counted already. */
        if (lane->kind == LANE_RANGE && lane->state != LANE_LEAVING)
            lag.count += lane->count;
    }
    json_member_number(writer, "lag", lag.count);
    json_member_bool(writer, "lag_exact", exact);
}

static void write_schedule(const struct schedule *schedule, struct json_writer *writer)
{
    json_name(writer, "schedule");
    json_array_begin(writer);
    for (size_t i = 0; i < schedule->count; i++)
        json_add_real(writer, (double)schedule->delays_ms[i] / 1000);
    json_array_end(writer);
}

static void write_options(const struct endpoint *endpoint, struct json_writer *writer)
{
    const struct endpoint_options *options = &endpoint->row.options;
    int64_t timeout_ms =
        options->timeout_ms ? options->timeout_ms : endpoint->courier->config.timeout_ms;
    json_member_bool(writer, "ordered", options->ordered);
    json_member_string(writer, "format",
                       str_from(body_format_of((enum body_format_id)options->format)->name));
    json_member_number(writer, "batch", options->batch);
    json_member_number(writer, "concurrency", options->concurrency);
    json_member_real(writer, "timeout", (double)timeout_ms / 1000);
    write_schedule(&endpoint->made.schedule, writer);
    if (!endpoint->row.pair.set)
        return;
    struct buf key = {0};
    sign_pair_add_public(&key, &endpoint->row.pair);
    json_member_string(writer, "public_key", buf_str(&key));
    buf_free(&key);
}

/* Lists the channels that wait for a failed event. */
static unsigned held_lanes(const struct endpoint *endpoint)
{
    unsigned held = 0;
    list_each (&endpoint->lanes.all, node)
        held += container_of(node, struct lane, node)->row.failures > 0;
    return held;
}

static void write_last(const struct endpoint *endpoint, struct json_writer *writer,
                       enum state_detail detail)
{
    if (!endpoint->last.at_us)
        return;
    json_name(writer, "last");
    json_object_begin(writer);
    json_member_number_or_null(writer, "status", (uint64_t)endpoint->last.status);
    json_member_time(writer, "time", endpoint->last.at_us);
    if (endpoint->last.error)
        json_member_string(writer, "error", str_from(endpoint->last.error));
    if (detail != STATE_LINE)
        json_member_bytes(writer, "response", buf_str(&endpoint->last.response));
    json_object_end(writer);
}

/* When the next retry is due; 0: none is. */
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

static void write_progress(const struct endpoint *endpoint, struct json_writer *writer,
                           enum state_detail detail)
{
    uint64_t cursor = endpoint_cursor(endpoint);
    json_member_string(writer, "state", str_from(state_name(endpoint)));
    json_member_id(writer, "cursor", cursor);
    json_member_id(writer, "newest", hub_applied(&endpoint->courier->hub));
    write_lag(endpoint, writer, cursor, detail == STATE_LINE ? ROWS_A_LINE : ROWS_ALL);
    json_member_number(writer, "inflight", endpoint->flow.inflight);
    json_member_number(writer, "held", held_lanes(endpoint));
    json_member_number(writer, "dead", endpoint->resends.dead);
    json_member_string(writer, "circuit",
                       endpoint_circuit_open(endpoint) ? STR("open") : STR("closed"));
    json_member_number(writer, "failures", endpoint->row.failures);
    int64_t next_us = next_attempt_us(endpoint);
    if (next_us && endpoint_runs(endpoint))
        json_member_time(writer, "next_attempt", next_us);
    write_last(endpoint, writer, detail);
}

static void write_secret(const struct endpoint_row *row, struct json_writer *writer)
{
    struct buf secret = {0};
    sign_key_add(&secret, &row->key);
    json_member_string(writer, "secret", buf_str(&secret));
    buf_free(&secret);
}

static void write_header_names(const struct endpoint_row *row, struct json_writer *writer)
{
    json_name(writer, "header_names");
    json_array_begin(writer);
    spec_each_header(row->headers, write_header_name, writer);
    json_array_end(writer);
}

void endpoint_state_write(const struct endpoint *endpoint, struct json_writer *writer,
                          enum state_detail detail)
{
    const struct endpoint_row *row = &endpoint->row;
    json_object_begin(writer);
    json_member_string(writer, "id", str_from(row->id));
    json_member_string(writer, "url", str_from(row->url));
    json_member_raw(writer, "channels", str_from(row->channels));
    json_member_raw(writer, "types", str_from(row->types));
    json_member_string(writer, "description", str_from(row->description));
    write_header_names(row, writer);
    if (detail == STATE_SECRET)
        write_secret(row, writer);
    write_options(endpoint, writer);
    if (row_is_websub(row)) {
        json_member_string(writer, "topic", str_from(row->topic));
        json_member_time(writer, "lease_until", row->lease_until_us);
    }
    json_member_time(writer, "created", row->created_us);
    write_progress(endpoint, writer, detail);
    json_object_end(writer);
}

void endpoint_state_answer(const struct endpoint *endpoint, struct courier_request *request,
                           enum state_detail detail)
{
    struct json_writer writer = json_writer(&request->answer);
    snprintf(request->id, sizeof(request->id), "%s", endpoint->row.id);
    endpoint_state_write(endpoint, &writer, detail);
}
