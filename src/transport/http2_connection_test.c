/* Formats and handlers over HTTP/2, and what a connection does when its client stalls, floods or
 * goes. */
#include "transport/http2_testing.h"

enum { WIDE = 1 << 20 };

static int begin(void **state)
{
    *state = bench_new();
    return 0;
}

static int end(void **state)
{
    bench_free(*state);
    return 0;
}

static struct bench *started(void **state)
{
    struct bench *bench = *state;
    bench_begin(bench);
    bench->reading.from.kind = POSITION_NOW;
    return bench;
}

static uint64_t hits(const struct bench *bench, enum limit limit)
{
    return atomic_load(&bench->worker.stats.limits[limit]);
}

static void streams_polls_and_publishes_share_a_connection(void **state)
{
    struct bench *bench = started(state);
    struct h2_client client;
    h2_join(&client, bench, WIDE);
    int32_t stream = h2_get(&client, "/stream");
    bench->reading.format = FORMAT_PAGE;
    bench->reading.wait_s = 20;
    int32_t poll = h2_get(&client, "/page");
    assert_int_equal(h2_got(&client, poll)->status, 0);
    int32_t publish = h2_post(&client, "/publish", STR("hello"));
    assert_int_equal(h2_got(&client, publish)->status, 201);
    assert_int_equal(h2_got(&client, poll)->status, 200);
    assert_int_equal(h2_count(&client, poll, "hello"), 1);
    assert_int_equal(h2_count(&client, stream, "hello"), 1);
    assert_true(h2_got(&client, poll)->is_over && h2_got(&client, publish)->is_over);
    assert_false(h2_got(&client, stream)->is_over);
    assert_int_equal(bench->worker.net.conns, 1);
    h2_leave(&client);
    assert_int_equal(bench->worker.hub.subs, 0);
    assert_true(list_empty(&bench->worker.connections));
    assert_int_equal(bench->worker.own_connections, 0);
}

static void bodies_come_whole_whatever_their_frames(void **state)
{
    struct bench *bench = started(state);
    struct h2_client client;
    char *large = mem_alloc(60000);
    memset(large, 'x', 60000);
    h2_join(&client, bench, WIDE);
    int32_t id = h2_post(&client, "/echo", (struct str){large, 60000});
    assert_int_equal(h2_got(&client, id)->status, 200);
    assert_int_equal(h2_got(&client, id)->body.len, 60000);
    int32_t in_parts = h2_begin(&client, "POST", "/echo", &STR("one "), true);
    h2_send(&client, in_parts, STR("two "));
    assert_int_equal(h2_got(&client, in_parts)->status, 0);
    h2_got(&client, in_parts)->holds_end = false;
    h2_send(&client, in_parts, STR("three"));
    assert_true(str_eq(buf_str(&h2_got(&client, in_parts)->body), STR("one two three")));
    h2_leave(&client);
    free(large);
}

static void a_body_that_is_too_large_or_late_is_refused_alone(void **state)
{
    struct bench *bench = started(state);
    struct h2_client client;
    char *large = mem_alloc(70000);
    memset(large, 'x', 70000);
    h2_join(&client, bench, WIDE);
    int32_t stream = h2_get(&client, "/stream");
    int32_t id = h2_post(&client, "/echo", (struct str){large, 70000});
    assert_int_equal(h2_got(&client, id)->status, 413);
    int32_t late = h2_begin(&client, "POST", "/echo", &STR("never ends"), true);
    bench_pass(bench, 31000);
    h2_talk(&client);
    assert_int_equal(h2_got(&client, late)->status, 408);
    assert_false(h2_got(&client, stream)->is_over);
    assert_false(client.goaway);
    h2_leave(&client);
    free(large);
}

/* The records behind the first, which names the stream. */
static struct str events_of(struct h2_client *client, int32_t id)
{
    struct str events = buf_str(&h2_got(client, id)->body);
    str_cut(&events, '\n');
    return events;
}

/* A window is back-pressure: it costs the cursor, and at most the rest of one event. */
static void a_stalled_stream_holds_up_no_other_and_loses_nothing(void **state)
{
    struct bench *bench = started(state);
    struct h2_client client;
    h2_join(&client, bench, 0);
    int32_t stalled = h2_get(&client, "/stream"), live = h2_get(&client, "/stream");
    h2_open_window(&client, live, WIDE);
    h2_open_window(&client, stalled, 100);
    for (int i = 0; i < 50; i++) {
        bench_append(bench, STR("a text of some length for a window to cut in two"));
        h2_talk(&client);
    }
    assert_int_equal(h2_count(&client, live, "a text"), 50);
    assert_int_equal(h2_got(&client, stalled)->body.len, 100);
    for (int i = 0; i < 50; i++)
        h2_open_window(&client, stalled, 7 + i * i);
    h2_open_window(&client, stalled, WIDE);
    struct str got = events_of(&client, stalled), all = events_of(&client, live);
    assert_int_equal(got.len, all.len);
    assert_memory_equal(got.at, all.at, got.len);
    h2_leave(&client);
}

static size_t count_bytes(struct str text, char byte)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += text.at[i] == byte;
    return count;
}

