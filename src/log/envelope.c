#include "log/envelope.h"

#include "base/base64.h"
#include "base/rfc3339.h"

static void add_base64_members(struct buf *out, const struct event *event)
{
    buf_add_lit(out, "\"content_type\":");
    buf_add_json(out, event->content_type);
    buf_add_lit(out, ",\"data_base64\":\"");
    base64_add(out, event->data);
    buf_add_char(out, '"');
}

void envelope_add_data(struct buf *out, const struct event *event)
{
    if (event->kind == EVENT_JSON) {
        buf_add_str(out, event->data);
    } else if (event->kind == EVENT_TEXT) {
        buf_add_json(out, event->data);
    } else {
        buf_add_char(out, '{');
        add_base64_members(out, event);
        buf_add_char(out, '}');
    }
}

static void add_data_member(struct buf *out, const struct event *event)
{
    if (event->kind == EVENT_BINARY) {
        add_base64_members(out, event);
        return;
    }
    if (event->content_type.len) {
        buf_add_lit(out, "\"content_type\":");
        buf_add_json(out, event->content_type);
        buf_add_char(out, ',');
    }
    buf_add_lit(out, "\"data\":");
    envelope_add_data(out, event);
}

void envelope_add(struct buf *out, const struct event *event)
{
    buf_add_char(out, '{');
    if (event->state != EVENT_EPHEMERAL) {
        buf_add_lit(out, "\"id\":\"");
        buf_add_id(out, event->id);
        buf_add_lit(out, "\",\"prev\":\"");
        buf_add_id(out, event->prev);
        buf_add_lit(out, "\",");
    }
    buf_add_lit(out, "\"channel\":");
    buf_add_json(out, event->channel);
    buf_add_lit(out, ",\"type\":\"");
    buf_add_str(out, event->type);
    buf_add_lit(out, "\",\"time\":\"");
    rfc3339_add(out, event->time_us);
    buf_add_lit(out, "\",");
    add_data_member(out, event);
    if (event->from.len) {
        buf_add_lit(out, ",\"from\":");
        buf_add_json(out, event->from);
    }
    buf_add_char(out, '}');
}
