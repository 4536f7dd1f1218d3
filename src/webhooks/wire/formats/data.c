#include "webhooks/wire/formats/formats.h"

#include "base/rfc3339.h"
#include "log/envelope.h"

static void add(struct buf *out, const struct event *event)
{
    buf_add_str(out, event->data);
}

/* Adds the members of an envelope. */
static void add_headers(struct header_lines *headers, const struct event *event)
{
    struct buf time = {0};
    header_lines_add_type(headers, event);
    header_lines_add_encoded(headers, "Event-Channel", event->channel);
    header_lines_add_encoded(headers, "Event-Type", event->type);
    rfc3339_add(&time, event->time_us);
    header_lines_add(headers, "Event-Time", buf_str(&time));
    headers->failed = headers->failed || buf_failed(&time);
    buf_free(&time);
}

/* The data alone. */
const struct body_format body_format_data = {
    .name = "data",
    .add = add,
    .write = envelope_write_data,
    .add_headers = add_headers,
};