/* Frames of a stream that is alone may bypass nghttp2, but not those that are too large. */
static void a_stream_that_is_alone_gets_events_of_all_sizes_whole(void **state)
{
    struct bench *bench = started(state);
    struct h2_client client;
    char *large = mem_alloc(60000);
    size_t sum = 0;
    memset(large, '#', 60000);
    h2_join(&client, bench, WIDE);
    int32_t id = h2_get(&client, "/stream");
    for (size_t size = 1; size < 60000; size *= 3) {
        for (int i = 0; i < 3; i++) {
            bench_append(bench, (struct str){large, size});
            sum += size;
            h2_talk(&client);
            assert_int_equal(count_bytes(buf_str(&h2_got(&client, id)->body), '#'), sum);
        }
    }
    h2_leave(&client);
    free(large);
}

static void a_large_event_is_held_once_for_stalled_streams(void **state)
{
    struct bench *bench = started(state);
    struct h2_client client;
    char *large = mem_alloc(100000);
    memset(large, 'x', 100000);
    h2_join(&client, bench, 100);
    int32_t one = h2_get(&client, "/stream"), two = h2_get(&client, "/stream");
    h2_open_window(&client, one, 300);
    h2_open_window(&client, two, 500);
    bench_append(bench, (struct str){large, 100000});
    h2_talk(&client);
    assert_true(account_held(&bench->worker.account, ACCOUNT_RESTS) +
                    account_held(&bench->worker.account, ACCOUNT_ANSWERS) <
                150000);
    h2_open_window(&client, one, WIDE);
    h2_open_window(&client, two, WIDE);
    assert_true(h2_got(&client, one)->body.len > 100000);
    assert_int_equal(h2_got(&client, one)->body.len, h2_got(&client, two)->body.len);
    h2_leave(&client);
    free(large);
}

static void an_answer_that_is_not_read_is_reset_in_time(void **state)
{
    struct bench *bench = started(state);
    struct h2_client client;
    h2_join(&client, bench, 5);
    int32_t stream = h2_get(&client, "/stream");
    int32_t id = h2_post(&client, "/echo", STR("0123456789"));
    assert_int_equal(h2_got(&client, id)->body.len, 5);
    bench_pass(bench, 61000);
    h2_talk(&client);
    assert_true(h2_got(&client, id)->is_over);
    assert_int_equal(h2_got(&client, id)->error, NGHTTP2_CANCEL);
    assert_int_equal(hits(bench, LIMIT_STALL), 1);
    assert_false(h2_got(&client, stream)->is_over);
    h2_leave(&client);
}

static void a_publish_without_a_verdict_in_time_has_an_unknown_fate(void **state)
{
    struct bench *bench = started(state);
    struct h2_client client;
    h2_join(&client, bench, WIDE);
    int32_t id = h2_post(&client, "/park", STR_NONE);
    bench_pass(bench, 9000);
    h2_talk(&client);
    assert_int_equal(h2_got(&client, id)->status, 503);
    assert_int_equal(h2_count(&client, id, "fate-unknown"), 1);
    assert_true(bench->parked[0]->dropped);
    exchange_free(bench->parked[0]);
    h2_leave(&client);
}

static void a_request_whose_client_has_gone_is_dropped(void **state)
{
    struct bench *bench = started(state);
    struct h2_client client;
    h2_join(&client, bench, WIDE);
    int32_t id = h2_post(&client, "/park", STR_NONE);
    (void)h2_post(&client, "/park", STR_NONE);
    assert_int_equal(nghttp2_submit_rst_stream(client.session, 0, id, NGHTTP2_CANCEL), 0);
    h2_talk(&client);
    assert_true(bench->parked[0]->dropped);
    assert_false(bench->parked[1]->dropped);
    h2_leave(&client);
    assert_true(bench->parked[1]->dropped);
    exchange_free(bench->parked[0]);
    exchange_free(bench->parked[1]);
}

/* A holding names its stream, which is closed if memory is needed: it must not outlive it. */
static void a_parked_request_holds_nothing_once_it_is_reset_or_answered(void **state)
{
    struct bench *bench = started(state);
    struct h2_client client;
    h2_join(&client, bench, WIDE);
    int32_t id = h2_get(&client, "/wait"), late = h2_get(&client, "/wait");
    assert_non_null(holdings_largest(&bench->worker.holdings, ACCOUNT_INTAKE));
    assert_int_equal(nghttp2_submit_rst_stream(client.session, 0, id, NGHTTP2_CANCEL), 0);
    h2_talk(&client);
    bench_pass(bench, 9000);
    h2_talk(&client);
    assert_int_equal(h2_got(&client, late)->status, 503);
    struct str said = buf_str(&h2_got(&client, late)->body);
    assert_non_null(memmem(said.at, said.len, "limits.publish_ms", 17));
    assert_null(holdings_largest(&bench->worker.holdings, ACCOUNT_INTAKE));
    for (unsigned i = 0; i < 2; i++) {
        assert_true(bench->parked[i]->dropped);
        assert_null(bench->parked[i]->parked);
        exchange_free(bench->parked[i]);
    }
    h2_leave(&client);
}

static void a_poll_that_begins_on_a_closed_stream_ends_with_it(void **state)
{
    struct bench *bench = started(state);
    struct h2_client client;
    bench->reading.format = FORMAT_PAGE;
    bench->reading.wait_s = 20;
    h2_join(&client, bench, WIDE);
    int32_t id = h2_get(&client, "/park");
    request_stream_close(bench->parked[0]->request);
    page_begin(bench->parked[0], bench_reading(bench));
    h2_talk(&client);
    bench_pass(bench, 1);
    h2_talk(&client);
    assert_true(h2_got(&client, id)->is_over);
    assert_int_equal(bench->worker.hub.subs, 0);
    h2_leave(&client);
}

