/* The codec against a client by nghttp2, in memory. */
#include "http2/http2.h"

#include "base/mem.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { STREAMS = 64, MOST = 1 << 16, SECOND = 1000000000 };

/* The server's side of a stream: answers with `left` bytes of `text`, or goes on. */
struct served {
    struct http2_stream wire;
    struct world *world;
    struct buf head, body;
    struct str text;
    unsigned asked; /* for bytes */
    bool filled;    /* has given bytes of which nothing was told yet */
    bool wakes;     /* itself, when it has sent */
    bool goes_on, whole, blocked, closed, ended;
};

struct world {
    struct http2 *server;
    struct http2_limits limits;
    nghttp2_session *client;
    struct served served[STREAMS];
    unsigned count;
    unsigned offences[2];
    struct str answer;
    bool goes_on;
    bool refuses;
    struct buf got[2 * STREAMS];
    int status[2 * STREAMS];
    int32_t closed_with[2 * STREAMS]; /* -1: it is open */
    int32_t goaway;                   /* its reason; -1: none has come */
    bool expects_end;
    int64_t now_ns;
};

static struct served *of_wire(struct http2_stream *wire)
{
    return container_of(wire, struct served, wire);
}

/* ---- the server's side ----------------------------------------------------------------------- */

static struct http2_stream *begin(void *owner)
{
    struct world *world = owner;
    if (world->refuses || world->count == STREAMS)
        return NULL;
    struct served *served = &world->served[world->count++];
    *served = (struct served){.world = world, .text = world->answer, .goes_on = world->goes_on};
    return &served->wire;
}

static void request(struct http2_stream *wire, const struct http2_request *request)
{
    struct served *served = of_wire(wire);
    struct response response;
    buf_add_str(&served->head, request->head);
    response_init(&response, 200);
    response.goes_on = true;
    response_add(&response, STR("X-Bytes"), STR("a\r\nb: c\x01 "));
    response_add(&response, STR("Connection"), STR("close"));
    assert_int_equal(http2_respond(served->world->server, wire, &response, true), 0);
    response_deinit(&response);
}

static void body(struct http2_stream *wire, char *bytes, size_t len)
{
    buf_add(&of_wire(wire)->body, bytes, len);
    http2_consume(of_wire(wire)->world->server, wire, len);
}

static void whole(struct http2_stream *wire)
{
    of_wire(wire)->whole = true;
}

static struct str fill(struct http2_stream *wire, bool *ret_end)
{
    struct served *served = of_wire(wire);
    assert_false(served->filled);
    served->asked++;
    *ret_end = !served->goes_on;
    served->filled = served->text.len;
    return served->text;
}

static bool sent(struct http2_stream *wire, size_t n, bool blocked)
{
    struct served *served = of_wire(wire);
    served->filled = false;
    served->text = str_skip(served->text, n);
    served->blocked = blocked;
    if (served->wakes) {
        served->wakes = false;
        served->text = STR("more");
        http2_resume(served->world->server, wire);
        return false;
    }
    return served->text.len;
}

static void ended(struct http2_stream *wire)
{
    struct served *served = of_wire(wire);
    served->ended = true;
    http2_reset(served->world->server, wire, HTTP2_RESET_NONE);
}

static void closed(struct http2_stream *wire)
{
    of_wire(wire)->closed = true;
}

static void offence(void *owner, enum http2_offence what)
{
    ((struct world *)owner)->offences[what]++;
}

static const struct http2_ops ops = {begin, request, body,   whole,  fill,
                                     sent,  ended,   closed, offence};

/* ---- the client's side ----------------------------------------------------------------------- */

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
    struct world *world = user;
    (void)session;
    (void)flags;
    struct str text = {(const char *)value, value_len};
    struct str field = {(const char *)name, name_len};
    if (str_eq(field, STR(":status")))
        world->status[frame->hd.stream_id] = atoi((const char *)value);
    if (str_eq(field, STR("x-bytes")))
        assert_true(str_eq(text, STR("a  b: c")));
    assert_false(str_eq(field, STR("connection")));
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes,
                   size_t len, void *user)
{
    (void)session;
    (void)flags;
    buf_add(&((struct world *)user)->got[id], bytes, len);
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t error, void *user)
{
    (void)session;
    if (id < 2 * STREAMS)
        ((struct world *)user)->closed_with[id] = (int32_t)error;
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    (void)session;
    if (frame->hd.type == NGHTTP2_GOAWAY)
        ((struct world *)user)->goaway = (int32_t)frame->goaway.error_code;
    return 0;
}

