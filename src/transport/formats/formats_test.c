/* Every row of the table is held against readers that are written here by the formats' own
 * standards, and share nothing with the writers. */
#include "transport/formats/formats.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include <cmocka.h>

enum { ID = 1795459080, CURSOR = 1795459081, AFTER = 1795459070, EARLIEST = 1795459079 };
enum { RETRY_MS = 1234, BYE_MS = 5678 };
#define ID_TEXT "0000001795459080"
#define CURSOR_TEXT "0000001795459081"

enum kind { NOTHING, EVENT, BEAT, GAP, BYE };

/* A record as a consumer understands it. */
struct parsed {
    enum kind kind;
    json_t *value;     /* an envelope, data, or what the server's own record says */
    struct buf bytes;  /* data that need not be JSON */
    char id[17];       /* the position that the record leaves the consumer at; empty without one */
    uint64_t retry_ms; /* 0 without one */
    bool asks;         /* the peer has to answer it */
};

static void parsed_free(struct parsed *parsed)
{
    json_decref(parsed->value);
    buf_free(&parsed->bytes);
    *parsed = (struct parsed){.kind = NOTHING};
}

static json_t *loads(struct str text)
{
    json_t *value = json_loadb(text.at, text.len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    if (!value)
        print_error("not JSON: %.*s\n", (int)text.len, text.at);
    assert_non_null(value);
    return value;
}

static const char *member(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static void set_id(struct parsed *parsed, struct str id)
{
    assert_int_equal(id.len, 16);
    snprintf(parsed->id, sizeof(parsed->id), "%.*s", STR_FMT(id));
}

static enum kind kind_of(struct str name)
{
    return str_eq(name, STR("beat"))  ? BEAT
           : str_eq(name, STR("gap")) ? GAP
           : str_eq(name, STR("bye")) ? BYE
                                      : EVENT;
}

/* {"op":…}: the server's own record as an object, or freshet.v1's event. */
static void parse_op(struct parsed *parsed)
{
    parsed->kind = kind_of(str_from(member(parsed->value, "op")));
    const char *cursor = member(parsed->value, "cursor");
    if (*cursor)
        set_id(parsed, str_from(cursor));
    parsed->retry_ms = (uint64_t)json_integer_value(json_object_get(parsed->value, "retry_ms"));
}

static bool is_op(const json_t *value)
{
    return json_is_object(value) && json_object_get(value, "op");
}

/* ---- readers --------------------------------------------------------------------------------- */

/* A line of an event stream, and its end taken off `rest`; false at the end of the stream. */
static bool next_line(struct str *rest, struct str *ret)
{
    size_t at = 0;
    if (!rest->len)
        return false;
    while (rest->at[at] != '\n' && rest->at[at] != '\r')
        assert_true(++at < rest->len); /* a record ends with a line end */
    *ret = (struct str){rest->at, at};
    at += rest->at[at] == '\r' && at + 1 < rest->len && rest->at[at + 1] == '\n' ? 2 : 1;
    *rest = str_skip(*rest, at);
    return true;
}

static void sse_field(struct parsed *parsed, struct str name, struct str value, bool *has_data)
{
    if (str_eq(name, STR("data"))) {
        if (*has_data)
            buf_add_char(&parsed->bytes, '\n');
        *has_data = true;
        buf_add_str(&parsed->bytes, value);
    } else if (str_eq(name, STR("id"))) {
        set_id(parsed, value);
    } else if (str_eq(name, STR("retry"))) {
        parsed->retry_ms = strtoull(value.at, NULL, 10);
    } else {
        assert_true(str_eq(name, STR("event")));
        parsed->kind = value.len && value.at[0] == '$' ? kind_of(str_skip(value, 1)) : EVENT;
    }
}

/* HTML, section 9.2.6: one event that is dispatched at its end. */
static struct parsed parse_sse(struct str bytes)
{
    struct parsed parsed = {.kind = EVENT};
    struct str line;
    bool has_data = false;
    while (next_line(&bytes, &line) && line.len) {
        struct str value = line, name = str_cut(&value, ':');
        assert_non_null(value.at);
        if (value.len && value.at[0] == ' ')
            value = str_skip(value, 1);
        sse_field(&parsed, name, value, &has_data);
    }
    assert_true(has_data && !line.len && !bytes.len);
    if (parsed.kind != EVENT)
        parsed.value = loads(buf_str(&parsed.bytes));
    return parsed;
}

static struct str only_line(struct str bytes)
{
    assert_true(bytes.len && bytes.at[bytes.len - 1] == '\n');
    struct str line = {bytes.at, bytes.len - 1};
    return line;
}

static struct parsed parse_ndjson(struct str bytes)
{
    struct str line = only_line(bytes);
    assert_true(!line.len || !memchr(line.at, '\n', line.len));
    struct parsed parsed = {.kind = EVENT, .value = loads(line)};
    if (is_op(parsed.value))
        parse_op(&parsed);
    return parsed;
}

static struct parsed parse_raw(struct str bytes)
{
    struct parsed parsed = {.kind = bytes.len > 1 ? EVENT : BEAT};
    buf_add_str(&parsed.bytes, only_line(bytes));
    return parsed;
}

/* An element of the list that makes a page whole. */
static struct parsed parse_page(struct str bytes)
{
    struct buf page = {0};
    struct str end = format_page.separator;
    assert_true(bytes.len > end.len && str_eq(str_skip(bytes, bytes.len - end.len), end));
    buf_add_char(&page, '[');
    buf_add_str(&page, bytes);
    page.len -= end.len;
    buf_add_lit(&page, "]");
    json_t *events = loads(buf_str(&page));
    assert_int_equal(json_array_size(events), 1);
    struct parsed parsed = {.kind = EVENT, .value = json_incref(json_array_get(events, 0))};
    json_decref(events);
    buf_free(&page);
    return parsed;
}

/* RFC 7692 section 7.2.2. */
static void inflate_into(struct buf *out, struct str bytes)
{
    unsigned char room[4096];
    struct buf whole = {0};
    z_stream stream = {0};
    buf_add_str(&whole, bytes);
    buf_add(&whole, "\x00\x00\xff\xff", 4);
    stream.next_in = (unsigned char *)whole.at;
    stream.avail_in = (unsigned)whole.len;
    stream.next_out = room;
    stream.avail_out = sizeof(room);
    assert_int_equal(inflateInit2(&stream, -15), Z_OK);
    assert_int_equal(inflate(&stream, Z_SYNC_FLUSH), Z_OK);
    assert_int_equal(stream.avail_in, 0);
    buf_add(out, room, sizeof(room) - stream.avail_out);
    inflateEnd(&stream);
    buf_free(&whole);
}

/* Takes a whole, unmasked frame off `bytes` (RFC 6455 section 5.2); returns its opcode. */
static unsigned take_frame(struct str *bytes, struct buf *ret)
{
    assert_true(bytes->len >= 2);
    const unsigned char *head = (const unsigned char *)bytes->at;
    size_t len = head[1] & 0x7f, start = 2;
    assert_true((head[0] & 0xb0) == 0x80 && !(head[1] & 0x80)); /* final, RSV1 at most, unmasked */
    if (len == 126) {
        len = (size_t)head[2] << 8 | head[3];
        start = 4;
    }
    assert_true(len != 127 && bytes->len >= start + len);
    struct str payload = {bytes->at + start, len};
    if (head[0] & 0x40)
        inflate_into(ret, payload);
    else
        buf_add_str(ret, payload);
    *bytes = str_skip(*bytes, start + len);
    return head[0] & 0x0f;
}

static struct parsed parse_websocket(struct str bytes)
{
    struct parsed parsed = {.kind = EVENT};
    unsigned opcode = take_frame(&bytes, &parsed.bytes);
    assert_int_equal(bytes.len, 0);
    if (opcode == 0x9) {
        set_id(&parsed, buf_str(&parsed.bytes));
        parsed.kind = BEAT;
        parsed.asks = true;
        return parsed;
    }
    assert_true(opcode == 0x1 || opcode == 0x2);
    if (opcode == 0x1 && parsed.bytes.len && parsed.bytes.at[0] == '{')
        parsed.value = loads(buf_str(&parsed.bytes));
    if (is_op(parsed.value))
        parse_op(&parsed);
    return parsed;
}

static struct parsed parse_freshet_v1(struct str bytes)
{
    struct parsed parsed = {.kind = EVENT};
    struct buf ping = {0};
    assert_int_equal(take_frame(&bytes, &parsed.bytes), 0x1);
    if (bytes.len) {
        assert_int_equal(take_frame(&bytes, &ping), 0x9);
        parsed.asks = true;
    }
    assert_int_equal(bytes.len, 0);
    parsed.value = loads(buf_str(&parsed.bytes));
    assert_true(is_op(parsed.value));
    parse_op(&parsed);
    if (parsed.kind == EVENT) {
        assert_string_equal(member(parsed.value, "op"), "event");
        json_t *event = json_incref(json_object_get(parsed.value, "event"));
        json_decref(parsed.value);
        parsed.value = event;
    }
    buf_free(&ping);
    return parsed;
}

/* A row without a reader fails all tests that go through the table. */
typedef struct parsed parse_call(struct str bytes);
static parse_call *const readers[FORMATS_COUNT] = {
    [FORMAT_SSE] = parse_sse,
    [FORMAT_NDJSON] = parse_ndjson,
    [FORMAT_RAW] = parse_raw,
    [FORMAT_PAGE] = parse_page,
    [FORMAT_WEBSOCKET] = parse_websocket,
    [FORMAT_FRESHET_V1] = parse_freshet_v1,
};

/* ---- encodings ------------------------------------------------------------------------------- */

/* An encoding that is looked at, and a record in it. */
struct tried {
    enum format_id id;
    const struct format *format;
    bool data;
    bool chunked;
    unsigned encoding;
    struct deflater *deflater;
    struct buf out;
};

/* Takes the only chunk apart: a record is one chunk, and what is nothing is none. */
static struct str unchunked(struct str bytes)
{
    if (!bytes.len)
        return bytes;
    char *end = NULL;
    size_t size = strtoul(bytes.at, &end, 16), start = (size_t)(end - bytes.at) + 2;
    assert_true(size > 0 && end > bytes.at);
    assert_int_equal(bytes.len, start + size + 2);
    assert_memory_equal(end, "\r\n", 2);
    assert_memory_equal(bytes.at + start + size, "\r\n", 2);
    return (struct str){bytes.at + start, size};
}

/* The record that was written, and room for the next. */
static struct parsed read_record(struct tried *tried)
{
    assert_false(buf_failed(&tried->out));
    struct str bytes = buf_str(&tried->out);
    if (tried->chunked)
        bytes = unchunked(bytes);
    assert_non_null(readers[tried->id]);
    struct parsed parsed = bytes.len ? readers[tried->id](bytes) : (struct parsed){.kind = NOTHING};
    buf_clear(&tried->out);
    return parsed;
}

/* Calls `check` for every format, with and without its envelopes, in every framing. */
static void for_all(void (*check)(struct tried *tried))
{
    static const unsigned windows[] = {0, 9, 12, 15};
    struct deflater deflater = {0};
    for (unsigned i = 0; i < FORMATS_COUNT * 8; i++) {
        struct tried tried = {.id = (enum format_id)(i / 8),
                              .format = format_of((enum format_id)(i / 8)),
                              .data = i & 1,
                              .deflater = &deflater};
        bool is_websocket = tried.format->mechanism == MECHANISM_WEBSOCKET;
        tried.chunked = !is_websocket && (i & 2);
        tried.encoding =
            encoding_of(tried.id, tried.data, tried.chunked, is_websocket ? windows[i / 2 % 4] : 0);
        tried.data = !tried.format->event || (tried.data && tried.format->data);
        check(&tried);
        buf_free(&tried.out);
    }
    deflater_deinit(&deflater);
}

/* ---- events ---------------------------------------------------------------------------------- */

static struct event event_of(enum event_kind kind, struct str data)
{
    return (struct event){.id = ID,
                          .prev = ID - 1,
                          .channel = STR("a/b"),
                          .type = STR("message"),
                          .content_type = kind == EVENT_BINARY ? STR("image/png") : STR_NONE,
                          .data = data,
                          .kind = (uint8_t)kind,
                          .state = EVENT_APPENDED};
}

/* The data as the JSON value that envelopes have. */
static json_t *value_of(const struct event *event)
{
    if (event->kind == EVENT_JSON)
        return loads(event->data);
    if (event->kind == EVENT_TEXT)
        return json_stringn(event->data.at, event->data.len);
    return json_pack("{s:s, s:s}", "content_type", "image/png", "data_base64", "AP8NCg==");
}

/* Line ends in text are the reader's: every one of them arrives as LF. */
static void assert_text(const struct buf *got, struct str text)
{
    size_t at = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (c == '\r') {
            i += i + 1 < text.len && text.at[i + 1] == '\n';
            c = '\n';
        }
        assert_true(at < got->len && got->at[at++] == c);
    }
    assert_int_equal(at, got->len);
}

static void check_data(const struct tried *tried, const struct parsed *parsed,
                       const struct event *event)
{
    json_t *value = value_of(event);
    if (tried->id == FORMAT_SSE && event->kind != EVENT_BINARY) {
        assert_text(&parsed->bytes, event->data);
    } else if (tried->id == FORMAT_SSE) {
        json_t *binary = loads(buf_str(&parsed->bytes));
        assert_true(json_equal(binary, value));
        json_decref(binary);
    } else if (tried->id == FORMAT_RAW || tried->id == FORMAT_WEBSOCKET) {
        assert_true(str_eq(buf_str(&parsed->bytes), event->data));
    } else {
        assert_true(json_equal(parsed->value, value));
    }
    json_decref(value);
}

static void check_envelope(struct parsed *parsed, const struct event *event)
{
    json_t *value = value_of(event);
    if (!parsed->value)
        parsed->value = loads(buf_str(&parsed->bytes));
    if (event->kind == EVENT_BINARY)
        assert_string_equal(member(parsed->value, "data_base64"), member(value, "data_base64"));
    else
        assert_true(json_equal(json_object_get(parsed->value, "data"), value));
    assert_string_equal(member(parsed->value, "channel"), "a/b");
    assert_string_equal(member(parsed->value, "id"),
                        event->state == EVENT_EPHEMERAL ? "" : ID_TEXT);
    json_decref(value);
}

static void check_event(struct tried *tried, const struct event *event)
{
    encode_event(tried->deflater, tried->encoding, &tried->out, event);
    struct parsed parsed = read_record(tried);
    assert_int_equal(parsed.kind, EVENT);
    if (tried->data)
        check_data(tried, &parsed, event);
    else
        check_envelope(&parsed, event);
    if (tried->id == FORMAT_SSE)
        assert_string_equal(parsed.id, event->state == EVENT_EPHEMERAL ? "" : ID_TEXT);
    parsed_free(&parsed);
}

static void check_events(struct tried *tried)
{
    static const char bytes[4] = {'\0', '\xff', '\r', '\n'};
    const struct event events[] = {
        event_of(EVENT_JSON, STR("{\"a\":[1,2,{}],\"b\":\"\\n\"}")),
        event_of(EVENT_JSON, STR("17")),
        event_of(EVENT_TEXT, STR("plain")),
        event_of(EVENT_TEXT, STR("one\ntwo\rthree\r\n\r\nfour\n")),
        event_of(EVENT_TEXT, STR("\"quoted\\\" \xc3\xa9")),
        event_of(EVENT_TEXT, STR("as long as it takes to be compressed: aaaaaaaaaaaaaaaaaaaaaaaaaa"
                                 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")),
        event_of(EVENT_BINARY, (struct str){bytes, sizeof(bytes)}),
    };
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        struct event event = events[i];
        check_event(tried, &event);
        event.state = EVENT_EPHEMERAL;
        check_event(tried, &event);
    }
}

static void every_format_writes_events_that_its_consumers_read(void **state)
{
    (void)state;
    for_all(check_events);
}

/* ---- the server's own records ---------------------------------------------------------------- */

/* Whether the format has a place for a position. */
static bool has_cursor(const struct tried *tried)
{
    return tried->id != FORMAT_RAW;
}

static void check_beat(struct tried *tried)
{
    encode_beat(tried->deflater, tried->encoding, &tried->out, CURSOR);
    struct parsed parsed = read_record(tried);
    assert_int_equal(parsed.kind, tried->format->beat ? BEAT : NOTHING);
    if (parsed.kind && has_cursor(tried))
        assert_string_equal(parsed.id, CURSOR_TEXT);
    assert_int_equal(parsed.asks, tried->format->mechanism == MECHANISM_WEBSOCKET);
    parsed_free(&parsed);
}

static void every_beat_tells_the_cursor(void **state)
{
    (void)state;
    for_all(check_beat);
}

static void check_first(struct tried *tried)
{
    const struct first_record first = {
        .cursor = CURSOR, .retry_ms = RETRY_MS, .connection = STR("00aa")};
    encode_first(tried->encoding, &tried->out, &first);
    struct parsed parsed = read_record(tried);
    assert_int_equal(parsed.kind, tried->format->beat ? BEAT : NOTHING);
    assert_int_equal(parsed.retry_ms, tried->id == FORMAT_SSE ? RETRY_MS : 0);
    if (parsed.kind && has_cursor(tried))
        assert_string_equal(parsed.id, CURSOR_TEXT);
    if (tried->format->first)
        assert_string_equal(member(parsed.value, "connection"), "00aa");
    parsed_free(&parsed);
}

static void every_stream_begins_with_a_beat(void **state)
{
    (void)state;
    for_all(check_first);
}

static void check_gap(struct tried *tried)
{
    const struct gap gap = {
        .cursor = CURSOR, .after = AFTER, .earliest = EARLIEST, .reason = "retention"};
    encode_gap(tried->deflater, tried->encoding, &tried->out, &gap);
    struct parsed parsed = read_record(tried);
    assert_int_equal(parsed.kind, tried->format->gap ? GAP : NOTHING);
    if (!tried->format->gap)
        assert_false(encoding_tells_gaps(tried->encoding));
    if (parsed.kind) {
        assert_string_equal(member(parsed.value, "after"), "0000001795459070");
        assert_string_equal(member(parsed.value, "earliest"), "0000001795459079");
        assert_string_equal(member(parsed.value, "reason"), "retention");
    }
    if (tried->id == FORMAT_SSE)
        assert_string_equal(parsed.id, CURSOR_TEXT);
    parsed_free(&parsed);
}

static void every_gap_tells_what_is_gone(void **state)
{
    (void)state;
    for_all(check_gap);
}

static void check_bye(struct tried *tried)
{
    const struct goodbye goodbye = {.why = ENDING_REVOKED, .cursor = CURSOR, .retry_ms = BYE_MS};
    encode_bye(tried->deflater, tried->encoding, &tried->out, &goodbye);
    struct parsed parsed = read_record(tried);
    if (parsed.kind)
        assert_string_equal(member(parsed.value, "reason"), "revoked");
    assert_int_equal(parsed.kind, tried->format->bye ? BYE : NOTHING);
    assert_int_equal(parsed.retry_ms, tried->format->bye ? BYE_MS : 0);
    assert_string_equal(parsed.id, tried->format->bye ? CURSOR_TEXT : "");
    parsed_free(&parsed);
}

static void every_goodbye_tells_its_reason_the_cursor_and_when_to_come_back(void **state)
{
    (void)state;
    for_all(check_bye);
}

static void a_gap_of_freshet_v1_names_its_subscription(void **state)
{
    (void)state;
    struct tried tried = {.id = FORMAT_FRESHET_V1};
    tried.encoding = encoding_of(tried.id, false, false, 0);
    encode_gap(NULL, tried.encoding, &tried.out,
               &(struct gap){.reason = "retention", .ref = STR("\"r1\"")});
    struct parsed parsed = read_record(&tried);
    assert_int_equal(parsed.kind, GAP);
    assert_string_equal(member(parsed.value, "ref"), "r1");
    parsed_free(&parsed);
    buf_free(&tried.out);
}

/* ---- the table itself ------------------------------------------------------------------------ */

static void streams_stand_in_front_and_are_named_in_order(void **state)
{
    (void)state;
    struct str names = STR(STREAM_NAMES);
    for (unsigned i = 0; i < FORMATS_COUNT; i++) {
        const struct format *format = format_of((enum format_id)i);
        assert_int_equal(format->mechanism == MECHANISM_STREAM, names.len > 0);
        if (names.len)
            assert_true(str_eq(str_cut(&names, ' '), format->name));
    }
}

static void check_row(struct tried *tried)
{
    const struct format *format = tried->format;
    assert_true(format->name.len && format->counted_as.len);
    assert_true(format->event || format->data);
    assert_int_equal(format->content_type.len > 0, format->mechanism != MECHANISM_WEBSOCKET);
    assert_int_equal(format->beat != NULL, format->mechanism != MECHANISM_POLL);
    assert_int_equal(encoding_format(tried->encoding), tried->id);
}

static void every_row_has_all_that_its_mechanism_needs(void **state)
{
    (void)state;
    for_all(check_row);
}

static void gaps_are_told_unless_the_data_is_all_there_is(void **state)
{
    (void)state;
    assert_true(encoding_tells_gaps(encoding_of(FORMAT_SSE, true, true, 0)));
    assert_true(encoding_tells_gaps(encoding_of(FORMAT_NDJSON, true, false, 0)));
    assert_true(encoding_tells_gaps(encoding_of(FORMAT_WEBSOCKET, false, false, 15)));
    assert_true(encoding_tells_gaps(encoding_of(FORMAT_FRESHET_V1, true, false, 15)));
    assert_false(encoding_tells_gaps(encoding_of(FORMAT_WEBSOCKET, true, false, 15)));
    assert_false(encoding_tells_gaps(encoding_of(FORMAT_RAW, false, true, 0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_writes_events_that_its_consumers_read),
        cmocka_unit_test(every_beat_tells_the_cursor),
        cmocka_unit_test(every_stream_begins_with_a_beat),
        cmocka_unit_test(every_gap_tells_what_is_gone),
        cmocka_unit_test(every_goodbye_tells_its_reason_the_cursor_and_when_to_come_back),
        cmocka_unit_test(a_gap_of_freshet_v1_names_its_subscription),
        cmocka_unit_test(streams_stand_in_front_and_are_named_in_order),
        cmocka_unit_test(every_row_has_all_that_its_mechanism_needs),
        cmocka_unit_test(gaps_are_told_unless_the_data_is_all_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