static void publishes_wait_for_the_log_and_reads_do_not(void **state)
{
    struct bench *bench = started(state);
    struct h2_client client;
    h2_join(&client, bench, WIDE);
    bench_press(bench, 2 << 20);
    int32_t publish = h2_post(&client, "/publish", STR("hello")), echo = h2_get(&client, "/echo");
    assert_int_equal(h2_got(&client, publish)->status, 0);
    assert_int_equal(h2_got(&client, echo)->status, 200);
    bench_press(bench, 0);
    bench_pass(bench, 100);
    h2_talk(&client);
    assert_int_equal(h2_got(&client, publish)->status, 201);
    h2_leave(&client);
}

static void an_idle_connection_is_told_and_closed(void **state)
{
    struct bench *bench = started(state);
    struct h2_client client;
    h2_join(&client, bench, WIDE);
    (void)h2_get(&client, "/echo");
    bench_pass(bench, 76000);
    h2_talk(&client);
    assert_true(client.goaway);
    assert_int_equal(client.goaway_error, NGHTTP2_NO_ERROR);
    assert_int_equal(hits(bench, LIMIT_IDLE), 1);
    bench_pass(bench, 3000);
    h2_talk(&client);
    assert_true(client.peer.ended);
    assert_true(list_empty(&bench->worker.connections));
    h2_leave(&client);
}

/* Says a head but for its end: its fields have `len` bytes. */
static void say_half_a_head(struct h2_client *client, int32_t id, size_t len)
{
    static const char start[] = {(char)0x83, (char)0x86, (char)0x84}; /* POST http / */
    char *large = mem_alloc(len);
    struct buf head = {0};
    memset(large, 'x', len);
    buf_add(&head, start, sizeof(start));
    for (size_t at = 0; at < len; at += 100) { /* a name of one byte, and a value of 100 */
        static const char field[] = {0, 1, 'a', 100};
        buf_add(&head, field, sizeof(field));
        buf_add(&head, large, 100);
    }
    const char frame[] = {
        (char)(head.len >> 16), (char)(head.len >> 8), (char)head.len,  1,       1,
        (char)(id >> 24),       (char)(id >> 16),      (char)(id >> 8), (char)id};
    peer_send(&client->peer, (struct str){frame, sizeof(frame)});
    peer_send(&client->peer, buf_str(&head));
    h2_talk(client);
    buf_free(&head);
    free(large);
}

static void a_head_that_is_not_whole_counts_and_has_its_time(void **state)
{
    struct bench *bench = started(state);
    for (int i = 0; i < 2; i++) {
        struct h2_client client;
        h2_join(&client, bench, WIDE);
        if (i)
            (void)h2_get(&client, "/stream");
        size_t before = account_held(&bench->worker.account, ACCOUNT_INTAKE);
        say_half_a_head(&client, 3, 10000);
        assert_true(account_held(&bench->worker.account, ACCOUNT_INTAKE) >= before + 10000);
        bench_pass(bench, bench->limits.head_ms - 1000);
        h2_talk(&client);
        assert_false(client.goaway);
        bench_pass(bench, 1100);
        h2_talk(&client);
        assert_true(client.goaway);
        bench_pass(bench, 2100);
        h2_talk(&client);
        assert_true(client.peer.ended);
        assert_int_equal(account_held(&bench->worker.account, ACCOUNT_INTAKE), 0);
        assert_true(list_empty(&bench->worker.connections));
        h2_leave(&client);
    }
    assert_int_equal(hits(bench, LIMIT_IDLE), 0);
}

static void heads_that_are_not_whole_give_way_over_held_max(void **state)
{
    struct bench *bench = *state;
    struct h2_client clients[4];
    bench->limits.held_max = 40 << 10;
    started(state);
    for (int i = 0; i < 4; i++) {
        h2_join(&clients[i], bench, WIDE);
        say_half_a_head(&clients[i], 1, 12000);
    }
    assert_true(hits(bench, LIMIT_HELD) > 0);
    assert_true(account_held(&bench->worker.account, ACCOUNT_INTAKE) <= 40 << 10);
    for (int i = 0; i < 4; i++)
        h2_leave(&clients[i]);
}

/* Ends with the moment that it lingers, whatever becomes of its streams. */
static void a_connection_that_floods_is_gone_in_a_moment(void **state)
{
    static const uint8_t opaque[8] = {0};
    struct bench *bench = *state;
    bench->limits.http2.control_max = 10;
    started(state);
    struct h2_client client;
    h2_join(&client, bench, WIDE);
    (void)h2_get(&client, "/park");
    for (int i = 0; i < 20; i++)
        assert_int_equal(nghttp2_submit_ping(client.session, 0, opaque), 0);
    h2_talk(&client);
    assert_int_equal(client.goaway_error, NGHTTP2_ENHANCE_YOUR_CALM);
    assert_int_equal(hits(bench, LIMIT_FLOODS), 1);
    request_stream_close(bench->parked[0]->request);
    bench_pass(bench, 1);
    assert_true(bench->parked[0]->dropped);
    exchange_free(bench->parked[0]);
    bench_pass(bench, 2100);
    assert_true(list_empty(&bench->worker.connections));
    h2_leave(&client);
}

