#include "webhooks/wire/formats/formats.h"

#include "log/envelope.h"

static void add(struct buf *out, const struct event *event)
{
    struct json_writer writer = json_writer(out);
    envelope_write(&writer, event);
}

static void add_headers(struct header_lines *headers, const struct event *event)
{
    (void)event;
    header_lines_add(headers, "Content-Type", STR("application/json"));
}

/* The envelope. */
const struct body_format body_format_event = {
    .name = "event",
    .add = add,
    .write = envelope_write,
    .add_headers = add_headers,
};
