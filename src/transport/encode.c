#include "transport/encode.h"

#include "http/body.h"
#include "log/envelope.h"

enum { KIND_MASK = 7, DATA = 8, CHUNKED = 16, WINDOW_SHIFT = 5 };

unsigned encode_way(enum encode_kind kind, bool data, bool chunked, unsigned window_bits)
{
    return (unsigned)kind | (data ? DATA : 0) | (chunked ? CHUNKED : 0) |
           window_bits << WINDOW_SHIFT;
}

static enum encode_kind kind_of(unsigned way)
{
    return (enum encode_kind)(way & KIND_MASK);
}

/* ---- server-sent events ---------------------------------------------------------------------- */

/* Adds a `data:` field for each line; CR, LF and CRLF all end a line (HTML, section 9.2.6). */
static void add_sse_line(struct buf *out, struct str line)
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

static void add_sse_data(struct buf *out, struct str data)
{
    size_t start = 0;
    if (is_one_line(data)) { /* the usual case */
        add_sse_line(out, data);
        return;
    }
    for (size_t i = 0; i <= data.len; i++) {
        if (i < data.len && data.at[i] != '\n' && data.at[i] != '\r')
            continue;
        add_sse_line(out, (struct str){data.at + start, i - start});
        if (i + 1 < data.len && data.at[i] == '\r' && data.at[i + 1] == '\n')
            i++;
        start = i + 1;
    }
}

static void add_sse_id(struct buf *out, uint64_t id)
{
    buf_add_lit(out, "id: ");
    buf_add_id(out, id);
    buf_add_char(out, '\n');
}

static void add_sse_envelope(struct buf *out, const struct event *event)
{
    buf_add_lit(out, "data: ");
    envelope_add(out, event);
    buf_add_char(out, '\n');
}

static void add_sse(struct buf *out, bool data, const struct event *event)
{
    if (event->state != EVENT_EPHEMERAL)
        add_sse_id(out, event->id);
    if (!data) {
        add_sse_envelope(out, event);
    } else {
        if (!str_eq(event->type, STR("message"))) {
            buf_add_lit(out, "event: ");
            buf_add_str(out, event->type);
            buf_add_char(out, '\n');
        }
        if (event->kind != EVENT_BINARY) {
            add_sse_data(out, event->data);
        } else {
            buf_add_lit(out, "data: ");
            envelope_add_data(out, event);
            buf_add_char(out, '\n');
        }
    }
    buf_add_char(out, '\n');
}

/* ---- WebSocket ------------------------------------------------------------------------------- */

static void add_message(void *context, unsigned way, struct buf *out, enum ws_opcode opcode,
                        struct str payload)
{
    ws_add_message(out, context, way >> WINDOW_SHIFT, opcode, payload);
}

static void add_text(void *context, unsigned way, struct buf *out, struct buf *payload)
{
    if (buf_failed(payload))
        out->failed = true;
    else
        add_message(context, way, out, WS_TEXT, buf_str(payload));
    buf_free(payload);
}

/* Begins {"op":"…", which the caller ends. */
static struct json_writer open_op(struct buf *out, const char *op)
{
    struct json_writer writer = json_writer(out);
    json_object_begin(&writer);
    json_member_string(&writer, "op", str_from(op));
    return writer;
}

static void add_socket(void *context, unsigned way, struct buf *out, const struct event *event)
{
    if (way & DATA) {
        enum ws_opcode opcode = event->kind == EVENT_BINARY ? WS_BINARY : WS_TEXT;
        add_message(context, way, out, opcode, event->data);
        return;
    }
    struct buf payload = {0};
    envelope_add(&payload, event);
    add_text(context, way, out, &payload);
}