static void a_stream_keeps_its_connection_from_idling(void **state)
{
    struct bench *bench = started(state);
    struct h2_client client;
    h2_join(&client, bench, WIDE);
    int32_t id = h2_get(&client, "/stream");
    bench_pass(bench, 26000);
    bench_pass(bench, 60000);
    h2_talk(&client);
    assert_false(client.goaway || h2_got(&client, id)->is_over);
    assert_true(h2_count(&client, id, "cursor") >= 2); /* beats */
    h2_leave(&client);
}

static int say_nothing_is_acknowledged(int fd, struct conn_delivery *ret)
{
    (void)fd;
    *ret = (struct conn_delivery){.unacked = true, .ack_ms = 200000};
    return 0;
}

static void a_peer_that_vanishes_loses_its_connection_with_all_streams(void **state)
{
    struct bench *bench = started(state);
    struct h2_client client;
    h2_join(&client, bench, WIDE);
    for (int i = 0; i < 3; i++)
        (void)h2_get(&client, "/stream");
    bench->worker.net.ask_delivery = say_nothing_is_acknowledged;
    bench_pass(bench, 26000);
    bench_settle(bench);
    assert_true(list_empty(&bench->worker.connections));
    assert_int_equal(bench->worker.net.conns, 0);
    h2_leave(&client);
}

static void a_drain_ends_streams_and_then_the_connection(void **state)
{
    struct bench *bench = started(state);
    struct h2_client client, idle;
    h2_join(&client, bench, WIDE);
    h2_join(&idle, bench, WIDE);
    int32_t stream = h2_get(&client, "/stream");
    int32_t parked = h2_post(&client, "/park", STR_NONE);
    worker_drain(&bench->worker);
    bench_settle(bench);
    h2_talk(&idle);
    assert_true(idle.goaway);
    h2_talk(&client);
    assert_true(client.goaway);
    bench_pass(bench, 2100);
    h2_talk(&client);
    assert_true(h2_got(&client, stream)->is_over);
    assert_int_equal(h2_got(&client, stream)->error, NGHTTP2_NO_ERROR);
    exchange_json(bench->parked[0], 201, STR("{}"));
    h2_talk(&client);
    assert_int_equal(h2_got(&client, parked)->status, 201);
    h2_leave(&idle);
    h2_leave(&client);
    bench_pass(bench, 3000);
    assert_true(list_empty(&bench->worker.connections));
}

/* The worker has much else to do, and tells the connection when the time of the drain is over. */
static void streams_of_a_connection_that_hears_late_of_the_drain_end_in_its_time(void **state)
{
    enum { STREAMS = 8 };
    struct bench *bench = started(state);
    struct h2_client other, client;
    int32_t ids[STREAMS];
    h2_join(&other, bench, WIDE);
    h2_join(&client, bench, WIDE);
    for (int i = 0; i < STREAMS; i++)
        ids[i] = h2_get(&client, "/stream");
    bench->worker.config.limits.drain_some = 1;
    worker_drain(&bench->worker);
    worker_step(&bench->worker, 0);
    assert_false(list_empty(&bench->worker.undrained));
    clock_fake_advance(&bench->clock, INT64_C(1000) * bench->limits.drain_ms);
    worker_step(&bench->worker, 0);
    bench_pass(bench, 1);
    h2_talk(&client);
    for (int i = 0; i < STREAMS; i++) {
        assert_true(h2_got(&client, ids[i])->is_over);
        assert_int_equal(h2_got(&client, ids[i])->error, NGHTTP2_NO_ERROR);
    }
    h2_leave(&other);
    h2_leave(&client);
}

/* The requests have come, but the worker does not read all of them before it tells connections of
 * the drain. Those of fresh connections come with their prefaces. */
static void a_request_that_came_before_the_drain_is_answered(void **state)
{
    enum { CLIENTS = 20 };
    struct bench *bench = started(state);
    struct h2_client clients[CLIENTS];
    int32_t ids[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        h2_begin_join(&clients[i], bench, WIDE);
        if (i % 2)
            h2_talk(&clients[i]);
    }
    bench->worker.config.budgets.step_bytes = bench->worker.config.budgets.turn_bytes = 2048;
    worker_step(&bench->worker, 0);
    for (int i = 0; i < CLIENTS; i++) {
        ids[i] = h2_submit(&clients[i], "GET", "/echo");
        h2_say(&clients[i]);
    }
    worker_drain(&bench->worker);
    worker_step(&bench->worker, 0);
    assert_true(bench->worker.draining && list_empty(&bench->worker.undrained));
    assert_true(bench->handled < CLIENTS);
    for (int i = 0; i < CLIENTS; i++) {
        h2_talk(&clients[i]);
        assert_int_equal(h2_got(&clients[i], ids[i])->status, 200);
        assert_true(clients[i].goaway);
        h2_leave(&clients[i]);
    }
}

/* The worker opens mail between the reading of bytes and their use. */
static void a_request_that_is_being_read_when_the_drain_comes_is_answered(void **state)
{
    struct bench *bench = started(state);
    struct h2_client client;
    h2_join(&client, bench, WIDE);
    struct drainer drainer;
    int32_t id = h2_submit(&client, "GET", "/echo");
    drainer_begin(&drainer, bench);
    h2_talk(&client);
    drainer_end(&drainer);
    assert_int_equal(h2_got(&client, id)->status, 200);
    assert_true(client.goaway);
    h2_leave(&client);
}

