#include "log/envelope.h"

static void write_base64_members(struct json_writer *writer, const struct event *event)
{
    json_member_string(writer, "content_type", event->content_type);
    json_member_base64(writer, "data_base64", event->data);
}

void envelope_write_data(struct json_writer *writer, const struct event *event)
{
    if (event->kind == EVENT_JSON) {
        json_add_raw(writer, event->data);
    } else if (event->kind == EVENT_TEXT) {
        json_add_string(writer, event->data);
    } else {
        json_object_begin(writer);
        write_base64_members(writer, event);
        json_object_end(writer);
    }
}

static void write_data_member(struct json_writer *writer, const struct event *event)
{
    if (event->kind == EVENT_BINARY) {
        write_base64_members(writer, event);
        return;
    }
    if (event->content_type.len)
        json_member_string(writer, "content_type", event->content_type);
    json_name(writer, "data");
    envelope_write_data(writer, event);
}

void envelope_write(struct json_writer *writer, const struct event *event)
{
    json_object_begin(writer);
    if (event->state != EVENT_EPHEMERAL) {
        json_member_id(writer, "id", event->id);
        json_member_id(writer, "prev", event->prev);
    }
    json_member_string(writer, "channel", event->channel);
    json_member_string(writer, "type", event->type);
    json_member_time(writer, "time", event->time_us);
    write_data_member(writer, event);
    if (event->from.len)
        json_member_string(writer, "from", event->from);
    json_object_end(writer);
}

void envelope_add(struct buf *out, const struct event *event)
{
    struct json_writer writer = json_writer(out);
    envelope_write(&writer, event);
}

void envelope_add_data(struct buf *out, const struct event *event)
{
    struct json_writer writer = json_writer(out);
    envelope_write_data(&writer, event);
}