static void add_protocol(void *context, unsigned way, struct buf *out, const struct event *event)
{
    struct buf payload = {0};
    struct json_writer writer = open_op(&payload, "event");
    json_name(&writer, "event");
    envelope_write(&writer, event);
    json_object_end(&writer);
    add_text(context, way, out, &payload);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static void add_json_or_envelope(struct buf *out, bool data, const struct event *event)
{
    if (data)
        envelope_add_data(out, event);
    else
        envelope_add(out, event);
}

static void add_plain(void *context, unsigned way, struct buf *out, const struct event *event)
{
    bool data = way & DATA;
    switch (kind_of(way)) {
    case ENCODE_SSE:
        add_sse(out, data, event);
        break;
    case ENCODE_NDJSON:
        add_json_or_envelope(out, data, event);
        buf_add_char(out, '\n');
        break;
    case ENCODE_RAW:
        buf_add_str(out, event->data);
        buf_add_char(out, '\n');
        break;
    case ENCODE_PAGE:
        add_json_or_envelope(out, data, event);
        buf_add_char(out, ',');
        break;
    case ENCODE_SOCKET:
        add_socket(context, way, out, event);
        break;
    case ENCODE_PROTOCOL:
        add_protocol(context, way, out, event);
        break;
    }
}

static size_t open_chunk(unsigned way, struct buf *out)
{
    return way & CHUNKED ? http_chunk_open(out) : 0;
}

static void close_chunk(unsigned way, struct buf *out, size_t opened)
{
    if (way & CHUNKED)
        http_chunk_close(out, opened);
}

void encode_event(void *context, unsigned way, struct buf *out, const struct event *event)
{
    size_t opened = open_chunk(way, out);
    add_plain(context, way, out, event);
    close_chunk(way, out, opened);
}

/* The data of the server's own records is always a JSON object: common clients parse every record's
 * data as JSON, whatever its type. */
static void add_beat_sse(struct buf *out, uint64_t cursor)
{
    buf_add_lit(out, "event: $beat\n");
    add_sse_id(out, cursor);
    buf_add_lit(out, "data: ");
    struct json_writer writer = json_writer(out);
    json_object_begin(&writer);
    json_member_id(&writer, "cursor", cursor);
    json_object_end(&writer);
    buf_add_lit(out, "\n\n");
}

static void add_beat_op(struct buf *out, uint64_t cursor)
{
    struct json_writer writer = open_op(out, "beat");
    json_member_id(&writer, "cursor", cursor);
    json_object_end(&writer);
}

void encode_beat(void *context, unsigned way, struct buf *out, uint64_t cursor)
{
    size_t opened = open_chunk(way, out);
    struct buf payload = {0};
    switch (kind_of(way)) {
    case ENCODE_SSE:
        add_beat_sse(out, cursor);
        break;
    case ENCODE_NDJSON:
        add_beat_op(out, cursor);
        buf_add_char(out, '\n');
        break;
    case ENCODE_RAW:
        buf_add_char(out, '\n');
        break;
    case ENCODE_PROTOCOL:
        add_beat_op(&payload, cursor);
        add_text(context, way, out, &payload);
        break;
    case ENCODE_SOCKET:
        /* A ping is the beat that needs no place among the events; its payload is the cursor. */
        buf_add_id(&payload, cursor);
        if (!buf_failed(&payload))
            ws_add_frame(out, true, false, WS_PING, buf_str(&payload), NULL);
        buf_free(&payload);
        break;
    case ENCODE_PAGE:
        break;
    }
    close_chunk(way, out, opened);
}

void encode_first(unsigned way, struct buf *out, uint64_t cursor, uint64_t retry_ms)
{
    if (kind_of(way) != ENCODE_SSE) {
        encode_beat(NULL, way, out, cursor);
        return;
    }
    size_t opened = open_chunk(way, out);
    buf_addf(out, "retry: %llu\n", (unsigned long long)retry_ms);
    add_beat_sse(out, cursor);
    close_chunk(way, out, opened);
}

void encode_gap_members(struct json_writer *writer, uint64_t after, uint64_t earliest,
                        const char *reason)
{
    json_member_id(writer, "after", after);
    json_member_id(writer, "earliest", earliest);
    json_member_string(writer, "reason", str_from(reason));
}

static void add_gap_sse(struct buf *out, uint64_t cursor, uint64_t after, uint64_t earliest,
                        const char *reason)
{
    buf_add_lit(out, "event: $gap\n");
    add_sse_id(out, cursor);
    buf_add_lit(out, "data: ");
    struct json_writer writer = json_writer(out);
    json_object_begin(&writer);
    encode_gap_members(&writer, after, earliest, reason);
    json_object_end(&writer);
    buf_add_lit(out, "\n\n");
}

static void add_gap_op(struct buf *out, uint64_t after, uint64_t earliest, const char *reason)
{
    struct json_writer writer = open_op(out, "gap");
    encode_gap_members(&writer, after, earliest, reason);
    json_object_end(&writer);
}

void encode_gap(void *context, unsigned way, struct buf *out, uint64_t cursor, uint64_t after,
                uint64_t earliest, const char *reason)
{
    size_t opened = open_chunk(way, out);
    struct buf payload = {0};
    switch (kind_of(way)) {
    case ENCODE_SSE:
        add_gap_sse(out, cursor, after, earliest, reason);
        break;
    case ENCODE_NDJSON:
        add_gap_op(out, after, earliest, reason);
        buf_add_char(out, '\n');
        break;
    case ENCODE_SOCKET:
    case ENCODE_PROTOCOL:
        add_gap_op(&payload, after, earliest, reason);
        add_text(context, way, out, &payload);
        break;
    case ENCODE_RAW:
    case ENCODE_PAGE:
        break;
    }
    close_chunk(way, out, opened);
}

static void add_bye_sse(struct buf *out, uint64_t cursor, uint64_t retry_ms)
{
    buf_addf(out, "retry: %llu\nevent: $bye\n", (unsigned long long)retry_ms);
    add_sse_id(out, cursor);
    buf_add_lit(out, "data: ");
    struct json_writer writer = json_writer(out);
    json_object_begin(&writer);
    json_member_string(&writer, "reason", STR("drain"));
    json_object_end(&writer);
    buf_add_lit(out, "\n\n");
}

static void add_bye_op(struct buf *out, uint64_t cursor, uint64_t retry_ms)
{
    struct json_writer writer = open_op(out, "bye");
    json_member_string(&writer, "reason", STR("drain"));
    json_member_id(&writer, "cursor", cursor);
    json_member_number(&writer, "retry_ms", retry_ms);
    json_object_end(&writer);
}

void encode_bye(void *context, unsigned way, struct buf *out, uint64_t cursor, uint64_t retry_ms)
{
    size_t opened = open_chunk(way, out);
    struct buf payload = {0};
    switch (kind_of(way)) {
    case ENCODE_SSE:
        add_bye_sse(out, cursor, retry_ms);
        break;
    case ENCODE_NDJSON:
        add_bye_op(out, cursor, retry_ms);
        buf_add_char(out, '\n');
        break;
    case ENCODE_PROTOCOL:
        add_bye_op(&payload, cursor, retry_ms);
        add_text(context, way, out, &payload);
        break;
    case ENCODE_RAW:
    case ENCODE_PAGE:
    case ENCODE_SOCKET:
        break;
    }
    close_chunk(way, out, opened);
}