/* The bytes that have come are no request: there is nothing to wait for. */
static void a_ping_that_came_before_the_drain_does_not_delay_it(void **state)
{
    struct bench *bench = started(state);
    struct h2_client client;
    h2_join(&client, bench, WIDE);
    assert_int_equal(nghttp2_submit_ping(client.session, 0, NULL), 0);
    h2_say(&client);
    worker_drain(&bench->worker);
    mailbox_empty(&bench->worker.loop.mailbox);
    h2_talk(&client);
    assert_true(client.goaway);
    h2_leave(&client);
    bench_settle(bench);
    assert_true(list_empty(&bench->worker.connections));
}

/* Gives the newest connection the door by which it is to have come. */
static void come_by(struct bench *bench, uint8_t door)
{
    container_of(bench->worker.connections.prev, struct conn, node)->door = door;
}

static void a_door_that_redirects_sends_every_request_to_tls(void **state)
{
    struct bench *bench = started(state);
    struct h2_client client;
    bench->worker.config.https_port = 8443;
    h2_begin_join(&client, bench, WIDE);
    come_by(bench, DOOR_REDIRECT);
    h2_talk(&client);
    int32_t ids[] = {h2_get(&client, "/stream?a=1"), h2_post(&client, "/publish", STR("hello")),
                     h2_begin(&client, "POST", "/publish", &STR("never ends"), true),
                     h2_websocket(&client, "/socket")};
    static const char *const urls[] = {"https://x:8443/stream?a=1", "https://x:8443/publish",
                                       "https://x:8443/publish", "https://x:8443/socket"};
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        assert_int_equal(h2_got(&client, ids[i])->status, 308);
        assert_string_equal(h2_got(&client, ids[i])->location, urls[i]);
    }
    assert_false(client.goaway);
    assert_int_equal(bench->handled, 0);
    assert_int_equal(bench->published, 0);
    h2_leave(&client);
}

static void a_port_of_tls_refuses_http2_without_it(void **state)
{
    struct bench *bench = started(state);
    struct h2_client client;
    h2_begin_join(&client, bench, WIDE);
    come_by(bench, DOOR_TLS | DOOR_BARE);
    h2_talk(&client);
    assert_true(client.goaway);
    h2_leave(&client);
}

static void streams_over_the_limit_are_refused(void **state)
{
    struct bench *bench = *state;
    bench->limits.http2.streams_max = 3;
    started(state);
    struct h2_client client;
    h2_join(&client, bench, WIDE);
    for (int i = 0; i < 3; i++)
        (void)h2_get(&client, "/stream");
    int32_t id = h2_get(&client, "/stream"); /* the client knows, and waits */
    assert_false(h2_got(&client, id)->is_over);
    assert_int_equal(bench->worker.hub.subs, 3);
    assert_int_equal(nghttp2_submit_rst_stream(client.session, 0, 1, NGHTTP2_CANCEL), 0);
    h2_talk(&client);
    assert_int_equal(h2_got(&client, id)->status, 200);
    h2_leave(&client);
}

static void frames_of_websockets_are_used_as_fast_as_the_log_takes_them(void **state)
{
    static const char frame[] = {(char)0x81, (char)0x82, 0, 0, 0, 0, 'h', 'i'};
    struct bench *bench = started(state);
    struct h2_client client;
    h2_join(&client, bench, WIDE);
    int32_t id = h2_websocket(&client, "/socket");
    assert_int_equal(h2_got(&client, id)->status, 200);
    h2_send(&client, id, (struct str){frame, sizeof(frame)});
    assert_int_equal(h2_count(&client, id, "\"hi\""), 1);
    bench_press(bench, 2 << 20);
    for (int i = 0; i < 20; i++)
        h2_send(&client, id, (struct str){frame, sizeof(frame)});
    unsigned before = h2_count(&client, id, "\"hi\"");
    assert_true(before < 21); /* the socket does not listen */
    bench_press(bench, 0);
    bench_pass(bench, 100);
    h2_talk(&client);
    assert_int_equal(h2_count(&client, id, "\"hi\""), 21);
    h2_got(&client, id)->holds_end = false;
    h2_send(&client, id, STR_NONE); /* the client goes without a close frame */
    assert_true(h2_got(&client, id)->is_over);
    bench_pass(bench, 1);
    assert_int_equal(bench->worker.hub.subs, 0);
    h2_leave(&client);
}

/* The example of RFC 8441 section 5.1 ends the stream with the frame. */
static void a_close_frame_that_ends_the_stream_is_answered_behind_publishes(void **state)
{
    static const char frames[] = {(char)0x81, (char)0x82, 0, 0, 0, 0, 'h',  'i',
                                  (char)0x88, (char)0x82, 0, 0, 0, 0, 0x03, (char)0xe8};
    struct bench *bench = started(state);
    struct h2_client client;
    h2_join(&client, bench, WIDE);
    int32_t id = h2_websocket(&client, "/socket");
    h2_got(&client, id)->holds_end = false;
    h2_send(&client, id, (struct str){frames, sizeof(frames)});
    assert_int_equal(h2_count(&client, id, "\"hi\""), 1);
    assert_int_equal(h2_count(&client, id, "\x88\x02\x03\xe8"), 1);
    assert_true(h2_got(&client, id)->is_over);
    assert_int_equal(h2_got(&client, id)->error, NGHTTP2_NO_ERROR);
    assert_int_equal(bench->worker.hub.subs, 0);
    h2_leave(&client);
}

