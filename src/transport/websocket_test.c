#include "transport/freshet_v1_parts.h"
#include "transport/testing.h"

/* Longer than a narrow send buffer takes. */
enum { MUCH = 30000 };

static int begin(void **state)
{
    struct bench *bench = bench_new();
    bench->reading.format = FORMAT_WEBSOCKET;
    bench_begin(bench);
    *state = bench;
    return 0;
}

static int end(void **state)
{
    bench_free(*state);
    return 0;
}

static struct http1 *newest_http1(struct bench *bench)
{
    return container_of(bench->worker.connections.prev, struct http1, conn.node);
}

static struct websocket *newest_websocket(struct bench *bench)
{
    return container_of(newest_http1(bench)->request.pull, struct websocket, pull);
}

static void join_channel(struct bench *bench, struct peer *peer)
{
    peer_join(bench, peer);
    peer_upgrade(bench, peer, PEER_UPGRADE("/socket"));
}

static void join_freshet_v1(struct bench *bench, struct peer *peer)
{
    peer_join(bench, peer);
    peer_upgrade(bench, peer, PEER_UPGRADE("/v1"));
}

/* ---- publishes that take long ---------------------------------------------------------------- */

static void a_publish_whose_fate_is_unknown_is_told_in_freshet_v1(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    join_freshet_v1(bench, &peer);
    peer_frame(NULL, &peer, WS_TEXT,
               STR("{\"op\":\"publish\",\"channel\":\"a\",\"data\":1,\"ref\":\"r\"}"));
    bench_settle_without_log(bench);
    bench_pass(bench, bench->limits.publish_ms - 1000);
    peer_hear(bench, &peer);
    assert_false(peer_has(&peer, "\"op\":\"error\""));
    bench_pass(bench, 1000);
    peer_hear(bench, &peer);
    assert_true(peer_has(&peer, "{\"op\":\"error\",\"ref\":\"r\",\"problem\":{"));
    assert_true(peer_has(&peer, "/errors/fate-unknown"));
    assert_int_equal(newest_websocket(bench)->inflight, 0);
    bench_give_to_log(bench);
    peer_hear(bench, &peer);
    assert_false(peer_has(&peer, "\"op\":\"ok\""));
    peer_text(bench, &peer, "{\"op\":\"publish\",\"channel\":\"a\",\"data\":2,\"ref\":\"s\"}");
    peer_hear(bench, &peer);
    assert_true(peer_has(&peer, "{\"op\":\"ok\",\"ref\":\"s\",\"id\":\""));
    peer_leave(bench, &peer);
}

static void a_publish_whose_fate_is_unknown_frees_its_place_on_a_channels_socket(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    join_channel(bench, &peer);
    for (uint32_t i = 0; i < bench->limits.inflight_max; i++)
        peer_frame(NULL, &peer, WS_TEXT, STR("late"));
    bench_settle_without_log(bench);
    assert_int_equal(newest_websocket(bench)->inflight, bench->limits.inflight_max);
    peer_text(bench, &peer, "waits");
    assert_int_equal(newest_websocket(bench)->inflight, bench->limits.inflight_max);
    bench_pass(bench, bench->limits.publish_ms);
    assert_int_equal(newest_websocket(bench)->inflight, 0);
    peer_hear(bench, &peer);
    assert_true(peer_has(&peer, "\"data\":\"waits\""));
    assert_false(peer_has(&peer, "late"));
    bench_give_to_log(bench);
    peer_hear(bench, &peer);
    assert_int_equal(peer_count(&peer, "\"data\":\"late\""), bench->limits.inflight_max);
    assert_int_equal(peer_close_code(bench, &peer), 0);
    peer_leave(bench, &peer);
}

static void a_socket_that_is_gone_is_not_told(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    join_freshet_v1(bench, &peer);
    peer_frame(NULL, &peer, WS_TEXT, STR("{\"op\":\"publish\",\"channel\":\"a\",\"data\":1}"));
    bench_settle_without_log(bench);
    peer_leave(bench, &peer);
    assert_true(list_empty(&bench->worker.connections));
    bench_give_to_log(bench);
}

/* The connection's rest and its publishes each want it in a list: it must be found in both. */
static void a_publisher_that_does_not_read_is_read_again(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    char bytes[MUCH];
    memset(bytes, 'x', sizeof(bytes));
    peer_join_narrow(bench, &peer);
    peer_upgrade(bench, &peer, PEER_UPGRADE("/socket"));
    peer_frame(bench, &peer, WS_TEXT, (struct str){bytes, sizeof(bytes)});
    assert_true(request_stream_unsent_len(&newest_http1(bench)->request) > 0);
    for (uint32_t i = 0; i < bench->limits.inflight_max; i++)
        peer_frame(NULL, &peer, WS_TEXT, STR("one"));
    bench_settle_without_log(bench);
    peer_text(bench, &peer, "last");
    bench_give_to_log(bench);
    peer_hear(bench, &peer);
    assert_true(peer_has(&peer, "\"data\":\"last\""));
    peer_leave(bench, &peer);
}

