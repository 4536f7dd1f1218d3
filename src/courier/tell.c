#include "courier/endpoint.h"

#include "base/base64.h"
#include "base/rfc3339.h"
#include "base/utf8.h"
#include "courier/spec.h"

#include <inttypes.h>

/* How many events in memory are looked at to count what is owed. */
enum { ROWS_A_LINE = 2000, ROWS_ALL = 100000 };

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

static bool count_event(void *context, const struct event *event)
{
    (void)event;
    ++*(uint64_t *)context;
    return true;
}

/* What is owed, counted in the window: exact unless the cursor lies before it or there is too much.
 */
static void add_lag(const struct endpoint *endpoint, struct buf *out, uint64_t cursor,
                    uint64_t rows)
{
    struct window *window = &endpoint->courier->hub.window;
    uint64_t count = 0, through = window->applied,
             from = cursor < window->floor ? window->floor : cursor;
    if (from < window->applied)
        through = window_read(window, endpoint->selection, from, rows, count_event, &count);
    bool exact = from == cursor && through >= window->applied;
    buf_addf(out, ",\"lag\":%" PRIu64 ",\"lag_exact\":%s", count, exact ? "true" : "false");
}

static void add_response(const struct endpoint *endpoint, struct buf *out)
{
    struct str response = buf_str(&endpoint->last_response);
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
    if (!endpoint->last_us)
        return;
    buf_add_lit(out, ",\"last\":{\"status\":");
    if (endpoint->last_status)
        buf_addf(out, "%d", endpoint->last_status);
    else
        buf_add_lit(out, "null");
    add_time(out, "time", endpoint->last_us);
    if (endpoint->last_error)
        add_text(out, "error", endpoint->last_error);
    if (tell != TELL_LINE && endpoint->last_response.len)
        add_response(endpoint, out);
    buf_add_char(out, '}');
}

static void add_progress(const struct endpoint *endpoint, struct buf *out, enum tell tell)
{
    uint64_t cursor = endpoint_cursor(endpoint);
    add_text(out, "state", state_name(endpoint));
    add_position(out, "cursor", cursor);
    add_position(out, "newest", hub_applied(&endpoint->courier->hub));
    add_lag(endpoint, out, cursor, tell == TELL_LINE ? ROWS_A_LINE : ROWS_ALL);
    buf_addf(out, ",\"failures\":%" PRIu64, endpoint->row.failures);
    if (endpoint->row.next_us && endpoint_runs(endpoint))
        add_time(out, "next_attempt", endpoint->row.next_us);
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
    add_time(out, "created", row->created_us);
    add_progress(endpoint, out, tell);
    buf_add_char(out, '}');
}