/* Such a client cannot say a close frame any more, nor answer a ping. */
static void a_websocket_whose_client_has_ended_before_the_answer_ends_with_it(void **state)
{
    static const char text[] = "GET /socket HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\n"
                               "upgrade: websocket\r\nsec-websocket-version: 13\r\n\r\n";
    struct bench *bench = started(state);
    struct h2_client client;
    struct http_scan scan = {0};
    struct http_head head;
    h2_join(&client, bench, WIDE);
    int32_t at_once = h2_connect(&client, "/socket", true);
    assert_true(h2_got(&client, at_once)->is_over);
    int32_t id = h2_websocket(&client, "/park");
    h2_got(&client, id)->holds_end = false;
    h2_send(&client, id, STR_NONE);
    assert_false(h2_got(&client, id)->is_over);
    assert_int_equal(http_head_parse(STR(text), &bench->worker.config.limits.http, &scan, &head),
                     0);
    bench->parked[0]->head = &head;
    channel_websocket_begin(bench->parked[0], bench_reading(bench));
    h2_talk(&client);
    assert_true(h2_got(&client, id)->is_over);
    bench_pass(bench, 1);
    assert_int_equal(bench->worker.hub.subs, 0);
    h2_leave(&client);
}

/* A pull that has nothing to send yet when it is asked, and wants to be asked again. */
struct hesitant {
    struct pull pull;
    struct str text;
    unsigned waits; /* times that it has nothing */
    bool is_due;
};

static struct str hesitant_fill(struct pull *pull)
{
    struct hesitant *hesitant = container_of(pull, struct hesitant, pull);
    if (hesitant->waits) {
        hesitant->waits--;
        pull->request->ops->woken(pull->request, true);
        return STR_NONE;
    }
    return hesitant->is_due ? hesitant->text : STR_NONE;
}

static bool hesitant_sent(struct pull *pull, size_t n, bool blocked)
{
    (void)blocked;
    container_of(pull, struct hesitant, pull)->is_due = !n;
    return false;
}

static void hesitant_free(struct pull *pull)
{
    (void)pull;
}

static const struct pull_ops hesitant_ops = {
    .fill = hesitant_fill, .sent = hesitant_sent, .free = hesitant_free};

static void a_pull_that_is_woken_while_it_is_asked_is_asked_again(void **state)
{
    struct bench *bench = started(state);
    struct h2_client client;
    struct response response;
    struct hesitant hesitant = {
        .pull = {.ops = &hesitant_ops}, .text = STR("at last"), .waits = 2, .is_due = true};
    h2_join(&client, bench, WIDE);
    int32_t other = h2_get(&client, "/stream"), id = h2_get(&client, "/park");
    response_init(&response, 200);
    response.goes_on = true;
    assert_non_null(exchange_pull(bench->parked[0], &response, &hesitant.pull));
    h2_talk(&client);
    assert_int_equal(h2_count(&client, id, "at last"), 1);
    hesitant.waits = 3; /* and beside a stream that has bytes */
    hesitant.is_due = true;
    request_stream_dirty(hesitant.pull.request);
    bench_append(bench, STR("hello"));
    h2_talk(&client);
    assert_int_equal(h2_count(&client, other, "hello"), 1);
    assert_int_equal(h2_count(&client, id, "at last"), 2);
    h2_leave(&client);
}

/* The WebSocket has unread bytes, whose part of the window is given back when it is freed. At that
 * time nghttp2 does not know of its last frame, and by lengths it is the other stream's turn. */
static void a_connection_that_closes_asks_no_stream_that_was_freed(void **state)
{
    enum { LONG = 200 };
    static const char turns[] = "wppbw"; /* the WebSocket, the pull, both */
    static const char frame[] = {(char)0x81, (char)0x82, 0, 0, 0, 0, 'h', 'i'};
    char text[LONG];
    struct bench *bench = started(state);
    struct h2_client client;
    struct response response;
    struct hesitant other = {.pull = {.ops = &hesitant_ops}, .text = {text, LONG}};
    memset(text, 'x', LONG);
    h2_join(&client, bench, WIDE);
    int32_t other_id = h2_get(&client, "/park"), id = h2_websocket(&client, "/socket");
    response_init(&response, 200);
    response.goes_on = true;
    assert_non_null(exchange_pull(bench->parked[0], &response, &other.pull));
    bench_press(bench, 2 << 20);
    for (int i = 0; i < 20; i++)
        h2_send(&client, id, (struct str){frame, sizeof(frame)});
    for (const char *turn = turns; *turn; turn++) {
        other.is_due = *turn != 'w';
        if (other.is_due)
            request_stream_dirty(other.pull.request);
        if (*turn == 'p')
            assert_int_equal(nghttp2_submit_ping(client.session, 0, NULL), 0);
        else
            bench_append(bench, STR("an event"));
        h2_talk(&client);
    }
    assert_int_equal(h2_got(&client, other_id)->body.len, 3 * LONG);
    assert_int_equal(h2_count(&client, id, "an event"), 3);
    h2_leave(&client);
    bench_press(bench, 0);
}