/* The rest of a very large event is shared, and the peer is not at fault for its size. */
static void a_slow_peer_of_a_large_event_may_ping_and_is_answered_behind_it(void **state)
{
    enum { LARGE = 100000 };
    struct bench *bench = *state;
    struct peer peer;
    char *text = mem_alloc(LARGE);
    memset(text, 'x', LARGE);
    peer_join_narrow(bench, &peer);
    peer_upgrade(bench, &peer, PEER_UPGRADE("/socket"));
    bench_append(bench, (struct str){text, LARGE});
    bench_settle(bench);
    assert_true(request_stream_unsent_len(&newest_http1(bench)->request) >
                bench->limits.ws.message_max);
    for (int i = 0; i < 3; i++)
        peer_frame(bench, &peer, WS_PING, STR("are you there"));
    bench_append(bench, STR("next"));
    bench_settle(bench);
    peer_hear(bench, &peer);
    assert_false(peer.ended);
    assert_int_equal(bench->worker.stats.limits[LIMIT_RESTS], 0);
    assert_int_equal(peer_count(&peer, "are you there"), 3);
    const char *pong = memmem(peer.got.at, peer.got.len, "are you there", 13);
    size_t before = (size_t)(pong - peer.got.at);
    assert_in_range(before, LARGE, LARGE + 1000);
    assert_non_null(memmem(pong, peer.got.len - before, "\"data\":\"next\"", 13));
    assert_int_equal(bench_rests(bench), 0);
    peer_leave(bench, &peer);
    free(text);
}

/* ---- back-pressure --------------------------------------------------------------------------- */

static void a_publisher_is_not_read_while_the_log_is_behind(void **state)
{
    struct bench *bench = *state;
    struct peer publisher, listener;
    join_channel(bench, &publisher);
    join_channel(bench, &listener);
    peer_text(bench, &publisher, "one");
    bench_press(bench, bench->limits.pending_max + 1);
    peer_text(bench, &publisher, "two");
    bench_pass(bench, 1000);
    peer_hear(bench, &listener);
    assert_true(peer_has(&listener, "\"data\":\"one\""));
    assert_false(peer_has(&listener, "two"));
    peer_frame(bench, &listener, WS_PING, STR("here?"));
    peer_hear(bench, &listener);
    assert_true(peer_has(&listener, "here?"));
    bench_press(bench, 0);
    bench_pass(bench, 100);
    peer_hear(bench, &listener);
    assert_true(peer_has(&listener, "\"data\":\"two\""));
    peer_leave(bench, &publisher);
    peer_leave(bench, &listener);
}

static void a_peer_that_pings_and_reads_no_pongs_is_closed(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    char payload[125];
    memset(payload, 'x', sizeof(payload));
    peer_join_narrow(bench, &peer);
    peer_upgrade(bench, &peer, PEER_UPGRADE("/socket"));
    for (int i = 0; i < 1000 && !list_empty(&bench->worker.connections); i++)
        peer_frame(bench, &peer, WS_PING, (struct str){payload, sizeof(payload)});
    assert_true(list_empty(&bench->worker.connections));
    peer_leave(bench, &peer);
}

/* ---- beginning and end ----------------------------------------------------------------------- */

static void frames_that_come_with_the_handshake_are_read(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join(bench, &peer);
    peer_send(&peer, STR(PEER_UPGRADE("/socket")));
    peer_frame(bench, &peer, WS_TEXT, STR("early"));
    peer_hear(bench, &peer);
    assert_true(peer_has(&peer, "\"data\":\"early\""));
    peer_leave(bench, &peer);
}

static void a_close_is_answered_once_the_publishes_before_it_are(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    join_freshet_v1(bench, &peer);
    peer_frame(NULL, &peer, WS_TEXT,
               STR("{\"op\":\"publish\",\"channel\":\"a\",\"data\":1,\"ref\":7}"));
    peer_frame(NULL, &peer, WS_CLOSE, STR("\x03\xe8"));
    bench_settle_without_log(bench);
    assert_int_equal(peer_close_code(bench, &peer), 0);
    bench_give_to_log(bench);
    assert_int_equal(peer_close_code(bench, &peer), 1000);
    assert_true(peer_has(&peer, "{\"op\":\"ok\",\"ref\":7"));
    assert_true(peer.ended);
    peer_leave(bench, &peer);
}

static void a_close_does_not_wait_for_a_publish_whose_fate_is_unknown(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    join_freshet_v1(bench, &peer);
    peer_frame(NULL, &peer, WS_TEXT, STR("{\"op\":\"publish\",\"channel\":\"a\",\"data\":1}"));
    peer_frame(NULL, &peer, WS_CLOSE, STR("\x03\xe8"));
    bench_settle_without_log(bench);
    bench_pass(bench, bench->limits.publish_ms);
    assert_int_equal(peer_close_code(bench, &peer), 1000);
    assert_true(peer_has(&peer, "/errors/fate-unknown"));
    peer_leave(bench, &peer);
    bench_give_to_log(bench);
}