static void client_new(struct world *world)
{
    nghttp2_session_callbacks *callbacks;
    assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_option *option;
    assert_int_equal(nghttp2_option_new(&option), 0);
    nghttp2_option_set_no_auto_window_update(option, 1);
    assert_int_equal(nghttp2_session_client_new2(&world->client, callbacks, world, option), 0);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
}

static struct world *world_new(uint32_t streams_max, uint32_t control_max, uint32_t window)
{
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window}};
    struct world *world = mem_alloc(sizeof(*world));
    *world = (struct world){.limits = {streams_max, 1000, control_max},
                            .answer = STR("hello"),
                            .goaway = -1,
                            .now_ns = SECOND};
    for (int i = 0; i < 2 * STREAMS; i++)
        world->closed_with[i] = -1;
    world->server = http2_new(world, &ops, &world->limits);
    assert_non_null(world->server);
    client_new(world);
    assert_int_equal(nghttp2_submit_settings(world->client, 0, settings, 1), 0);
    return world;
}

static void world_free(struct world *world)
{
    http2_free(world->server);
    nghttp2_session_del(world->client);
    for (unsigned i = 0; i < STREAMS; i++) {
        buf_free(&world->served[i].head);
        buf_free(&world->served[i].body);
    }
    for (int i = 0; i < 2 * STREAMS; i++)
        buf_free(&world->got[i]);
    free(world);
}

/* The client's bytes come to the server byte by byte, or `step` at a time. */
static int say(struct world *world, size_t step)
{
    const uint8_t *bytes;
    struct buf all = {0};
    ssize_t n;
    int result = 0;
    while ((n = nghttp2_session_mem_send(world->client, &bytes)) > 0)
        buf_add(&all, bytes, (size_t)n);
    for (size_t at = 0; at < all.len && !result; at += step)
        result = http2_receive(world->server, all.at + at,
                               all.len - at < step ? all.len - at : step, world->now_ns);
    buf_free(&all);
    return result;
}

static size_t hear(struct world *world)
{
    struct buf out = {0};
    assert_int_equal(http2_gather(world->server, &out, MOST), 0);
    size_t len = out.len;
    if (len)
        assert_int_equal(nghttp2_session_mem_recv(world->client, (const uint8_t *)out.at, len),
                         len);
    buf_free(&out);
    return len;
}

static void talk(struct world *world)
{
    do
        assert_int_equal(say(world, 7), 0);
    while (hear(world));
}

#define FIELD(name, value)                                                                         \
    {                                                                                              \
        (uint8_t *)(uintptr_t)(name), (uint8_t *)(uintptr_t)(value), sizeof(name) - 1,             \
            sizeof(value) - 1, NGHTTP2_NV_FLAG_NONE                                                \
    }

