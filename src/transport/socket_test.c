#include "transport/testing.h"

/* Longer than a narrow socket takes. */
enum { MUCH = 30000 };

static int begin(void **state)
{
    struct bench *bench = bench_new();
    bench->reading.via = VIA_SOCKET;
    bench_begin(bench);
    *state = bench;
    return 0;
}

static int end(void **state)
{
    bench_free(*state);
    return 0;
}

static struct session *newest_session(struct bench *bench)
{
    return container_of(bench->worker.sessions.prev, struct session, node);
}

static struct socket *newest_socket(struct bench *bench)
{
    return container_of(newest_session(bench)->pull, struct socket, pull);
}

static void join_channel(struct bench *bench, struct peer *peer)
{
    peer_join(bench, peer);
    peer_upgrade(bench, peer, PEER_UPGRADE("/socket"));
}

static void join_protocol(struct bench *bench, struct peer *peer)
{
    peer_join(bench, peer);
    peer_upgrade(bench, peer, PEER_UPGRADE("/v1"));
}

/* ---- publishes that take long ---------------------------------------------------------------- */

static void a_publish_whose_fate_is_unknown_is_told_in_freshet_v1(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    join_protocol(bench, &peer);
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
    assert_int_equal(newest_socket(bench)->inflight, 0);
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
    assert_int_equal(newest_socket(bench)->inflight, bench->limits.inflight_max);
    peer_text(bench, &peer, "waits");
    assert_int_equal(newest_socket(bench)->inflight, bench->limits.inflight_max);
    bench_pass(bench, bench->limits.publish_ms);
    assert_int_equal(newest_socket(bench)->inflight, 0);
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
    join_protocol(bench, &peer);
    peer_frame(NULL, &peer, WS_TEXT, STR("{\"op\":\"publish\",\"channel\":\"a\",\"data\":1}"));
    bench_settle_without_log(bench);
    peer_leave(bench, &peer);
    assert_true(list_empty(&bench->worker.sessions));
    bench_give_to_log(bench);
}

/* Its rest and its publishes each want it in a list: it must be found in both. */
static void a_publisher_that_does_not_read_is_read_again(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    char bytes[MUCH];
    memset(bytes, 'x', sizeof(bytes));
    peer_join_narrow(bench, &peer);
    peer_upgrade(bench, &peer, PEER_UPGRADE("/socket"));
    peer_frame(bench, &peer, WS_TEXT, (struct str){bytes, sizeof(bytes)});
    assert_true(session_rest(newest_session(bench)) > 0);
    for (uint32_t i = 0; i < bench->limits.inflight_max; i++)
        peer_frame(NULL, &peer, WS_TEXT, STR("one"));
    bench_settle_without_log(bench);
    peer_text(bench, &peer, "last");
    bench_give_to_log(bench);
    peer_hear(bench, &peer);
    assert_true(peer_has(&peer, "\"data\":\"last\""));
    peer_leave(bench, &peer);
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
    for (int i = 0; i < 1000 && !list_empty(&bench->worker.sessions); i++)
        peer_frame(bench, &peer, WS_PING, (struct str){payload, sizeof(payload)});
    assert_true(list_empty(&bench->worker.sessions));
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
    join_protocol(bench, &peer);
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
    join_protocol(bench, &peer);
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
    peer_frame(bench, &peer, WS_PONG, STR("unasked")); /* which is fine */
    worker_drain(&bench->worker);
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
    join_protocol(bench, &peer);
    peer_frame(NULL, &peer, WS_TEXT,
               STR("{\"op\":\"publish\",\"channel\":\"a\",\"data\":1,\"ref\":7}"));
    bench_settle_without_log(bench);
    worker_drain(&bench->worker);
    bench_pass(bench, bench->limits.drain_ms);
    assert_int_equal(peer_close_code(bench, &peer), 0);
    assert_true(peer_has(&peer, "{\"op\":\"bye\""));
    bench_give_to_log(bench);
    assert_true(peer_has(&peer, "\"retry_ms\":"));
    assert_int_equal(peer_close_code(bench, &peer), WS_CLOSE_RESTART);
    assert_true(peer_has(&peer, "{\"op\":\"ok\",\"ref\":7"));
    peer_leave(bench, &peer);
}

static void heartbeats_come_in_time_whatever_is_published(void **state)
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

/* ---- refusals over the socket ---------------------------------------------------------------- */

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

/* Everything a socket does, with the nth allocation failing. */
static void run_with_failure(unsigned long nth)
{
    struct bench *bench = bench_new();
    struct peer channel, protocol;
    bench->reading.via = VIA_SOCKET;
    bench_begin(bench);
    peer_join(bench, &channel);
    peer_join(bench, &protocol);
    mem_fail_nth(nth);
    peer_say(bench, &channel, PEER_UPGRADE("/socket"));
    peer_say(bench, &protocol, PEER_UPGRADE("/v1"));
    peer_text(bench, &channel, "one");
    peer_text(bench, &protocol, "{\"op\":\"subscribe\",\"channels\":[\"a\",\"b/*\"],\"ref\":1}");
    peer_text(bench, &protocol, "{\"op\":\"publish\",\"channel\":\"a\",\"data\":{},\"key\":\"k\"}");
    peer_text(bench, &protocol, "{\"op\":\"unsubscribe\",\"channels\":[\"a\"]}");
    peer_text(bench, &protocol, "{\"op\":\"subscribe\",\"channels\":[\"c\"],\"last\":3}");
    peer_frame(bench, &channel, WS_CLOSE, STR("\x03\xe8"));
    mem_fail_nth(0);
    bench_settle(bench);
    peer_hear(bench, &channel);
    assert_true(channel.ended);
    peer_leave(bench, &channel);
    peer_leave(bench, &protocol);
    bench_free(bench);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (unsigned long nth = 1; nth <= 160; nth++)
        run_with_failure(nth);
}

#define WITH_BENCH(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BENCH(a_publish_whose_fate_is_unknown_is_told_in_freshet_v1),
        WITH_BENCH(a_publish_whose_fate_is_unknown_frees_its_place_on_a_channels_socket),
        WITH_BENCH(a_socket_that_is_gone_is_not_told),
        WITH_BENCH(a_publisher_that_does_not_read_is_read_again),
        WITH_BENCH(a_publisher_is_not_read_while_the_log_is_behind),
        WITH_BENCH(a_peer_that_pings_and_reads_no_pongs_is_closed),
        WITH_BENCH(frames_that_come_with_the_handshake_are_read),
        WITH_BENCH(a_close_is_answered_once_the_publishes_before_it_are),
        WITH_BENCH(a_close_does_not_wait_for_a_publish_whose_fate_is_unknown),
        WITH_BENCH(nothing_said_behind_a_close_counts),
        WITH_BENCH(a_peer_that_does_not_answer_a_close_is_not_waited_for),
        WITH_BENCH(a_drain_answers_publishes_before_it_closes),
        WITH_BENCH(heartbeats_come_in_time_whatever_is_published),
        WITH_BENCH(a_channel_of_the_servers_own_is_not_published_to),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