/* The window of the connection is shared: bytes that a WebSocket leaves behind are given back. */
static void bytes_that_a_websocket_has_not_used_hold_up_no_other_stream(void **state)
{
    enum { SOCKETS = 20, LARGE = 60000 };
    struct bench *bench = started(state);
    struct h2_client client;
    char *large = mem_alloc(LARGE);
    memset(large, 'x', LARGE); /* to a WebSocket, a frame that is none */
    h2_join(&client, bench, WIDE);
    for (int i = 0; i < SOCKETS; i++) { /* the client waits for the answer, then goes */
        int32_t id = h2_websocket(&client, "/park");
        h2_send(&client, id, (struct str){large, LARGE});
        assert_int_equal(nghttp2_submit_rst_stream(client.session, 0, id, NGHTTP2_CANCEL), 0);
        h2_talk(&client);
    }
    for (int i = 0; i < SOCKETS; i++) { /* the server goes */
        int32_t id = h2_websocket(&client, "/socket");
        h2_send(&client, id, (struct str){large, LARGE});
        bench_pass(bench, 6000);
        h2_talk(&client);
        assert_true(h2_got(&client, id)->is_over);
    }
    int32_t id = h2_post(&client, "/echo", (struct str){large, LARGE});
    assert_int_equal(h2_got(&client, id)->body.len, LARGE);
    h2_leave(&client);
    for (int i = 0; i < SOCKETS; i++)
        exchange_free(bench->parked[i]);
    free(large);
}

/* The connection's window is as large as those of 16 streams. */
static void websockets_that_do_not_listen_hold_up_no_other_stream(void **state)
{
    enum { SOCKETS = 20, LARGE = 60000 };
    struct bench *bench = started(state);
    struct h2_client client;
    char *large = mem_alloc(LARGE);
    memset(large, 'x', LARGE);
    h2_join(&client, bench, WIDE);
    for (int i = 0; i < SOCKETS; i++)
        h2_send(&client, h2_websocket(&client, "/park"), (struct str){large, LARGE});
    int32_t id = h2_post(&client, "/echo", (struct str){large, LARGE});
    assert_int_equal(h2_got(&client, id)->body.len, LARGE);
    assert_true(account_held(&bench->worker.account, ACCOUNT_INTAKE) >= (uint64_t)SOCKETS * LARGE);
    h2_leave(&client);
    for (int i = 0; i < SOCKETS; i++)
        exchange_free(bench->parked[i]);
    free(large);
}

static void memory_of_the_codec_counts_and_the_largest_gives_way(void **state)
{
    struct bench *bench = *state;
    struct h2_client clients[2];
    bench->limits.held_max = 64 << 10;
    started(state);
    for (int i = 0; i < 2; i++)
        h2_join(&clients[i], bench, WIDE);
    assert_true(account_held(&bench->worker.account, ACCOUNT_HTTP2) > 1000);
    (void)h2_get(&clients[1], "/stream");
    for (int i = 0; i < H2_STREAMS - 1; i++)
        (void)h2_submit(&clients[0], "GET", "/stream");
    h2_talk(&clients[0]);
    assert_true(hits(bench, LIMIT_HELD) > 0);
    bench_pass(bench, 1);
    assert_int_equal(bench->worker.hub.subs, 1);
    for (int i = 0; i < 2; i++)
        h2_leave(&clients[i]);
    bench_pass(bench, 1);
    assert_int_equal(account_held(&bench->worker.account, ACCOUNT_HTTP2), 0);
}

/* Bytes for a WebSocket that is not opened yet count, and the largest give way. */
static void bytes_before_the_answer_of_a_websocket_are_bounded(void **state)
{
    enum { LARGE = 60000 };
    struct bench *bench = *state;
    struct h2_client client;
    char *large = mem_alloc(LARGE);
    memset(large, 'x', LARGE);
    bench->limits.held_max = 100 << 10;
    started(state);
    h2_join(&client, bench, WIDE);
    int32_t ids[3];
    for (int i = 0; i < 3; i++) {
        ids[i] = h2_websocket(&client, "/park");
        h2_send(&client, ids[i], (struct str){large, LARGE});
    }
    assert_true(account_held(&bench->worker.account, ACCOUNT_INTAKE) < 100 << 10);
    assert_true(hits(bench, LIMIT_HELD) >= 2);
    bench_pass(bench, 3000);
    h2_talk(&client);
    unsigned open = 0;
    for (int i = 0; i < 3; i++) {
        open += !h2_got(&client, ids[i])->is_over;
        assert_int_equal(bench->parked[i]->dropped, h2_got(&client, ids[i])->is_over);
        exchange_json(bench->parked[i], 404, STR("{}"));
    }
    assert_int_equal(open, 1);
    h2_leave(&client);
    free(large);
}

static void the_largest_holders_give_way_over_held_max(void **state)
{
    struct bench *bench = *state;
    bench->limits.held_max = 100 << 10;
    started(state);
    struct h2_client client;
    char *large = mem_alloc(40000);
    memset(large, 'x', 40000);
    h2_join(&client, bench, WIDE);
    int32_t one = h2_begin(&client, "POST", "/echo", &(struct str){large, 40000}, true);
    int32_t two = h2_begin(&client, "POST", "/echo", &(struct str){large, 40000}, true);
    int refused = (h2_got(&client, one)->status == 503) + (h2_got(&client, two)->status == 503);
    assert_int_equal(refused, 1);
    assert_true(hits(bench, LIMIT_HELD) >= 1);
    assert_int_equal(h2_got(&client, h2_get(&client, "/echo"))->status, 200);
    h2_leave(&client);
    free(large);
}