static ssize_t read_upload(nghttp2_session *session, int32_t id, uint8_t *room, size_t len,
                           uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct str *left = source->ptr;
    size_t n = left->len < len ? left->len : len;
    (void)session;
    (void)id;
    (void)user;
    memcpy(room, left->at, n);
    *left = str_skip(*left, n);
    if (!left->len)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

/* A request with a field of this value, whatever bytes that has. */
static int32_t ask_with(struct world *world, const char *name, const char *value)
{
    const nghttp2_nv fields[] = {FIELD(":method", "GET"),
                                 FIELD(":scheme", "http"),
                                 FIELD(":path", "/a"),
                                 FIELD(":authority", "localhost"),
                                 {(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value,
                                  strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE}};
    return nghttp2_submit_request(world->client, NULL, fields, 5, NULL, NULL);
}

static int32_t ask(struct world *world, struct str *upload)
{
    const nghttp2_nv fields[] = {FIELD(":method", "POST"), FIELD(":scheme", "http"),
                                 FIELD(":path", "/a?b=c"), FIELD(":authority", "localhost"),
                                 FIELD("x", "y")};
    nghttp2_data_provider provider = {.source = {.ptr = upload}, .read_callback = read_upload};
    return nghttp2_submit_request(world->client, NULL, fields, 5, upload ? &provider : NULL, NULL);
}

static bool has_got(const struct world *world, int32_t id, struct str text)
{
    return str_eq(buf_str(&world->got[id]), text);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void a_request_comes_as_text_and_its_response_whole(void **state)
{
    (void)state;
    struct world *world = world_new(10, 100, 65535);
    struct str upload = STR("the body");
    int32_t id = ask(world, &upload);
    talk(world);
    const struct served *served = &world->served[0];
    assert_true(str_eq(buf_str(&served->head),
                       STR("POST /a?b=c HTTP/1.1\r\nhost: localhost\r\nx: y\r\n\r\n")));
    assert_true(str_eq(buf_str(&served->body), STR("the body")));
    assert_true(served->whole && served->closed);
    assert_int_equal(world->status[id], 200);
    assert_true(has_got(world, id, STR("hello")));
    assert_int_equal(world->closed_with[id], NGHTTP2_NO_ERROR);
    world_free(world);
}

/* A budget is looked at between two pieces. */
static void a_piece_has_the_head_of_one_request(void **state)
{
    (void)state;
    for (size_t step = 1; step < 3000; step = step * 3 + 1) {
        struct world *world = world_new(STREAMS, 100, 65535);
        struct buf all = {0};
        struct str upload = STR("the body");
        const uint8_t *bytes;
        ssize_t n;
        for (int i = 0; i < 10; i++) {
            ask(world, i % 2 ? &upload : NULL);
            upload = STR("the body");
            while ((n = nghttp2_session_mem_send(world->client, &bytes)) > 0)
                buf_add(&all, bytes, (size_t)n);
        }
        unsigned before = 0;
        for (size_t at = 0; at < all.len;) {
            size_t most = all.len - at < step ? all.len - at : step;
            size_t piece = http2_next_piece(world->server, all.at + at, most);
            assert_in_range(piece, 1, most);
            assert_int_equal(http2_receive(world->server, all.at + at, piece, world->now_ns), 0);
            assert_in_range(world->count, before, before + 1);
            before = world->count;
            at += piece;
        }
        assert_int_equal(world->count, 10);
        buf_free(&all);
        world_free(world);
    }
}

static void frames_of_many_streams_are_gathered_together(void **state)
{
    (void)state;
    struct world *world = world_new(STREAMS, 100, 65535);
    world->goes_on = true;
    world->answer = STR_NONE;
    for (int i = 0; i < STREAMS - 1; i++)
        ask(world, NULL);
    talk(world);
    for (unsigned i = 0; i < world->count; i++) {
        world->served[i].text = STR("event");
        http2_resume(world->server, &world->served[i].wire);
    }
    assert_int_equal(hear(world), (STREAMS - 1) * (9 + 5));
    assert_int_equal(hear(world), 0);
    for (int i = 0; i < STREAMS - 1; i++)
        assert_true(has_got(world, 2 * i + 1, STR("event")));
    world_free(world);
}

static void a_stream_that_has_sent_all_is_asked_again_when_it_is_resumed(void **state)
{
    (void)state;
    struct world *world = world_new(10, 100, 65535);
    world->goes_on = true;
    int32_t one = ask(world, NULL), two = ask(world, NULL);
    talk(world);
    struct served *served = &world->served[0];
    for (unsigned i = 0; i < 3; i++) {
        unsigned before = served->asked;
        served->text = STR(" and");
        http2_resume(world->server, &served->wire);
        assert_true(http2_has_more(world->server));
        assert_int_equal(hear(world), 9 + 4);
        assert_int_equal(served->asked, before + 1);
        assert_false(http2_has_more(world->server));
    }
    served->text = STR("!");
    served->wakes = true; /* while it sends */
    http2_resume(world->server, &served->wire);
    talk(world);
    assert_true(has_got(world, one, STR("hello and and and!more")));
    assert_true(has_got(world, two, STR("hello")));
    world->served[1].goes_on = false; /* the end has no bytes */
    http2_resume(world->server, &world->served[1].wire);
    talk(world);
    assert_int_equal(world->closed_with[two], NGHTTP2_NO_ERROR);
    world_free(world);
}

static void a_spent_window_blocks_its_stream_alone(void **state)
{
    (void)state;
    struct world *world = world_new(10, 100, 3);
    world->goes_on = true;
    int32_t one = ask(world, NULL), two = ask(world, NULL);
    talk(world);
    assert_true(world->served[0].blocked && world->served[1].blocked);
    assert_true(has_got(world, one, STR("hel")));
    assert_int_equal(nghttp2_submit_window_update(world->client, 0, two, 100), 0);
    talk(world);
    assert_true(has_got(world, one, STR("hel")));
    assert_true(has_got(world, two, STR("hello")));
    assert_false(world->served[1].blocked);
    world_free(world);
}

/* ---- windows, whatever comes between two frames ---------------------------------------------- */

enum { CHATS = 4, CHAT_LEN = 1 << 16 };

/* Some streams that get bytes of one text at random, and how many of them. Their windows grow too
 * slowly, as fast as they are spent, or faster. */
struct chat {
    struct world *world;
    uint32_t seed, scale;
    char text[CHAT_LEN];
    int32_t ids[CHATS];
    size_t given[CHATS];
};

static uint32_t below(struct chat *chat, uint32_t n)
{
    chat->seed = chat->seed * 1664525 + 1013904223;
    return (chat->seed >> 8) % n;
}

static struct chat *chat_new(uint32_t seed)
{
    struct chat *chat = mem_alloc(sizeof(*chat));
    *chat =
        (struct chat){.world = world_new(STREAMS, 100000, 300), .seed = seed, .scale = seed % 3};
    for (size_t i = 0; i < CHAT_LEN; i++)
        chat->text[i] = (char)('a' + i % 23);
    chat->world->goes_on = true;
    chat->world->answer = (struct str){chat->text, 0};
    for (int i = 0; i < CHATS; i++)
        chat->ids[i] = ask(chat->world, NULL);
    talk(chat->world);
    return chat;
}

static void give(struct chat *chat, unsigned i, size_t len)
{
    struct served *served = &chat->world->served[i];
    if (len > CHAT_LEN - chat->given[i])
        len = CHAT_LEN - chat->given[i];
    chat->given[i] += len;
    served->text.len += len;
    http2_resume(chat->world->server, &served->wire);
}

static void change_windows(struct chat *chat, int32_t id)
{
    const nghttp2_settings_entry initial = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE,
                                            100 + below(chat, 500)};
    nghttp2_session *client = chat->world->client;
    static const uint32_t most[] = {300, 2000, 10000};
    int32_t more = 1 + (int32_t)below(chat, most[chat->scale]);
    if (!below(chat, 8))
        assert_int_equal(nghttp2_submit_settings(client, 0, &initial, 1), 0);
    else
        assert_int_equal(nghttp2_submit_window_update(client, 0, below(chat, 3) ? id : 0, more), 0);
}

/* Frames that are queued while the frames of a stream may bypass nghttp2. */
static void say_anything(struct chat *chat, unsigned i)
{
    static const uint8_t opaque[8] = {0};
    struct world *world = chat->world;
    switch (below(chat, 4)) {
    case 0:
        assert_int_equal(nghttp2_submit_ping(world->client, 0, opaque), 0);
        break;
    case 1:
        if (world->count < STREAMS)
            ask(world, NULL); /* of which nothing is heard */
        break;
    case 2:
        if (world->count > CHATS)
            http2_reset(world->server, &world->served[world->count - 1].wire, HTTP2_RESET_CANCEL);
        break;
    default:
        http2_consume(world->server, &world->served[i].wire, 0);
        break;
    }
}

static void step_chat(struct chat *chat)
{
    unsigned i = below(chat, 3) ? 0 : below(chat, CHATS);
    switch (below(chat, 10)) {
    case 0:
    case 1:
        change_windows(chat, chat->ids[i]);
        break;
    case 2:
        say_anything(chat, i);
        break;
    case 3:
        give(chat, i, below(chat, 2000));
        break;
    default:
        give(chat, i, 1 + below(chat, 100));
        break;
    }
    if (!below(chat, 3))
        assert_int_equal(say(chat->world, 1000), 0);
    (void)hear(chat->world);
}

/* The client by nghttp2 resets a stream and ends a connection that overrun their windows. */
static void end_chat(struct chat *chat)
{
    struct world *world = chat->world;
    assert_int_equal(nghttp2_submit_window_update(world->client, 0, 0, 1 << 24), 0);
    for (int i = 0; i < CHATS; i++)
        assert_int_equal(nghttp2_submit_window_update(world->client, 0, chat->ids[i], 1 << 20), 0);
    talk(world);
    for (int i = 0; i < CHATS; i++) {
        assert_int_equal(world->closed_with[chat->ids[i]], -1);
        assert_true(has_got(world, chat->ids[i], (struct str){chat->text, chat->given[i]}));
    }
    assert_true(nghttp2_session_want_read(world->client));
    assert_int_equal(world->goaway, -1);
}

static void frames_stay_within_the_windows_whatever_comes_between(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 100; seed++) {
        struct chat *chat = chat_new(seed);
        for (int i = 0; i < 300; i++)
            step_chat(chat);
        end_chat(chat);
        world_free(chat->world);
        free(chat);
    }
}

static void a_window_that_is_spent_to_the_byte_asks_for_no_more(void **state)
{
    (void)state;
    struct world *world = world_new(10, 100, 25);
    world->goes_on = true;
    int32_t id = ask(world, NULL); /* has 5 bytes, 20 are left */
    talk(world);
    struct served *served = &world->served[0];
    for (int i = 0; i < 5; i++) {
        served->text = STR("event");
        http2_resume(world->server, &served->wire);
        assert_int_equal(hear(world), i < 4 ? 9 + 5 : 0);
        assert_false(http2_has_more(world->server));
    }
    assert_int_equal(nghttp2_submit_window_update(world->client, 0, id, 2), 0);
    talk(world);
    assert_true(served->blocked);
    assert_true(has_got(world, id, STR("helloeventeventeventeventev")));
    world_free(world);
}

static void the_last_bytes_of_a_stream_that_was_alone_end_it(void **state)
{
    (void)state;
    struct world *world = world_new(10, 100, 65535);
    world->goes_on = true;
    int32_t id = ask(world, NULL);
    talk(world);
    struct served *served = &world->served[0];
    served->text = STR(" and");
    http2_resume(world->server, &served->wire);
    assert_int_equal(hear(world), 9 + 4);
    served->text = STR(" so");
    served->goes_on = false;
    http2_resume(world->server, &served->wire);
    assert_int_equal(hear(world), 9 + 3);
    assert_true(has_got(world, id, STR("hello and so")));
    assert_int_equal(world->closed_with[id], NGHTTP2_NO_ERROR);
    assert_true(served->closed);
    world_free(world);
}

static void a_response_before_the_end_of_its_request_ends_that(void **state)
{
    (void)state;
    struct world *world = world_new(10, 100, 65535);
    char *large = mem_alloc(200000);
    memset(large, 'x', 200000);
    struct str upload = {large, 200000};
    int32_t id = ask(world, &upload);
    (void)say(world, 100); /* more is under way than the window allows */
    (void)hear(world);
    assert_true(world->served[0].ended);
    assert_true(has_got(world, id, STR("hello")));
    assert_int_equal(world->served[0].wire.id, 0);
    free(large);
    world_free(world);
}

/* A field that is left out would be a condition or a credential that is passed over. */
static void a_field_that_is_malformed_makes_its_request_so(void **state)
{
    static const char *const fields[][2] = {
        {"if-match", "\"1\x01\""},
        {"authorization", "Bearer a\r\nb: c"},
        {"idempotency-key", "a\x7f"},
        {"origin", " http://localhost"},
        {"last-event-id", "1\t"},
        {"x y", "z"},
        {"x:y", "z"},
        {"connection", "x"},
        {"transfer-encoding", "chunked"},
        {"te", "gzip"},
        {"upgrade", "websocket"},
        {"proxy-connection", "keep-alive"},
        {"keep-alive", "1"},
        {":x", "y"},
        {":path", "/b"},
    };
    (void)state;
    struct world *world = world_new(STREAMS, 100, 65535);
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        int32_t id = ask_with(world, fields[i][0], fields[i][1]);
        talk(world);
        assert_int_equal(world->closed_with[id], NGHTTP2_PROTOCOL_ERROR);
        assert_int_equal(world->count, 0);
    }
    int32_t id = ask_with(world, "x", "y z\t\xff");
    talk(world);
    assert_int_equal(world->closed_with[id], NGHTTP2_NO_ERROR);
    world_free(world);
}