static void nothing_said_behind_a_close_counts(void **state)
{
    struct bench *bench = *state;
    struct peer peer, listener;
    join_channel(bench, &listener);
    join_channel(bench, &peer);
    peer_frame(NULL, &peer, WS_CLOSE, STR("\x03\xe8"));
    peer_text(bench, &peer, "too late");
    peer_hear(bench, &listener);
    assert_false(peer_has(&listener, "too late"));
    peer_leave(bench, &peer);
    peer_leave(bench, &listener);
}

static void a_peer_that_does_not_answer_a_close_is_not_waited_for(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    join_channel(bench, &peer);
    peer_frame(bench, &peer, WS_PONG, STR("unasked")); /* an unasked pong is fine */
    worker_drain(&bench->worker);
    bench_settle(bench);
    bench_pass(bench, bench->limits.drain_ms);
    assert_int_equal(peer_close_code(bench, &peer), WS_CLOSE_RESTART);
    assert_false(peer.ended);
    bench_pass(bench, bench->limits.close_ms);
    peer_hear(bench, &peer);
    assert_true(peer.ended);
    assert_int_equal(bench->worker.stats.limits[LIMIT_CLOSE], 1);
    peer_leave(bench, &peer);
}

static void a_drain_answers_publishes_before_it_closes(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    join_freshet_v1(bench, &peer);
    peer_frame(NULL, &peer, WS_TEXT,
               STR("{\"op\":\"publish\",\"channel\":\"a\",\"data\":1,\"ref\":7}"));
    bench_settle_without_log(bench);
    worker_drain(&bench->worker);
    bench_settle(bench);
    bench_pass(bench, bench->limits.drain_ms);
    assert_int_equal(peer_close_code(bench, &peer), 0);
    assert_true(peer_has(&peer, "{\"op\":\"bye\""));
    bench_give_to_log(bench);
    assert_true(peer_has(&peer, "\"retry_ms\":"));
    assert_int_equal(peer_close_code(bench, &peer), WS_CLOSE_RESTART);
    assert_true(peer_has(&peer, "{\"op\":\"ok\",\"ref\":7"));
    peer_leave(bench, &peer);
}

static void heartbeats_come_in_time_beside_any_publishes(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join(bench, &peer);
    peer_upgrade(bench, &peer, PEER_UPGRADE("/v1")); /* 25 s */
    for (int i = 0; i < 6; i++) {
        peer_text(bench, &peer, "{\"op\":\"publish\",\"channel\":\"a\",\"data\":1}");
        bench_pass(bench, 4000);
    }
    peer_hear(bench, &peer);
    assert_false(peer_has(&peer, "{\"op\":\"beat\""));
    bench_pass(bench, 1000);
    peer_hear(bench, &peer);
    assert_int_equal(peer_count(&peer, "{\"op\":\"beat\""), 1);
    peer_leave(bench, &peer);
}

static void a_peer_that_answers_no_beat_is_closed(void **state)
{
    struct bench *bench = *state;
    static const char *const requests[] = {PEER_UPGRADE("/v1"), PEER_UPGRADE("/socket")};
    for (size_t i = 0; i < 2; i++) {
        struct peer peer;
        peer_join(bench, &peer);
        peer_upgrade(bench, &peer, requests[i]); /* 25 s */
        for (int beat = 0; beat < 6; beat++) {   /* a pong, or anything else, is an answer */
            bench_pass(bench, 25000);
            if (beat & 1)
                peer_frame(bench, &peer, WS_PONG, STR(""));
        }
        assert_int_equal(bench->worker.net.conns, 1);
        bench_pass(bench, 25000);
        bench_pass(bench, 25000);
        assert_int_equal(bench->worker.net.conns, 1);
        bench_pass(bench, 25000);
        assert_int_equal(bench->worker.net.conns, 0);
        assert_int_equal(bench->worker.stats.limits[LIMIT_GONE], i + 1);
        peer_leave(bench, &peer);
    }
}

/* ---- refusals over the WebSocket ----------------------------------------------------------------
 */

static void a_channel_of_the_servers_own_is_not_published_to(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    bench->pattern = "$own/x";
    join_channel(bench, &peer);
    peer_text(bench, &peer, "no");
    assert_int_equal(peer_close_code(bench, &peer), 4403);
    assert_true(peer_has(&peer, "/errors/reserved-channel"));
    peer_leave(bench, &peer);
}