/* A request may be much work, and dozens of them fit into a kilobyte. */
static void requests_of_one_read_are_handled_within_the_budget(void **state)
{
    enum { REQUESTS = 60, TURN = 4096 };
    struct bench *bench = started(state);
    struct h2_client client;
    h2_join(&client, bench, WIDE);
    bench->worker.config.budgets.step_bytes = TURN;
    bench->worker.config.budgets.turn_bytes = TURN;
    for (int i = 0; i < REQUESTS; i++)
        (void)h2_submit(&client, "GET", "/stream");
    h2_say(&client);
    uint64_t before = 0, most = 0;
    for (int turn = 0; turn < REQUESTS; turn++) {
        worker_step(&bench->worker, 0);
        uint64_t now = bench->worker.hub.subs;
        most = now - before > most ? now - before : most;
        before = now;
    }
    assert_int_equal(before, REQUESTS);
    assert_in_range(most, 1, 8);
    h2_leave(&client);
}

static void a_client_that_reads_nothing_is_not_read(void **state)
{
    struct bench *bench = started(state);
    struct h2_client client;
    int size = BENCH_SMALL_BUFFER;
    char *large = mem_alloc(60000);
    memset(large, 'x', 60000);
    h2_join(&client, bench, WIDE);
    int fd = container_of(bench->worker.connections.next, struct conn, node)->fd;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
    bench_append(bench, (struct str){large, 60000});
    bench_settle(bench);
    bench->reading.from.kind = POSITION_EARLIEST;
    static const nghttp2_nv fields[] = {H2_FIELD(":method", "GET"), H2_FIELD(":scheme", "http"),
                                        H2_FIELD(":path", "/stream"), H2_FIELD(":authority", "x")};
    for (int i = 0; i < 20; i++)
        (void)nghttp2_submit_request(client.session, NULL, fields, 4, NULL, NULL);
    h2_say(&client);
    bench_settle(bench);
    size_t out = account_held(&bench->worker.account, ACCOUNT_RESTS);
    assert_true(out > 0 && out < 400 << 10);
    h2_talk(&client); /* now it reads */
    for (int i = 0; i < 20; i++)
        assert_true(h2_got(&client, 2 * i + 1)->body.len > 60000);
    h2_leave(&client);
    free(large);
}

#define WITH_BENCH(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BENCH(streams_polls_and_publishes_share_a_connection),
        WITH_BENCH(bodies_come_whole_whatever_their_frames),
        WITH_BENCH(a_body_that_is_too_large_or_late_is_refused_alone),
        WITH_BENCH(a_stalled_stream_holds_up_no_other_and_loses_nothing),
        WITH_BENCH(a_stream_that_is_alone_gets_events_of_all_sizes_whole),
        WITH_BENCH(a_large_event_is_held_once_for_stalled_streams),
        WITH_BENCH(an_answer_that_is_not_read_is_reset_in_time),
        WITH_BENCH(a_publish_without_a_verdict_in_time_has_an_unknown_fate),
        WITH_BENCH(a_request_whose_client_has_gone_is_dropped),
        WITH_BENCH(a_parked_request_holds_nothing_once_it_is_reset_or_answered),
        WITH_BENCH(a_poll_that_begins_on_a_closed_stream_ends_with_it),
        WITH_BENCH(publishes_wait_for_the_log_and_reads_do_not),
        WITH_BENCH(an_idle_connection_is_told_and_closed),
        WITH_BENCH(a_head_that_is_not_whole_counts_and_has_its_time),
        WITH_BENCH(heads_that_are_not_whole_give_way_over_held_max),
        WITH_BENCH(a_connection_that_floods_is_gone_in_a_moment),
        WITH_BENCH(a_stream_keeps_its_connection_from_idling),
        WITH_BENCH(a_peer_that_vanishes_loses_its_connection_with_all_streams),
        WITH_BENCH(a_drain_ends_streams_and_then_the_connection),
        WITH_BENCH(streams_of_a_connection_that_hears_late_of_the_drain_end_in_its_time),
        WITH_BENCH(a_request_that_came_before_the_drain_is_answered),
        WITH_BENCH(a_request_that_is_being_read_when_the_drain_comes_is_answered),
        WITH_BENCH(a_ping_that_came_before_the_drain_does_not_delay_it),
        WITH_BENCH(a_door_that_redirects_sends_every_request_to_tls),
        WITH_BENCH(a_port_of_tls_refuses_http2_without_it),
        WITH_BENCH(streams_over_the_limit_are_refused),
        WITH_BENCH(frames_of_websockets_are_used_as_fast_as_the_log_takes_them),
        WITH_BENCH(a_close_frame_that_ends_the_stream_is_answered_behind_publishes),
        WITH_BENCH(a_websocket_whose_client_has_ended_before_the_answer_ends_with_it),
        WITH_BENCH(a_pull_that_is_woken_while_it_is_asked_is_asked_again),
        WITH_BENCH(a_connection_that_closes_asks_no_stream_that_was_freed),
        WITH_BENCH(bytes_that_a_websocket_has_not_used_hold_up_no_other_stream),
        WITH_BENCH(websockets_that_do_not_listen_hold_up_no_other_stream),
        WITH_BENCH(memory_of_the_codec_counts_and_the_largest_gives_way),
        WITH_BENCH(bytes_before_the_answer_of_a_websocket_are_bounded),
        WITH_BENCH(the_largest_holders_give_way_over_held_max),
        WITH_BENCH(requests_of_one_read_are_handled_within_the_budget),
        WITH_BENCH(a_client_that_reads_nothing_is_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