/* HPACK makes much of few bytes. */
static void a_head_far_over_the_limit_is_not_read_to_its_end(void **state)
{
    enum { FIELDS = 40 };
    (void)state;
    char value[900] = {0};
    nghttp2_nv fields[4 + FIELDS] = {FIELD(":method", "GET"), FIELD(":scheme", "http"),
                                     FIELD(":path", "/"), FIELD(":authority", "localhost")};
    memset(value, 'v', sizeof(value));
    for (int i = 4; i < 4 + FIELDS; i++)
        fields[i] = (nghttp2_nv){(uint8_t *)(uintptr_t) "x", (uint8_t *)value, 1, sizeof(value),
                                 NGHTTP2_NV_FLAG_NONE};
    struct world *world = world_new(10, 100, 65535);
    int32_t large = nghttp2_submit_request(world->client, NULL, fields, 6, NULL, NULL);
    talk(world);
    assert_int_equal(world->count, 1); /* to be refused in words */
    assert_int_equal(world->status[large], 200);
    int32_t huge = nghttp2_submit_request(world->client, NULL, fields, 4 + FIELDS, NULL, NULL);
    talk(world);
    assert_int_equal(world->count, 1);
    assert_int_equal(world->closed_with[huge], NGHTTP2_INTERNAL_ERROR);
    int64_t since_ns;
    assert_int_equal(http2_head_held(world->server, &since_ns), 0);
    int32_t id = ask(world, NULL); /* the connection goes on */
    talk(world);
    assert_int_equal(world->status[id], 200);
    world_free(world);
}

