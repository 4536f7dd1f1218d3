#include "webhooks/wire/formats/formats.h"

#include "base/rfc3339.h"
#include "log/envelope.h"

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           strchr("-._~/", c) != NULL;
}

/* A URI-reference for people: where to look for the event. */
static void add_source(struct buf *out, struct str channel)
{
    buf_add_lit(out, "/channels/");
    for (size_t i = 0; i < channel.len; i++) {
        if (channel.at[i] && is_unreserved(channel.at[i]))
            buf_add_char(out, channel.at[i]);
        else
            header_lines_add_percent(out, channel.at[i]);
    }
}

static void write_source(struct json_writer *writer, struct str channel)
{
    struct buf source = {0};
    add_source(&source, channel);
    json_member_string(writer, "source", buf_str(&source));
    writer->out->failed |= buf_failed(&source);
    buf_free(&source);
}

/* ---- structured ------------------------------------------------------------------------------ */

static void write(struct json_writer *writer, const struct event *event)
{
    json_object_begin(writer);
    json_member_string(writer, "specversion", STR("1.0"));
    json_member_id(writer, "id", event->id);
    write_source(writer, event->channel);
    json_member_string(writer, "type", event->type);
    json_member_time(writer, "time", event->time_us);
    json_member_string(writer, "subject", event->channel);
    json_member_id(writer, "sequence", event->id);
    json_member_string(writer, "datacontenttype", event_media_type(event));
    if (event->from.len)
        json_member_string(writer, "from", event->from);
    if (event->kind == EVENT_BINARY) {
        json_member_base64(writer, "data_base64", event->data);
    } else {
        json_name(writer, "data");
        envelope_write_data(writer, event);
    }
    json_object_end(writer);
}

static void add(struct buf *out, const struct event *event)
{
    struct json_writer writer = json_writer(out);
    write(&writer, event);
}

static void add_headers(struct header_lines *headers, const struct event *event)
{
    (void)event;
    header_lines_add(headers, "Content-Type", STR("application/cloudevents+json"));
}

const struct body_format body_format_cloudevents = {
    .name = "cloudevents",
    .is_of_cloudevents = true,
    .add = add,
    .write = write,
    .page_type = "application/cloudevents-batch+json",
    .add_headers = add_headers,
};

/* ---- binary: attributes as header fields ----------------------------------------------------- */

static void add_data(struct buf *out, const struct event *event)
{
    buf_add_str(out, event->data);
}

static void add_attributes(struct header_lines *headers, const struct event *event)
{
    struct buf text = {0};
    header_lines_add(headers, "ce-specversion", STR("1.0"));
    buf_add_id(&text, event->id);
    header_lines_add(headers, "ce-id", buf_str(&text));
    header_lines_add(headers, "ce-sequence", buf_str(&text));
    buf_clear(&text);
    add_source(&text, event->channel);
    header_lines_add(headers, "ce-source", buf_str(&text));
    buf_clear(&text);
    rfc3339_add(&text, event->time_us);
    header_lines_add(headers, "ce-time", buf_str(&text));
    headers->failed = headers->failed || buf_failed(&text);
    buf_free(&text);
    header_lines_add_encoded(headers, "ce-type", event->type);
    header_lines_add_encoded(headers, "ce-subject", event->channel);
    if (event->from.len)
        header_lines_add_encoded(headers, "ce-from", event->from);
    header_lines_add_type(headers, event);
}

const struct body_format body_format_cloudevents_binary = {
    .name = "cloudevents-binary",
    .is_for_one = true,
    .is_of_cloudevents = true,
    .add = add_data,
    .add_headers = add_attributes,
};