/* Everything a WebSocket does, with the nth allocation failing. */
static void run_with_failure(unsigned long nth)
{
    struct bench *bench = bench_new();
    struct peer channel, v1;
    bench->reading.format = FORMAT_WEBSOCKET;
    bench_begin(bench);
    peer_join(bench, &channel);
    peer_join(bench, &v1);
    mem_fail_nth(nth);
    peer_say(bench, &channel, PEER_UPGRADE("/socket"));
    peer_say(bench, &v1, PEER_UPGRADE("/v1"));
    peer_text(bench, &channel, "one");
    peer_text(bench, &v1, "{\"op\":\"subscribe\",\"channels\":[\"a\",\"b/*\"],\"ref\":1}");
    peer_text(bench, &v1, "{\"op\":\"publish\",\"channel\":\"a\",\"data\":{},\"key\":\"k\"}");
    peer_text(bench, &v1, "{\"op\":\"unsubscribe\",\"channels\":[\"a\"]}");
    peer_text(bench, &v1, "{\"op\":\"subscribe\",\"channels\":[\"c\"],\"last\":3}");
    peer_frame(bench, &channel, WS_CLOSE, STR("\x03\xe8"));
    mem_fail_nth(0);
    bench_settle(bench);
    peer_hear(bench, &channel);
    assert_true(channel.ended);
    peer_leave(bench, &channel);
    peer_leave(bench, &v1);
    bench_free(bench);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (unsigned long nth = 1; nth <= 160; nth++)
        run_with_failure(nth);
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* Begins a message of `size` bytes and does not end it. */
static void begin_message(struct bench *bench, struct peer *peer, size_t size)
{
    static const uint8_t mask[4] = {0};
    uint8_t head[WS_HEAD_MAX];
    char *bytes = malloc(size);
    assert_non_null(bytes);
    memset(bytes, 'x', size);
    size_t len = ws_frame_head(head, false, false, WS_TEXT, size, mask);
    peer_send(peer, (struct str){(char *)head, len});
    peer_send(peer, (struct str){bytes, size});
    free(bytes);
    bench_settle(bench);
}

static uint64_t intake(const struct bench *bench)
{
    return account_held(&bench->worker.account, ACCOUNT_INTAKE);
}

static void a_message_that_does_not_end_is_counted_and_has_a_deadline(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    join_channel(bench, &peer);
    begin_message(bench, &peer, 30000);
    assert_true(intake(bench) >= 30000);
    bench_pass(bench, bench->limits.message_ms - 1000);
    assert_int_equal(peer_close_code(bench, &peer), 0);
    bench_pass(bench, 1000);
    assert_int_equal(peer_close_code(bench, &peer), 4408);
    assert_int_equal(intake(bench), 0);
    peer_leave(bench, &peer);
}

static void messages_that_end_in_time_have_a_deadline_each(void **state)
{
    static const char last[] = {(char)0x80, (char)0x80, 0, 0, 0, 0};
    struct bench *bench = *state;
    struct peer peer;
    join_channel(bench, &peer);
    for (int i = 0; i < 4; i++) {
        begin_message(bench, &peer, 1000);
        bench_pass(bench, bench->limits.message_ms / 2);
        peer_send(&peer, (struct str){last, sizeof(last)});
        begin_message(bench, &peer, 1000);
        bench_pass(bench, bench->limits.message_ms / 2);
        peer_send(&peer, (struct str){last, sizeof(last)});
        bench_settle(bench);
    }
    assert_int_equal(peer_close_code(bench, &peer), 0);
    assert_int_equal(intake(bench), 0);
    peer_leave(bench, &peer);
}

static void the_largest_unfinished_messages_give_way_to_others(void **state)
{
    enum { PEERS = 8, LARGE = 60000, SMALL = 2000 };
    struct bench *bench = *state;
    struct peer large[PEERS], small;
    bench->worker.account.limit = PEERS * LARGE / 2;
    join_channel(bench, &small);
    begin_message(bench, &small, SMALL);
    for (int i = 0; i < PEERS; i++) {
        join_channel(bench, &large[i]);
        begin_message(bench, &large[i], LARGE);
        assert_int_equal(account_excess(&bench->worker.account), 0);
    }
    assert_true(bench->worker.stats.limits[LIMIT_HELD] > 0);
    assert_int_equal(peer_close_code(bench, &small), 0);
    unsigned closed = 0;
    for (int i = 0; i < PEERS; i++) {
        unsigned code = peer_close_code(bench, &large[i]);
        assert_true(code == 0 || code == 4503);
        closed += code == 4503;
        peer_leave(bench, &large[i]);
    }
    assert_true(closed >= PEERS / 2);
    assert_int_equal(closed, bench->worker.stats.limits[LIMIT_HELD]);
    peer_leave(bench, &small);
}

/* A message left unread because memory is tight is read once there is room again. */
static void an_unfinished_message_waits_while_memory_is_tight(void **state)
{
    enum { LARGE = 70000 };
    static const char last[] = {(char)0x80, (char)0x80, 0, 0, 0, 0};
    struct bench *bench = *state;
    struct peer peer;
    bench->worker.config.limits.ws.message_max = 2L * LARGE;
    bench->worker.config.limits.ws.frame_max = 2L * LARGE;
    join_channel(bench, &peer);
    begin_message(bench, &peer, LARGE);
    bench->worker.account.limit = bench->worker.account.total + 1;
    peer_send(&peer, (struct str){last, sizeof(last)});
    bench_pass(bench, 1000);
    assert_int_equal(bench->worker.submitter.published, 0);
    bench->worker.account.limit = 0;
    bench_pass(bench, 1000);
    assert_int_equal(bench->worker.submitter.published, 1);
    peer_leave(bench, &peer);
}

/* A peer that leaves frees memory: its end is noticed without waiting for others. */
static void a_peer_that_gives_way_and_goes_is_seen_to_go(void **state)
{
    enum { LARGE = 70000 };
    struct bench *bench = *state;
    struct peer peer;
    bench->worker.config.limits.ws.message_max = 2L * LARGE;
    bench->worker.config.limits.ws.frame_max = 2L * LARGE;
    join_channel(bench, &peer);
    begin_message(bench, &peer, LARGE);
    bench->worker.account.limit = bench->worker.account.total + 1;
    peer_send(&peer, STR("x"));
    bench_settle(bench);
    peer_leave(bench, &peer);
    bench_pass(bench, 100);
    assert_true(list_empty(&bench->worker.connections));
    assert_int_equal(intake(bench), 0);
}

/* A message of `size` bytes that are nearly all alike, compressed, so many times. */
static void add_bombs(struct buf *out, size_t size, unsigned times)
{
    static const uint8_t mask[4] = {0};
    struct deflater deflater = {0};
    struct buf bomb = {0};
    uint8_t head[WS_HEAD_MAX];
    char *bytes = malloc(size);
    assert_non_null(bytes);
    memset(bytes, 'x', size);
    for (unsigned i = 0; i < 256; i++) /* takes some hundred bytes on the wire */
        bytes[i] = (char)('!' + i * i % 89);
    assert_int_equal(ws_deflate(&deflater, 15, (struct str){bytes, size}, &bomb), 0);
    for (unsigned i = 0; i < times; i++) {
        buf_add(out, head, ws_frame_head(head, true, true, WS_TEXT, bomb.len, mask));
        buf_add_str(out, buf_str(&bomb));
    }
    assert_false(buf_failed(out));
    deflater_deinit(&deflater);
    buf_free(&bomb);
    free(bytes);
}

static void join_compressed(struct bench *bench, struct peer *peer)
{
    peer_join(bench, peer);
    peer_upgrade(bench, peer,
                 "GET /socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                 "Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Version: 13\r\n"
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
}

/* A kilobyte that decompresses to a megabyte is charged as a megabyte, within the turn. */
static void compressed_messages_press_publishers_within_the_turn(void **state)
{
    enum { BOMBS = 60, LARGE = 60000 };
    struct bench *bench = *state;
    struct buf all = {0};
    struct peer peer;
    bench->worker.config.budgets.step_bytes = 1 << 30;
    bench->worker.config.limits.pending_max = 5L * LARGE;
    bench->worker.config.limits.inflight_max = 1000;
    add_bombs(&all, LARGE, BOMBS);
    join_compressed(bench, &peer);
    peer_send(&peer, buf_str(&all));
    worker_step(&bench->worker, 0);
    assert_true(bench->worker.submitter.published > 0 && bench->worker.submitter.published < 10);
    while (bench->worker.submitter.published < BOMBS) {
        uint64_t before = bench->worker.submitter.published;
        bench_pass(bench, 100);
        assert_true(bench->worker.submitter.published > before);
    }
    buf_free(&all);
    peer_leave(bench, &peer);
}

/* Work caused by few bytes comes after that of all other connections, even of later ones. */
static void compressed_messages_are_read_behind_all_others(void **state)
{
    enum { BOMBERS = 10, LARGE = 60000 };
    struct bench *bench = *state;
    struct buf bomb = {0};
    struct peer bombers[BOMBERS], stranger;
    bench->worker.config.budgets.step_bytes = LARGE / 2;
    bench->worker.config.budgets.turn_bytes = LARGE / 2;
    add_bombs(&bomb, LARGE, 1);
    peer_join(bench, &stranger);
    for (int i = 0; i < BOMBERS; i++)
        join_compressed(bench, &bombers[i]);
    for (int i = 0; i < BOMBERS; i++)
        peer_send(&bombers[i], buf_str(&bomb));
    peer_send(&stranger, STR("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"));
    unsigned before = bench->handled;
    worker_step(&bench->worker, 0);
    assert_int_equal(bench->handled, before + 1);
    assert_int_equal(bench->worker.submitter.published, 1);
    for (int i = 0; i < BOMBERS; i++)
        worker_step(&bench->worker, 0);
    assert_int_equal(bench->worker.submitter.published, BOMBERS);
    bench_settle(bench);
    for (int i = 0; i < BOMBERS; i++)
        peer_leave(bench, &bombers[i]);
    peer_leave(bench, &stranger);
    buf_free(&bomb);
}

enum { LARGE_MESSAGE = 500 << 10, SMALL_STEP = 4096 };

static size_t count_unfinished(const struct bench *bench)
{
    size_t count = 0;
    list_each (&bench->worker.unfinished, node)
        count++;
    return count;
}

/* Runs turns until nothing is unfinished; returns their number. */
static unsigned finish(struct bench *bench)
{
    unsigned turns = 0;
    for (; count_unfinished(bench); turns++) {
        assert_int_equal(count_unfinished(bench), 1);
        worker_step(&bench->worker, 0);
    }
    return turns;
}

static void allow_large(struct bench *bench)
{
    bench->worker.config.limits.ws.message_max = 2L * LARGE_MESSAGE;
    bench->worker.config.limits.ws.frame_max = 2L * LARGE_MESSAGE;
}

/* The first is finished before the second begins, so that only one decompressed message is held. */
static void a_compressed_message_is_decompressed_in_pieces(void **state)
{
    struct bench *bench = *state;
    struct buf bomb = {0};
    struct peer first, second, stranger;
    allow_large(bench);
    bench->worker.config.budgets.step_bytes = SMALL_STEP;
    bench->worker.config.budgets.turn_bytes = SMALL_STEP;
    add_bombs(&bomb, LARGE_MESSAGE, 1);
    peer_join(bench, &stranger);
    join_compressed(bench, &first);
    join_compressed(bench, &second);
    peer_send(&first, buf_str(&bomb));
    peer_send(&second, buf_str(&bomb));
    worker_step(&bench->worker, 0);
    assert_int_equal(count_unfinished(bench), 1);
    assert_true(intake(bench) > 0);
    unsigned before = bench->handled;
    peer_send(&stranger, STR("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"));
    worker_step(&bench->worker, 0);
    assert_int_equal(bench->handled, before + 1);
    while (!bench->worker.submitter.published) {
        assert_int_equal(count_unfinished(bench), 1);
        worker_step(&bench->worker, 0);
    }
    assert_int_equal(bench->worker.submitter.published, 1);
    assert_true(finish(bench) >= 5); /* the second */
    assert_int_equal(bench->worker.submitter.published, 2);
    assert_int_equal(intake(bench), 0);
    peer_leave(bench, &first);
    peer_leave(bench, &second);
    peer_leave(bench, &stranger);
    buf_free(&bomb);
}

/* Sends a publish of freshet.v1 with large data, up to where it is checked. */
static void send_large_publish(struct bench *bench, struct peer *peer, const char *end)
{
    struct buf text = {0};
    buf_add_lit(&text, "{\"op\":\"publish\",\"ref\":7,\"channel\":\"a\",\"data\":[");
    while (text.len < LARGE_MESSAGE)
        buf_add_lit(&text, "1,[],");
    buf_addf(&text, "2]%s", end);
    uint8_t head[WS_HEAD_MAX];
    static const uint8_t none[4] = {0};
    peer_send(peer, (struct str){(char *)head,
                                 ws_frame_head(head, true, false, WS_TEXT, text.len, none)});
    struct str rest = buf_str(&text);
    for (; rest.len > SMALL_STEP; rest = str_skip(rest, SMALL_STEP)) {
        peer_send(peer, (struct str){rest.at, SMALL_STEP});
        worker_step(&bench->worker, 0);
    }
    bench->worker.config.budgets.step_bytes = SMALL_STEP;
    bench->worker.config.budgets.turn_bytes = SMALL_STEP;
    peer_send(peer, rest);
    peer_frame(NULL, peer, WS_TEXT, STR("{\"op\":\"ping\",\"ref\":8}"));
    worker_step(&bench->worker, 0);
    assert_int_equal(count_unfinished(bench), 1);
    buf_free(&text);
}

static void the_json_of_a_large_message_is_checked_in_pieces(void **state)
{
    static const char *const ends[] = {"}", "]}"};
    struct bench *bench = *state;
    const struct worker_budgets budgets = bench->worker.config.budgets;
    allow_large(bench);
    for (int i = 0; i < 2; i++) {
        struct peer peer;
        bench->worker.config.budgets = budgets;
        join_freshet_v1(bench, &peer);
        send_large_publish(bench, &peer, ends[i]);
        assert_true(finish(bench) >= LARGE_MESSAGE / (64 << 10));
        bench->worker.config.budgets = budgets;
        bench_settle(bench);
        peer_hear(bench, &peer);
        assert_true(peer_has(&peer, i ? "bad-op" : "{\"op\":\"ok\",\"ref\":7"));
        assert_true(peer_has(&peer, "{\"op\":\"pong\",\"ref\":8"));
        assert_int_equal(intake(bench), 0);
        peer_leave(bench, &peer);
    }
}

/* Messages that are checked come from others without an end. */
static void a_compressed_message_does_not_wait_for_checks(void **state)
{
    struct bench *bench = *state;
    struct buf bomb = {0};
    struct peer checked, compressed;
    size_t most = 1;
    allow_large(bench);
    add_bombs(&bomb, LARGE_MESSAGE, 1);
    join_compressed(bench, &compressed);
    join_freshet_v1(bench, &checked);
    send_large_publish(bench, &checked, "}");
    peer_send(&compressed, buf_str(&bomb));
    while (most == 1) {
        worker_step(&bench->worker, 0);
        size_t count = count_unfinished(bench);
        assert_true(count > 0);
        most = count > most ? count : most;
    }
    peer_leave(bench, &checked);
    peer_leave(bench, &compressed);
    bench_settle(bench);
    assert_int_equal(bench->worker.inflating, 0);
    buf_free(&bomb);
}

/* A client that leaves, or has to give way, in the midst of it leaves nothing behind. */
static void a_connection_may_end_while_its_message_is_checked(void **state)
{
    struct bench *bench = *state;
    const struct worker_budgets budgets = bench->worker.config.budgets;
    allow_large(bench);
    for (int i = 0; i < 2; i++) {
        struct peer peer;
        bench->worker.config.budgets = budgets;
        join_freshet_v1(bench, &peer);
        send_large_publish(bench, &peer, "}");
        struct request_stream *request = newest_websocket(bench)->pull.request;
        if (i)
            request_stream_shed(request, &request->intake->holding);
        peer_leave(bench, &peer);
        bench_settle(bench);
        assert_int_equal(count_unfinished(bench), 0);
        assert_int_equal(intake(bench), 0);
    }
}

/* ---- freshet.v1's subscriptions -------------------------------------------------------------- */

enum { PARTS = 3 };

/* A peer that does not read, whose subscriptions overlap and catch up. */
static void join_overlapping(struct bench *bench, struct peer *peer)
{
    char *large = mem_alloc(MUCH);
    memset(large, 'x', MUCH);
    for (int i = 0; i < 5; i++)
        bench_append(bench, (struct str){large, MUCH});
    free(large);
    peer_join_narrow(bench, peer);
    peer_upgrade(bench, peer, PEER_UPGRADE("/v1"));
    peer_text(bench, peer, "{\"op\":\"subscribe\",\"channels\":[\"**\"],\"after\":\"earliest\"}");
    peer_text(bench, peer,
              "{\"op\":\"subscribe\",\"channels\":[\"a/**\",\"*\"],\"after\":\"earliest\"}");
    peer_text(bench, peer,
              "{\"op\":\"subscribe\",\"channels\":[\"a\",\"a/b\"],\"after\":\"earliest\"}");
}

static void selections_of(const struct freshet_v1 *v1, struct selection *ret[PARTS])
{
    for (int i = 0; i < PARTS; i++)
        ret[i] = NULL;
    list_each (&v1->parts, node) {
        const struct part *part = container_of(node, struct part, node);
        if (part->serial)
            ret[part->serial - 1] = part->selection;
    }
}

/* A subscription that begins with a gap, and those that join it once it is live, hear of the gap
 * once, and get each event once. */
static void a_subscription_goes_on_behind_a_gap(void **state)
{
    static const char *const events[] = {"left", "next", "last", "end"};
    struct bench *bench = *state;
    struct peer peer;
    bench_append(bench, STR("gone"));
    bench_trim(bench);
    bench_append(bench, STR("left"));
    join_freshet_v1(bench, &peer);
    peer_text(bench, &peer,
              "{\"op\":\"subscribe\",\"channels\":[\"a\"],\"after\":\"0000000000000001\"}");
    bench_append(bench, STR("next"));
    bench_settle(bench);
    peer_text(bench, &peer, "{\"op\":\"subscribe\",\"channels\":[\"*\",\"b/*\"]}");
    bench_append(bench, STR("last"));
    bench_settle(bench);
    peer_hear(bench, &peer);
    peer_text(bench, &peer, "{\"op\":\"unsubscribe\",\"channels\":[\"*\"]}");
    bench_trim(bench); /* the client has heard of all of them */
    bench_append(bench, STR("end"));
    bench_settle(bench);
    peer_hear(bench, &peer);
    assert_int_equal(peer_count(&peer, "\"op\":\"gap\""), 1);
    assert_int_equal(peer_count(&peer, "gone"), 0);
    for (size_t i = 0; i < sizeof(events) / sizeof(*events); i++)
        assert_int_equal(peer_count(&peer, events[i]), 1);
    peer_leave(bench, &peer);
}

/* A term that later subscriptions want is kept until they have caught up: repeated requests to drop
 * it must be cheap. */
static void an_unsubscribe_that_drops_nothing_subscribes_nothing_anew(void **state)
{
    static const char *const repeats[] = {
        "{\"op\":\"unsubscribe\",\"channels\":[\"**\"]}",
        "{\"op\":\"unsubscribe\",\"channels\":[\"**\",\"**\"]}",
        "{\"op\":\"unsubscribe\",\"channels\":[\"*\",\"**\"]}",
        "{\"op\":\"unsubscribe\",\"channels\":[\"a/**\",\"none\",\"**\"]}",
        "{\"op\":\"unsubscribe\",\"channels\":[\"a/*/c\"]}",
    };
    struct bench *bench = *state;
    struct peer peer;
    struct selection *before[PARTS], *after[PARTS];
    join_overlapping(bench, &peer);
    struct freshet_v1 *v1 = container_of(newest_websocket(bench), struct freshet_v1, websocket);
    assert_int_equal(v1->joining, PARTS);
    selections_of(v1, before);
    for (int i = 0; i < PARTS; i++)
        assert_non_null(selection_ref(before[i]));
    for (size_t i = 0; i < 3 * sizeof(repeats) / sizeof(repeats[0]); i++) {
        peer_text(bench, &peer, repeats[i % (sizeof(repeats) / sizeof(repeats[0]))]);
        selections_of(v1, after);
        assert_memory_equal(before, after, sizeof(before));
        assert_int_equal(v1->terms_count, 5);
    }
    for (int i = 0; i < PARTS; i++)
        selection_unref(before[i]);
    peer_leave(bench, &peer);
}

static struct identification *unanswered; /* the last question to the authority */

static struct identity identify_later(struct identity_source *source,
                                      const struct credential *credential,
                                      struct identification *identification)
{
    (void)source, (void)credential;
    unanswered = identification;
    return (struct identity){.state = IDENTITY_LATER};
}

/* The answers might come in another order than the credentials, and each question holds memory. */
static void auth_is_refused_while_another_is_not_answered(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    struct identity_source source = {"tokens", identify_later};
    struct authority authority = {{&source}, 1};
    bench->worker.config.authority = &authority;
    join_freshet_v1(bench, &peer);
    peer_text(bench, &peer, "{\"op\":\"auth\",\"token\":\"x\",\"ref\":1}");
    struct identification *first = unanswered;
    peer_text(bench, &peer, "{\"op\":\"auth\",\"token\":\"y\",\"ref\":2}");
    assert_ptr_equal(unanswered, first);
    peer_hear(bench, &peer);
    assert_int_equal(peer_count(&peer, "\"op\":\"error\",\"ref\":2"), 1);
    identification_answer(first, identity_bad("it is forged"));
    bench_settle(bench);
    peer_hear(bench, &peer);
    assert_int_equal(peer_count(&peer, "\"op\":\"error\",\"ref\":1"), 1);
    peer_text(bench, &peer, "{\"op\":\"auth\",\"token\":\"y\",\"ref\":3}");
    peer_leave(bench, &peer);
    bench_settle(bench);
    identification_answer(unanswered, identity_bad("it is forged")); /* nobody hears of it */
    bench_settle(bench);
}

/* Few bytes that cause much work are charged for it, so that a flood of them is read over many
 * turns. */
static void a_message_that_changes_subscriptions_is_charged_for_its_work(void **state)
{
    static const char *const floods[] = {
        "{\"op\":\"unsubscribe\",\"channels\":[\"**\"]}",
        "{\"op\":\"subscribe\",\"channels\":[\"b\"]}",
        "{\"op\":\"unsubscribe\",\"channels\":[\"a\",\"b\",\"c\",\"none\"]}",
    };
    enum { TIMES = 50 };
    struct bench *bench = *state;
    struct peer peer;
    bench->worker.config.budgets.step_bytes = 4L * BUDGET_STRIDE;
    for (size_t i = 0; i < sizeof(floods) / sizeof(floods[0]); i++) {
        join_freshet_v1(bench, &peer);
        uint64_t before = bench->worker.stats.budgets[BUDGET_READ];
        for (int k = 0; k < TIMES; k++)
            peer_frame(NULL, &peer, WS_TEXT, str_from(floods[i]));
        bench_pass(bench, 100);
        bench_pass(bench, 100);
        assert_true(bench->worker.stats.budgets[BUDGET_READ] >= before + TIMES / 4);
        peer_leave(bench, &peer);
    }
}

#define WITH_BENCH(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BENCH(a_subscription_goes_on_behind_a_gap),
        WITH_BENCH(an_unsubscribe_that_drops_nothing_subscribes_nothing_anew),
        WITH_BENCH(auth_is_refused_while_another_is_not_answered),
        WITH_BENCH(a_message_that_changes_subscriptions_is_charged_for_its_work),
        WITH_BENCH(a_publish_whose_fate_is_unknown_is_told_in_freshet_v1),
        WITH_BENCH(a_publish_whose_fate_is_unknown_frees_its_place_on_a_channels_socket),
        WITH_BENCH(a_socket_that_is_gone_is_not_told),
        WITH_BENCH(a_publisher_that_does_not_read_is_read_again),
        WITH_BENCH(a_slow_peer_of_a_large_event_may_ping_and_is_answered_behind_it),
        WITH_BENCH(a_publisher_is_not_read_while_the_log_is_behind),
        WITH_BENCH(a_peer_that_pings_and_reads_no_pongs_is_closed),
        WITH_BENCH(frames_that_come_with_the_handshake_are_read),
        WITH_BENCH(a_close_is_answered_once_the_publishes_before_it_are),
        WITH_BENCH(a_close_does_not_wait_for_a_publish_whose_fate_is_unknown),
        WITH_BENCH(nothing_said_behind_a_close_counts),
        WITH_BENCH(a_peer_that_does_not_answer_a_close_is_not_waited_for),
        WITH_BENCH(a_drain_answers_publishes_before_it_closes),
        WITH_BENCH(heartbeats_come_in_time_beside_any_publishes),
        WITH_BENCH(a_peer_that_answers_no_beat_is_closed),
        WITH_BENCH(a_channel_of_the_servers_own_is_not_published_to),
        WITH_BENCH(a_message_that_does_not_end_is_counted_and_has_a_deadline),
        WITH_BENCH(messages_that_end_in_time_have_a_deadline_each),
        WITH_BENCH(the_largest_unfinished_messages_give_way_to_others),
        WITH_BENCH(an_unfinished_message_waits_while_memory_is_tight),
        WITH_BENCH(a_peer_that_gives_way_and_goes_is_seen_to_go),
        WITH_BENCH(compressed_messages_press_publishers_within_the_turn),
        WITH_BENCH(compressed_messages_are_read_behind_all_others),
        WITH_BENCH(a_compressed_message_is_decompressed_in_pieces),
        WITH_BENCH(the_json_of_a_large_message_is_checked_in_pieces),
        WITH_BENCH(a_compressed_message_does_not_wait_for_checks),
        WITH_BENCH(a_connection_may_end_while_its_message_is_checked),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