struct trailers {
    nghttp2_nv fields[40];
    size_t count;
};

static ssize_t read_trailers(nghttp2_session *session, int32_t id, uint8_t *room, size_t len,
                             uint32_t *flags, nghttp2_data_source *source, void *user)
{
    const struct trailers *trailers = source->ptr;
    (void)len;
    (void)user;
    *room = 'x';
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    assert_int_equal(nghttp2_submit_trailer(session, id, trailers->fields, trailers->count), 0);
    return 1;
}

static void trailers_far_over_the_limit_are_not_read_to_their_end(void **state)
{
    static const size_t counts[] = {1, 40};
    static const int32_t errors[] = {-1, NGHTTP2_INTERNAL_ERROR};
    const nghttp2_nv head[] = {FIELD(":method", "POST"), FIELD(":scheme", "http"),
                               FIELD(":path", "/"), FIELD(":authority", "localhost")};
    (void)state;
    char value[900];
    struct trailers trailers;
    const nghttp2_data_provider provider = {.source = {.ptr = &trailers},
                                            .read_callback = read_trailers};
    struct world *world = world_new(10, 100, 65535);
    world->goes_on = true;
    memset(value, 'v', sizeof(value));
    for (size_t i = 0; i < counts[1]; i++)
        trailers.fields[i] = (nghttp2_nv){(uint8_t *)(uintptr_t) "x", (uint8_t *)value, 1,
                                          sizeof(value), NGHTTP2_NV_FLAG_NONE};
    for (unsigned i = 0; i < 2; i++) {
        trailers.count = counts[i];
        int32_t id = nghttp2_submit_request(world->client, NULL, head, 4, &provider, NULL);
        talk(world);
        assert_int_equal(world->closed_with[id], errors[i]);
        assert_int_equal(world->served[i].whole, i == 0);
    }
    world_free(world);
}

