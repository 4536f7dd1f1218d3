/* Server-sent events (HTML, section 9.2). The data of the server's own records is always a JSON
 * object: common clients parse the data of every record as JSON, whatever its type. */
#include "transport/formats/formats.h"

#include "log/envelope.h"
#include "transport/formats/ops.h"

/* Adds a `data:` field for each line; CR, LF and CRLF all end a line (HTML, section 9.2.6). */
static void add_line(struct buf *out, struct str line)
{
    char *to = buf_reserve(out, 6 + line.len + 1); /* there may be a million of one byte each */
    if (!to)
        return;
    static const char field[6] = {'d', 'a', 't', 'a', ':', ' '};
    memcpy(to, field, sizeof(field));
    if (line.len)
        memcpy(to + 6, line.at, line.len);
    to[6 + line.len] = '\n';
    out->len += 6 + line.len + 1;
}

static bool is_one_line(struct str data)
{
    return !data.len || (!memchr(data.at, '\n', data.len) && !memchr(data.at, '\r', data.len));
}

static void add_lines(struct buf *out, struct str data)
{
    size_t start = 0;
    if (is_one_line(data)) { /* the usual case */
        add_line(out, data);
        return;
    }
    for (size_t i = 0; i <= data.len; i++) {
        if (i < data.len && data.at[i] != '\n' && data.at[i] != '\r')
            continue;
        add_line(out, (struct str){data.at + start, i - start});
        if (i + 1 < data.len && data.at[i] == '\r' && data.at[i + 1] == '\n')
            i++;
        start = i + 1;
    }
}

static void add_id(struct buf *out, uint64_t id)
{
    buf_add_lit(out, "id: ");
    buf_add_id(out, id);
    buf_add_char(out, '\n');
}

static void add_event_id(struct buf *out, const struct event *event)
{
    if (event->state != EVENT_EPHEMERAL)
        add_id(out, event->id);
}

static void write_event(struct format_out *out, const struct event *event)
{
    add_event_id(out->bytes, event);
    buf_add_lit(out->bytes, "data: ");
    envelope_add(out->bytes, event);
    buf_add_lit(out->bytes, "\n\n");
}

static void write_data(struct format_out *out, const struct event *event)
{
    struct buf *bytes = out->bytes;
    add_event_id(bytes, event);
    if (!str_eq(event->type, STR("message"))) {
        buf_add_lit(bytes, "event: ");
        buf_add_str(bytes, event->type);
        buf_add_char(bytes, '\n');
    }
    if (event->kind != EVENT_BINARY) {
        add_lines(bytes, event->data);
    } else {
        buf_add_lit(bytes, "data: ");
        envelope_add_data(bytes, event);
        buf_add_char(bytes, '\n');
    }
    buf_add_char(bytes, '\n');
}

/* The id and the data of one of the server's own records. */
static struct json_writer open_own(struct buf *out, uint64_t cursor)
{
    add_id(out, cursor);
    buf_add_lit(out, "data: ");
    struct json_writer writer = json_writer(out);
    json_object_begin(&writer);
    return writer;
}

static void close_own(struct json_writer *writer)
{
    json_object_end(writer);
    buf_add_lit(writer->out, "\n\n");
}

static void write_beat(struct format_out *out, uint64_t cursor)
{
    buf_add_lit(out->bytes, "event: $beat\n");
    struct json_writer data = open_own(out->bytes, cursor);
    json_member_id(&data, "cursor", cursor);
    close_own(&data);
}

static void write_first(struct format_out *out, const struct first_record *first)
{
    buf_addf(out->bytes, "retry: %llu\nevent: $beat\n", (unsigned long long)first->retry_ms);
    struct json_writer data = open_own(out->bytes, first->cursor);
    json_member_id(&data, "cursor", first->cursor);
    json_member_string(&data, "connection", first->connection);
    close_own(&data);
}

static void write_gap(struct format_out *out, const struct gap *gap)
{
    buf_add_lit(out->bytes, "event: $gap\n");
    struct json_writer data = open_own(out->bytes, gap->cursor);
    ops_write_gap(&data, gap->after, gap->earliest, gap->reason);
    close_own(&data);
}

static void write_bye(struct format_out *out, const struct goodbye *goodbye)
{
    buf_addf(out->bytes, "retry: %llu\nevent: $bye\n", (unsigned long long)goodbye->retry_ms);
    struct json_writer data = open_own(out->bytes, goodbye->cursor);
    json_member_string(&data, "reason", ending_reason(goodbye->why));
    close_own(&data);
}

const struct format format_sse = {
    .name = {"sse", 3},
    .counted_as = {"sse", 3},
    .content_type = {"text/event-stream", 17},
    .mechanism = MECHANISM_STREAM,
    .is_offered = true,
    .data_of_channel = true,
    .data_tells_all = true,
    .event = write_event,
    .data = write_data,
    .beat = write_beat,
    .first = write_first,
    .gap = write_gap,
    .bye = write_bye,
};