/* A stream that catches up must not hold up one with a new event, whatever the client wishes. */
static void streams_take_turns(void **state)
{
    static const char *const wishes[] = {"i", "u=0", "u=7, i", "u=3"};
    enum { LARGE = 200000 };
    (void)state;
    char *large = mem_alloc(LARGE);
    memset(large, 'x', LARGE);
    for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++) {
        struct world *world = world_new(10, 100, 1 << 20);
        world->goes_on = true;
        world->answer = (struct str){large, LARGE};
        assert_int_equal(nghttp2_submit_window_update(world->client, 0, 0, 1 << 20), 0);
        int32_t one = ask_with(world, "priority", wishes[i]), two = ask(world, NULL);
        assert_int_equal(say(world, MOST), 0);
        (void)hear(world);
        size_t first = world->got[one].len, second = world->got[two].len;
        assert_true(first + second >= MOST && first + second < LARGE);
        assert_true(first > MOST / 4 && second > MOST / 4);
        world_free(world);
    }
    free(large);
}

static void a_reset_stream_asks_for_no_more(void **state)
{
    (void)state;
    struct world *world = world_new(10, 100, 65535);
    world->goes_on = true;
    int32_t id = ask(world, NULL);
    talk(world);
    world->served[0].text = STR("never sent");
    http2_resume(world->server, &world->served[0].wire);
    http2_reset(world->server, &world->served[0].wire, HTTP2_RESET_CANCEL);
    talk(world);
    assert_true(has_got(world, id, STR("hello")));
    assert_int_equal(world->closed_with[id], NGHTTP2_CANCEL);
    assert_false(world->served[0].closed);
    world_free(world);
}

static void a_client_that_resets_is_told_to_the_owner(void **state)
{
    (void)state;
    struct world *world = world_new(10, 100, 65535);
    world->goes_on = true;
    int32_t id = ask(world, NULL);
    talk(world);
    assert_int_equal(nghttp2_submit_rst_stream(world->client, 0, id, NGHTTP2_CANCEL), 0);
    talk(world);
    assert_true(world->served[0].closed);
    assert_int_equal(world->served[0].wire.id, 0);
    world_free(world);
}

static void streams_that_the_owner_has_no_room_for_are_refused(void **state)
{
    (void)state;
    struct world *world = world_new(10, 100, 65535);
    world->refuses = true;
    int32_t id = ask(world, NULL);
    talk(world);
    assert_int_equal(world->closed_with[id], NGHTTP2_REFUSED_STREAM);
    world_free(world);
}

static void control_frames_over_the_limit_end_the_connection(void **state)
{
    static const uint8_t opaque[8] = {0};
    (void)state;
    struct world *world = world_new(10, 50, 65535);
    for (int second = 0; second < 3; second++) {
        for (int i = 0; i < 45; i++)
            assert_int_equal(nghttp2_submit_ping(world->client, 0, opaque), 0);
        talk(world);
        world->now_ns += SECOND;
    }
    assert_int_equal(world->goaway, -1);
    for (int i = 0; i < 60; i++)
        assert_int_equal(nghttp2_submit_ping(world->client, 0, opaque), 0);
    talk(world);
    assert_int_equal(world->goaway, NGHTTP2_ENHANCE_YOUR_CALM);
    assert_int_equal(world->offences[HTTP2_FLOOD], 1);
    assert_true(http2_is_over(world->server));
    world_free(world);
}

/* A head that is refused costs as much as one that is answered. */
static void broken_heads_over_the_limit_end_the_connection(void **state)
{
    static const char *const fields[][2] = {
        {"x", "a\x01"}, {"x y", "z"}, {"connection", "x"}, {":path", "/b"}, {":path", "//x/b"}};
    (void)state;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        struct world *world = world_new(STREAMS, 10, 65535);
        for (int n = 0; n < 20; n++)
            ask_with(world, fields[i][0], fields[i][1]);
        talk(world);
        assert_int_equal(world->goaway, NGHTTP2_ENHANCE_YOUR_CALM);
        assert_int_equal(world->offences[HTTP2_FLOOD], 1);
        world_free(world);
    }
}

static void data_of_nothing_over_the_limit_ends_the_connection(void **state)
{
    static char head[] = {0, 0,          6,          1,          4,   0, 0,  0,
                          1, (char)0x83, (char)0x86, (char)0x84, 'A', 1, 'x'};
    static char frames[][11] = {{0}, {0, 0, 2, 0, 8, 0, 0, 0, 1, 1}}; /* no bytes; padding alone */
    static const size_t lens[] = {9, 11};
    (void)state;
    frames[0][8] = 1;
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        struct world *world = world_new(10, 50, 65535);
        world->goes_on = true;
        talk(world);
        assert_int_equal(http2_receive(world->server, head, sizeof(head), world->now_ns), 0);
        assert_int_equal(world->count, 1);
        for (int n = 0; n < 60; n++)
            (void)http2_receive(world->server, frames[i], lens[i], world->now_ns);
        (void)hear(world);
        assert_int_equal(world->goaway, NGHTTP2_ENHANCE_YOUR_CALM);
        assert_int_equal(world->offences[HTTP2_FLOOD], 1);
        world_free(world);
    }
}

static void memory_of_the_codec_is_counted_and_given_back(void **state)
{
    (void)state;
    struct world *world = world_new(STREAMS, 100, 65535);
    talk(world);
    size_t before = http2_held(world->server);
    assert_in_range(before, 1000, 32 << 10);
    world->goes_on = true;
    for (int i = 0; i < STREAMS - 1; i++)
        ask(world, NULL);
    talk(world);
    size_t with = http2_held(world->server);
    assert_in_range(with - before, 100 * STREAMS, 1000 * STREAMS);
    for (int i = 0; i < STREAMS - 1; i++)
        assert_int_equal(nghttp2_submit_rst_stream(world->client, 0, 2 * i + 1, NGHTTP2_CANCEL), 0);
    talk(world);
    assert_true(http2_held(world->server) < before + (with - before) / 10);
    world_free(world);
}

/* The limit is ours alone: nghttp2 has one of its own, by default 33 in a second after a thousand.
 */
static void resets_within_the_limit_go_on(void **state)
{
    (void)state;
    struct world *world = world_new(10, 2000, 65535);
    world->refuses = true;
    for (int i = 0; i < 1500; i++) {
        const nghttp2_nv fields[] = {FIELD(":method", "GET"), FIELD(":scheme", "http"),
                                     FIELD(":path", "/"), FIELD(":authority", "localhost")};
        int32_t id = nghttp2_submit_request(world->client, NULL, fields, 4, NULL, NULL);
        assert_int_equal(say(world, MOST), 0);
        assert_int_equal(nghttp2_submit_rst_stream(world->client, 0, id, NGHTTP2_CANCEL), 0);
        assert_int_equal(say(world, MOST), 0);
    }
    struct buf out = {0};
    assert_int_equal(http2_gather(world->server, &out, MOST), 0);
    buf_free(&out);
    assert_false(http2_is_over(world->server));
    assert_int_equal(world->offences[HTTP2_FLOOD], 0);
    world_free(world);
}

static void a_flood_of_continuations_ends_the_connection(void **state)
{
    static char head[] = {0, 0, 1, 1, 1, 0, 0, 0, 1, (char)0x82};
    static char more[] = {0, 0, 0, 9, 0, 0, 0, 0, 1};
    (void)state;
    struct world *world = world_new(10, 50, 65535);
    talk(world);
    assert_int_equal(http2_receive(world->server, head, sizeof(head), world->now_ns), 0);
    int result = 0;
    for (int i = 0; i < 50 && !result; i++)
        result = http2_receive(world->server, more, sizeof(more), world->now_ns);
    assert_int_equal(result, -EPROTO);
    (void)hear(world);
    assert_int_equal(world->goaway, NGHTTP2_ENHANCE_YOUR_CALM);
    assert_int_equal(world->offences[HTTP2_FLOOD], 1);
    world_free(world);
}

static void bytes_that_are_no_frames_end_the_connection(void **state)
{
    (void)state;
    struct world *world = world_new(10, 50, 65535);
    char none[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_int_equal(http2_receive(world->server, none, sizeof(none) - 1, world->now_ns), -EPROTO);
    world_free(world);
}

static void an_end_that_is_announced_lets_streams_go_on(void **state)
{
    (void)state;
    struct world *world = world_new(10, 50, 65535);
    world->goes_on = true;
    int32_t id = ask(world, NULL);
    talk(world);
    http2_announce_end(world->server);
    talk(world);
    assert_int_equal(world->goaway, NGHTTP2_NO_ERROR);
    assert_int_equal(world->closed_with[id], -1);
    world->served[0].goes_on = false;
    http2_resume(world->server, &world->served[0].wire);
    talk(world);
    assert_int_equal(world->closed_with[id], NGHTTP2_NO_ERROR);
    http2_end(world->server);
    talk(world);
    assert_true(http2_is_over(world->server));
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_comes_as_text_and_its_response_whole),
        cmocka_unit_test(a_piece_has_the_head_of_one_request),
        cmocka_unit_test(frames_of_many_streams_are_gathered_together),
        cmocka_unit_test(a_stream_that_has_sent_all_is_asked_again_when_it_is_resumed),
        cmocka_unit_test(a_spent_window_blocks_its_stream_alone),
        cmocka_unit_test(frames_stay_within_the_windows_whatever_comes_between),
        cmocka_unit_test(a_window_that_is_spent_to_the_byte_asks_for_no_more),
        cmocka_unit_test(the_last_bytes_of_a_stream_that_was_alone_end_it),
        cmocka_unit_test(a_response_before_the_end_of_its_request_ends_that),
        cmocka_unit_test(a_field_that_is_malformed_makes_its_request_so),
        cmocka_unit_test(a_head_far_over_the_limit_is_not_read_to_its_end),
        cmocka_unit_test(trailers_far_over_the_limit_are_not_read_to_their_end),
        cmocka_unit_test(streams_take_turns),
        cmocka_unit_test(a_reset_stream_asks_for_no_more),
        cmocka_unit_test(a_client_that_resets_is_told_to_the_owner),
        cmocka_unit_test(streams_that_the_owner_has_no_room_for_are_refused),
        cmocka_unit_test(control_frames_over_the_limit_end_the_connection),
        cmocka_unit_test(broken_heads_over_the_limit_end_the_connection),
        cmocka_unit_test(data_of_nothing_over_the_limit_ends_the_connection),
        cmocka_unit_test(memory_of_the_codec_is_counted_and_given_back),
        cmocka_unit_test(resets_within_the_limit_go_on),
        cmocka_unit_test(a_flood_of_continuations_ends_the_connection),
        cmocka_unit_test(bytes_that_are_no_frames_end_the_connection),
        cmocka_unit_test(an_end_that_is_announced_lets_streams_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
