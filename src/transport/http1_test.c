#include "transport/testing.h"

#include <stdio.h>
#include <stdlib.h>

#define POST_PARK "POST /park HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"
#define POST_PUBLISH "POST /publish HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"
#define GET_ECHO "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"
#define GET_PARK "GET /park HTTP/1.1\r\nHost: x\r\n\r\n"
#define GET_WAIT "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"
#define GET_STREAM "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"
#define GET_PAGE "GET /page HTTP/1.1\r\nHost: x\r\n\r\n"

enum { ALLOCATIONS = 100 }; /* more than the scenario below makes */

static int begin(void **state)
{
    struct bench *bench = bench_new();
    bench_begin(bench);
    *state = bench;
    return 0;
}

static int end(void **state)
{
    bench_free(*state);
    return 0;
}

/* Answers a request to /park, like a publish that has become safe. */
static void answer(struct bench *bench, unsigned index)
{
    struct exchange *exchange = bench->parked[index];
    if (exchange->dropped)
        exchange_free(exchange);
    else
        exchange_json(exchange, 201, STR("{}\n"));
}

static void say_bytewise(struct bench *bench, struct peer *peer, const char *text)
{
    for (; *text; text++) {
        peer_send(peer, (struct str){text, 1});
        worker_step(&bench->worker, 0);
    }
    bench_settle(bench);
}

/* ---- answers in order ------------------------------------------------------------------------ */

static void pipelined_publishes_are_answered_in_the_order_of_the_requests(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join(bench, &peer);
    peer_say(bench, &peer, POST_PARK POST_PARK POST_PUBLISH);
    assert_int_equal(bench->parked_count, 2);
    answer(bench, 1);
    bench_settle(bench);
    peer_expect(bench, &peer, "");
    exchange_json(bench->parked[0], 200, STR("{}\n"));
    bench_settle(bench);
    peer_expect(bench, &peer, "200 201 201");
    peer_leave(bench, &peer);
}

static void a_get_behind_unanswered_publishes_waits_for_them(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join(bench, &peer);
    peer_say(bench, &peer, POST_PARK GET_ECHO POST_PARK);
    assert_int_equal(bench->handled, 1);
    answer(bench, 0);
    bench_settle(bench);
    assert_int_equal(bench->handled, 3);
    answer(bench, 1);
    bench_settle(bench);
    peer_expect(bench, &peer, "201 200 201");
    peer_leave(bench, &peer);
}

static void a_publish_behind_an_unanswered_get_waits_for_it(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join(bench, &peer);
    peer_say(bench, &peer, GET_PARK POST_PUBLISH);
    assert_int_equal(bench->handled, 1);
    exchange_json(bench->parked[0], 200, STR("{}\n"));
    bench_settle(bench);
    peer_expect(bench, &peer, "200 201");
    peer_leave(bench, &peer);
}

/* A stream whose start is searched for waits like any GET: an answer sent meanwhile would end up
 * inside the stream. */
static void a_publish_behind_a_stream_stays_unread(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    bench->reading.from = (struct position){.kind = POSITION_LAST, .last = 1};
    peer_join(bench, &peer);
    peer_say(bench, &peer, GET_STREAM POST_PUBLISH);
    peer_expect(bench, &peer, "200");
    assert_int_equal(bench->handled, 1);
    peer_leave(bench, &peer);
}

static void publishes_in_flight_are_at_most_so_many(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join(bench, &peer);
    for (uint32_t i = 0; i < bench->limits.inflight_max + 2; i++)
        peer_send(&peer, STR(POST_PARK));
    bench_settle(bench);
    assert_int_equal(bench->parked_count, bench->limits.inflight_max);
    assert_int_equal(bench->worker.stats.limits[LIMIT_INFLIGHT], 1);
    answer(bench, 0);
    bench_settle(bench);
    assert_int_equal(bench->parked_count, bench->limits.inflight_max + 1);
    for (unsigned i = 1; i < bench->limits.inflight_max + 2; i++) {
        answer(bench, i);
        bench_settle(bench);
    }
    peer_expect(bench, &peer, "201 201 201 201 201 201");
    peer_leave(bench, &peer);
}

static void head_is_answered_without_the_body(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join(bench, &peer);
    peer_say(bench, &peer, "HEAD /publish HTTP/1.1\r\nHost: x\r\n\r\n" GET_ECHO);
    peer_expect(bench, &peer, "201 200");
    assert_true(peer_has(&peer, "Content-Length: 3\r\n"));
    assert_false(peer_has(&peer, "{}"));
    peer_leave(bench, &peer);
}

static void head_is_refused_without_a_body_too(void **state)
{
    static const char *const requests[] = {
        "HEAD /x HTTP/1.1\r\nHost: x\r\nContent-Encoding: br\r\n\r\n",
        "\r\nHEAD /x HTTP/1.1\r\nHost: x\r\nContent-Encoding: br\r\n\r\n",
        "HEAD /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HEAD /x HTTP/1.1\r\n\r\n",
    };
    struct bench *bench = *state;
    struct peer peer;
    for (size_t i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
        bench->worker.config.limits.connections_max = i < 3 ? 100 : 0;
        peer_join(bench, &peer);
        peer_say(bench, &peer, requests[i]);
        peer_hear(bench, &peer);
        assert_true(peer_has(&peer, "HTTP/1.1 "));
        assert_false(peer_has(&peer, "{"));
        peer_leave(bench, &peer);
    }
}

/* ---- the end of requests --------------------------------------------------------------------- */

static void a_peer_that_is_done_sending_gets_the_answers_that_are_due(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join(bench, &peer);
    peer_send(&peer, STR(POST_PARK POST_PARK));
    shutdown(peer.fd, SHUT_WR);
    bench_settle(bench);
    peer_expect(bench, &peer, "");
    answer(bench, 1);
    bench_settle(bench);
    answer(bench, 0);
    bench_settle(bench);
    peer_expect(bench, &peer, "201 201.");
    peer_leave(bench, &peer);
}

/* The end of input is noticed before the second request has its turn. */
static void a_peer_that_is_done_sending_gets_answers_to_what_was_not_looked_at_yet(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    bench->reading.wait_s = 3;
    peer_join(bench, &peer);
    peer_say(bench, &peer, GET_PAGE POST_PUBLISH);
    bench_append(bench, STR("x"));
    while (list_empty(&bench->worker.resumed))
        worker_step(&bench->worker, 10);
    shutdown(peer.fd, SHUT_WR);
    bench_settle(bench);
    peer_expect(bench, &peer, "200 201.");
    peer_leave(bench, &peer);
}

static void nothing_is_read_behind_a_request_that_closes(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join(bench, &peer);
    peer_say(bench, &peer,
             "POST /park HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: "
             "1\r\n\r\nx" POST_PARK);
    peer_say(bench, &peer, POST_PARK);
    assert_int_equal(bench->handled, 1);
    answer(bench, 0);
    bench_settle(bench);
    peer_expect(bench, &peer, "201.");
    peer_leave(bench, &peer);
}

static void an_unreadable_request_is_refused_once_behind_the_due_answers(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join(bench, &peer);
    peer_say(bench, &peer, POST_PARK "NOT HTTP\r\n\r\n");
    peer_say(bench, &peer, "MORE OF IT\r\n\r\n");
    peer_say(bench, &peer, POST_PUBLISH);
    assert_int_equal(bench->handled, 1);
    answer(bench, 0);
    bench_settle(bench);
    peer_expect(bench, &peer, "201 400.");
    peer_leave(bench, &peer);
}

static void an_http_2_preface_behind_a_publish_is_refused_behind_its_answer(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join(bench, &peer);
    peer_say(bench, &peer, POST_PARK "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    answer(bench, 0);
    bench_settle(bench);
    peer_expect(bench, &peer, "201 505.");
    peer_leave(bench, &peer);
}

static void a_connection_that_closes_drops_what_is_under_way(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join(bench, &peer);
    peer_say(bench, &peer, POST_PARK POST_PARK POST_PARK);
    answer(bench, 1);
    peer_leave(bench, &peer);
    conn_close(container_of(bench->worker.connections.next, struct conn, node));
    bench_settle(bench);
    assert_true(list_empty(&bench->worker.connections));
    assert_true(bench->parked[0]->dropped);
    answer(bench, 0);
    answer(bench, 2);
}

/* A holding names its stream, which is closed if memory is needed: it must not outlive it. */
static void a_parked_request_whose_client_has_gone_holds_nothing(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join(bench, &peer);
    peer_say(bench, &peer, GET_WAIT);
    assert_true(account_held(&bench->worker.account, ACCOUNT_INTAKE) > 0);
    peer_leave(bench, &peer);
    conn_close(container_of(bench->worker.connections.next, struct conn, node));
    bench_settle(bench);
    assert_null(holdings_largest_of_all(&bench->worker.holdings));
    assert_int_equal(account_held(&bench->worker.account, ACCOUNT_INTAKE), 0);
    assert_null(bench->parked[0]->parked);
    exchange_free(bench->parked[0]);
}

static void a_parked_request_that_was_answered_late_holds_nothing(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join(bench, &peer);
    peer_say(bench, &peer, GET_WAIT);
    bench_pass(bench, bench->limits.publish_ms + 1000);
    peer_expect(bench, &peer, "503.");
    assert_true(peer_has(&peer, "it was not found out in time (limits.publish_ms) who may do"));
    assert_null(holdings_largest(&bench->worker.holdings, ACCOUNT_INTAKE));
    assert_true(bench->parked[0]->dropped);
    exchange_free(bench->parked[0]);
    peer_leave(bench, &peer);
}

static void an_http_1_0_connection_ends_with_its_answer(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join(bench, &peer);
    peer_say(bench, &peer, "GET /echo HTTP/1.0\r\n\r\n" GET_ECHO);
    peer_expect(bench, &peer, "200.");
    assert_true(peer_has(&peer, "Connection: close\r\n"));
    peer_leave(bench, &peer);
}

static void an_http_1_0_connection_is_kept_when_asked_for(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join(bench, &peer);
    peer_say(bench, &peer, "GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_true(bench->handled == 1);
    peer_say(bench, &peer, "GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    peer_expect(bench, &peer, "200 200");
    assert_int_equal(peer_count(&peer, "Connection: keep-alive\r\n"), 2);
    peer_leave(bench, &peer);
}

static void an_http_1_0_stream_is_delimited_by_the_close(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join(bench, &peer);
    bench_append(bench, STR("one"));
    peer_say(bench, &peer, "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    peer_expect(bench, &peer, "200");
    assert_true(peer_has(&peer, "Connection: close\r\n"));
    assert_false(peer_has(&peer, "Transfer-Encoding"));
    assert_true(peer_has(&peer, "\"data\":\"one\"}\n"));
    http1_drain(container_of(bench->worker.connections.next, struct http1, conn.node), 0);
    bench_pass(bench, 1);
    peer_expect(bench, &peer, "200.");
    assert_false(peer_has(&peer, "0\r\n\r\n"));
    peer_leave(bench, &peer);
}

/* ---- bodies ---------------------------------------------------------------------------------- */

static void a_body_is_asked_for_when_the_client_waits_to_be(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join(bench, &peer);
    peer_say(bench, &peer,
             "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    peer_expect(bench, &peer, "100");
    peer_say(bench, &peer, "bo");
    peer_say(bench, &peer, "dy");
    peer_expect(bench, &peer, "100 200");
    assert_true(peer_has(&peer, "\r\n\r\nbody"));
    peer_leave(bench, &peer);
}

static void a_body_is_asked_for_only_after_the_answers_that_are_due(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join(bench, &peer);
    peer_say(bench, &peer,
             POST_PARK
             "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    peer_expect(bench, &peer, "");
    answer(bench, 0);
    bench_settle(bench);
    peer_expect(bench, &peer, "201 100");
    peer_say(bench, &peer, "body");
    peer_expect(bench, &peer, "201 100 200");
    peer_leave(bench, &peer);
}

static void a_body_that_is_too_large_is_refused_before_it_is_asked_for(void **state)
{
    struct bench *bench = *state;
    struct peer sized, chunked;
    peer_join(bench, &sized);
    peer_say(bench, &sized,
             "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
             "Content-Length: 65537\r\n\r\n");
    peer_expect(bench, &sized, "413.");
    peer_leave(bench, &sized);
    peer_join(bench, &chunked);
    peer_say(bench, &chunked,
             "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n10001\r\n");
    peer_expect(bench, &chunked, "413.");
    peer_leave(bench, &chunked);
    assert_int_equal(bench->handled, 0);
}

static void bodies_may_come_byte_by_byte(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join(bench, &peer);
    say_bytewise(bench, &peer, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nsized");
    peer_expect(bench, &peer, "200");
    assert_true(peer_has(&peer, "\r\n\r\nsized"));
    say_bytewise(bench, &peer,
                 "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "3;a=b\r\nchu\r\n004\r\nnked\r\n0\r\nTrailer: t\r\n\r\n" GET_ECHO);
    peer_expect(bench, &peer, "200 200 200");
    assert_true(peer_has(&peer, "\r\n\r\nchunked"));
    peer_leave(bench, &peer);
}

/* ---- time ------------------------------------------------------------------------------------ */

static void a_head_that_trickles_in_is_refused_in_time(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join(bench, &peer);
    peer_say(bench, &peer, "GET /echo HTTP/1.1\r\n");
    for (int i = 0; i < 3; i++) {
        bench_pass(bench, bench->limits.head_ms / 4);
        peer_say(bench, &peer, "X: y\r\n");
        peer_expect(bench, &peer, "");
    }
    bench_pass(bench, bench->limits.head_ms / 4);
    peer_expect(bench, &peer, "408.");
    peer_leave(bench, &peer);
}

/* After an answered publish the idle time begins again, whatever else comes. */
static void a_head_that_trickles_in_behind_a_publish_is_refused_in_time(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join(bench, &peer);
    peer_say(bench, &peer, POST_PUBLISH "GET /echo HTTP/1.1\r\n");
    bench_pass(bench, bench->limits.head_ms);
    peer_expect(bench, &peer, "201 408.");
    peer_leave(bench, &peer);
}

static void a_body_that_trickles_in_is_refused_in_time(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join(bench, &peer);
    peer_say(bench, &peer, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n");
    for (int i = 0; i < 3; i++) {
        bench_pass(bench, bench->limits.body_ms / 4);
        peer_say(bench, &peer, "x");
        peer_expect(bench, &peer, "");
    }
    bench_pass(bench, bench->limits.body_ms / 4);
    peer_expect(bench, &peer, "408.");
    peer_leave(bench, &peer);
}

static void an_idle_connection_is_closed_without_a_word(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join(bench, &peer);
    peer_say(bench, &peer, GET_ECHO);
    peer_expect(bench, &peer, "200");
    bench_pass(bench, bench->limits.idle_ms - 1000);
    peer_expect(bench, &peer, "200");
    bench_pass(bench, 1000);
    peer_expect(bench, &peer, "200.");
    assert_int_equal(bench->worker.stats.limits[LIMIT_IDLE], 1);
    peer_leave(bench, &peer);
}

/* Asks for more bytes than a small socket takes. */
static void ask_for_much(struct bench *bench, struct peer *peer)
{
    struct buf request = {0};
    char *bytes = malloc(60000);
    assert_non_null(bytes);
    memset(bytes, 'x', 60000);
    buf_add_lit(&request, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n");
    buf_add(&request, bytes, 60000);
    peer_send(peer, buf_str(&request));
    buf_free(&request);
    free(bytes);
    bench_settle(bench);
}

/* Reads what the peer has received, without a turn of the server. */
static void hear_so_far(struct peer *peer)
{
    char room[65536];
    for (ssize_t n; (n = recv(peer->fd, room, sizeof(room), 0)) > 0;)
        buf_add(&peer->got, room, (size_t)n);
}

/* The peer is closed when it has read nothing for the time that is allowed, and not before. */
static void leave_by_stall(struct bench *bench, struct peer *peer)
{
    bench_pass(bench, bench->limits.stall_ms - 1000);
    assert_false(list_empty(&bench->worker.connections));
    bench_pass(bench, 1000);
    assert_true(list_empty(&bench->worker.connections));
    assert_int_equal(bench->worker.stats.limits[LIMIT_STALL], 1);
    peer_leave(bench, peer);
}

static void a_peer_that_does_not_read_its_answer_is_closed(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join_narrow(bench, &peer);
    ask_for_much(bench, &peer);
    leave_by_stall(bench, &peer);
}

static void a_peer_that_reads_its_answer_slowly_gets_all_of_it(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    char room[1000];
    size_t had = 0;
    peer_join_narrow(bench, &peer);
    ask_for_much(bench, &peer);
    for (ssize_t n; had < 60000 && (n = recv(peer.fd, room, sizeof(room), 0)) > 0;) {
        had += (size_t)n;
        bench_pass(bench, bench->limits.stall_ms / 16);
    }
    assert_true(had > 60000);
    peer_leave(bench, &peer);
}

/* A read that waits behind an answer which its peer does not read would wait for ever. */
static void a_read_behind_an_answer_that_is_not_read_waits_no_longer_than_the_answer(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    bench->reading.wait_s = 3;
    peer_join_narrow(bench, &peer);
    ask_for_much(bench, &peer);
    peer_say(bench, &peer, GET_PAGE);
    bench_append(bench, STR("x"));
    leave_by_stall(bench, &peer);
}

static void reads_behind_a_large_answer_begin_when_it_is_sent(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    bench->reading.wait_s = 3;
    peer_join_narrow(bench, &peer);
    ask_for_much(bench, &peer);
    peer_say(bench, &peer, GET_PAGE GET_ECHO POST_PUBLISH GET_PAGE GET_STREAM);
    assert_int_equal(bench->handled, 1);
    peer_hear(bench, &peer);
    bench_append(bench, STR("x"));
    bench_settle(bench);
    peer_expect(bench, &peer, "200 200 200 201 200 200");
    peer_leave(bench, &peer);
}

static void
a_peer_that_does_not_read_its_answer_is_closed_though_it_goes_on_publishing(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join_narrow(bench, &peer);
    ask_for_much(bench, &peer);
    for (int i = 0; i < 8; i++) {
        bench_pass(bench, bench->limits.stall_ms / 4);
        peer_say(bench, &peer, POST_PUBLISH);
    }
    assert_true(list_empty(&bench->worker.connections));
    assert_int_equal(bench->worker.stats.limits[LIMIT_STALL], 1);
    peer_leave(bench, &peer);
}

/* The read's deadline begins with its turn. */
static void a_read_behind_an_answer_that_takes_long_is_answered(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join_narrow(bench, &peer);
    ask_for_much(bench, &peer);
    peer_say(bench, &peer, GET_ECHO);
    bench_pass(bench, bench->limits.publish_ms + 1000);
    for (int i = 0; i < 200; i++) {
        hear_so_far(&peer);
        clock_fake_advance(&bench->clock, (WHEEL_TICK_MS + 1L) * 1000);
        worker_step(&bench->worker, 0);
    }
    peer_expect(bench, &peer, "200 200");
    peer_leave(bench, &peer);
}

/* The kernel reports input that came while nothing was read only once. */
static void frames_that_came_while_the_handshake_waited_are_read(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join(bench, &peer);
    peer_say(bench, &peer, GET_PARK PEER_UPGRADE("/socket"));
    peer_frame(bench, &peer, WS_PING, STR("ping"));
    exchange_json(bench->parked[0], 200, STR("{}\n"));
    bench_settle(bench);
    hear_so_far(&peer);
    assert_true(peer_has(&peer, "HTTP/1.1 101"));
    assert_true(peer_has(&peer, "\x8a\x04ping"));
    peer_leave(bench, &peer);
}

static void the_end_of_a_peer_that_came_while_its_stream_waited_is_noticed(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join(bench, &peer);
    peer_say(bench, &peer, GET_PARK GET_STREAM);
    shutdown(peer.fd, SHUT_WR);
    bench_settle(bench);
    exchange_json(bench->parked[0], 200, STR("{}\n"));
    bench_settle(bench);
    assert_true(list_empty(&bench->worker.connections));
    peer_leave(bench, &peer);
}

/* More than one read takes. */
static void many_frames_right_behind_the_handshake_are_all_read(void **state)
{
    enum { FRAMES = 1000, PAYLOAD = 100 };
    static const uint8_t mask[4] = {0};
    struct bench *bench = *state;
    struct peer peer;
    struct buf all = {0};
    uint8_t head[WS_HEAD_MAX];
    char payload[PAYLOAD];
    memset(payload, 'x', PAYLOAD);
    buf_add_str(&all, STR(PEER_UPGRADE("/socket")));
    for (int i = 0; i < FRAMES; i++) {
        buf_add(&all, (char *)head, ws_frame_head(head, true, false, WS_PING, PAYLOAD, mask));
        buf_add(&all, payload, PAYLOAD);
    }
    peer_join(bench, &peer);
    peer_send(&peer, buf_str(&all));
    buf_free(&all);
    bench_settle(bench);
    hear_so_far(&peer);
    assert_int_equal(peer_count(&peer, "\x8a\x64"), FRAMES);
    peer_leave(bench, &peer);
}

static void a_publish_that_is_not_safe_in_time_has_an_unknown_fate(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join(bench, &peer);
    peer_say(bench, &peer, POST_PARK);
    bench_pass(bench, bench->limits.publish_ms / 2);
    peer_say(bench, &peer, POST_PARK);
    bench_pass(bench, bench->limits.publish_ms / 2);
    peer_expect(bench, &peer, "503.");
    assert_true(peer_has(&peer, "/errors/fate-unknown"));
    assert_true(peer_has(&peer, "Retry-After: "));
    assert_true(bench->parked[0]->dropped);
    answer(bench, 0);
    peer_leave(bench, &peer);
    answer(bench, 1);
}

static void an_answer_that_has_a_deadline_of_its_own_is_waited_for(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join(bench, &peer);
    peer_say(bench, &peer, POST_PARK);
    bench->parked[0]->patient = true;
    bench_pass(bench, 3 * bench->limits.publish_ms);
    peer_expect(bench, &peer, "");
    peer_say(bench, &peer, POST_PARK);
    bench_pass(bench, bench->limits.publish_ms / 2);
    answer(bench, 0);
    bench_settle(bench);
    bench_pass(bench, bench->limits.publish_ms / 2);
    peer_expect(bench, &peer, "201 503."); /* the other has none */
    peer_leave(bench, &peer);
    answer(bench, 1);
}

/* Single bytes do not extend the deadline. */
static void the_deadline_of_a_publish_holds_while_more_trickles_in(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join(bench, &peer);
    peer_say(bench, &peer, POST_PARK);
    for (int i = 0; i < 4; i++) {
        peer_say(bench, &peer, i ? "X: y\r\n" : "POST /park HTTP/1.1\r\n");
        bench_pass(bench, bench->limits.publish_ms / 4);
    }
    peer_expect(bench, &peer, "503.");
    answer(bench, 0);
    peer_leave(bench, &peer);
}

/* ---- budgets --------------------------------------------------------------------------------- */

#define POST_ECHO "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"

enum { FLOOD = 200, SMALL_STEP = 2048, FEW_TURNS = 3 };

/* A budget so small that the bytes of a single send take many turns. */
static void make_steps_small(struct bench *bench)
{
    bench->worker.config.budgets.step_bytes = SMALL_STEP;
    bench->worker.config.budgets.turn_bytes = SMALL_STEP;
}

static void send_often(struct peer *peer, struct str bytes, unsigned times)
{
    struct buf all = {0};
    for (unsigned i = 0; i < times; i++)
        buf_add_str(&all, bytes);
    assert_false(buf_failed(&all));
    peer_send(peer, buf_str(&all));
    buf_free(&all);
}

static void step_often(struct bench *bench, unsigned turns)
{
    for (unsigned i = 0; i < turns; i++)
        worker_step(&bench->worker, 0);
}

/* Another client is answered while most of the flood is still unread. */
static void expect_answer_to_stranger(struct bench *bench, struct peer *stranger)
{
    peer_send(stranger, STR(GET_ECHO));
    step_often(bench, FEW_TURNS);
    hear_so_far(stranger);
    assert_int_equal(peer_count(stranger, "HTTP/1.1 200"), 1);
    assert_true(bench->worker.stats.budgets[BUDGET_READ] > 0);
}

enum { LARGE_BODY = 200 << 10 };

/* A request with a large body, sized or in one chunk, which `fault` ends. */
static void make_large(struct buf *request, bool chunked, const char *fault)
{
    struct buf body = {0};
    buf_add_char(&body, '[');
    while (body.len < LARGE_BODY)
        buf_add_lit(&body, "1,[],");
    buf_addf(&body, "2]%s", fault);
    buf_add_lit(request, "POST /echo HTTP/1.1\r\nHost: x\r\n");
    if (chunked)
        buf_addf(request, "Transfer-Encoding: chunked\r\n\r\n%zx\r\n", body.len);
    else
        buf_addf(request, "Content-Length: %zu\r\n\r\n", body.len);
    buf_add_str(request, buf_str(&body));
    if (chunked)
        buf_add_lit(request, "\r\n0\r\n\r\n");
    buf_free(&body);
}

/* Sends the request in reads of 4 KiB, the last of which has little budget left. */
static void send_large(struct bench *bench, struct peer *peer, struct str request)
{
    for (; request.len > 4096; request = str_skip(request, 4096)) {
        peer_send(peer, (struct str){request.at, 4096});
        worker_step(&bench->worker, 0);
    }
    make_steps_small(bench);
    peer_send(peer, request);
    worker_step(&bench->worker, 0);
    assert_false(list_empty(&bench->worker.bodies));
}

/* Returns how many turns the check takes. */
static unsigned count_pauses(struct bench *bench)
{
    unsigned pauses = 0;
    for (; !list_empty(&bench->worker.bodies); pauses++)
        worker_step(&bench->worker, 0);
    assert_null(bench->worker.checked);
    return pauses;
}

static void the_json_of_a_large_body_is_checked_in_pieces(void **state)
{
    struct bench *bench = *state;
    bench->worker.config.limits.body_max = 2 * (uint64_t)LARGE_BODY;
    const struct worker_budgets budgets = bench->worker.config.budgets;
    for (int i = 0; i < 4; i++) {
        struct peer peer;
        struct buf request = {0};
        bool broken = i & 2;
        make_large(&request, i & 1, broken ? "]" : "");
        buf_add_lit(&request, GET_ECHO); /* a request behind it is not lost */
        peer_join(bench, &peer);
        send_large(bench, &peer, buf_str(&request));
        assert_true(1 + count_pauses(bench) >= LARGE_BODY / (32 << 10));
        bench->worker.config.budgets = budgets;
        bench_settle(bench);
        hear_so_far(&peer);
        assert_int_equal(peer_count(&peer, "HTTP/1.1 200"), 2);
        assert_true(peer_has(&peer, broken ? "[],2]]" : "[],2]"));
        peer_leave(bench, &peer);
        buf_free(&request);
    }
}

static void others_are_answered_while_a_large_body_is_checked(void **state)
{
    struct bench *bench = *state;
    struct peer large, stranger;
    struct buf request = {0};
    bench->worker.config.limits.body_max = 2 * (uint64_t)LARGE_BODY;
    make_large(&request, false, "");
    peer_join(bench, &stranger);
    peer_join(bench, &large);
    send_large(bench, &large, buf_str(&request));
    expect_answer_to_stranger(bench, &stranger);
    assert_false(list_empty(&bench->worker.bodies));
    peer_leave(bench, &large); /* gone in the midst of it */
    peer_leave(bench, &stranger);
    buf_free(&request);
}

/* A turn has time for only one of the connections that were put off. */
static void a_check_of_a_large_body_does_not_hold_up_other_reads(void **state)
{
    static const char ping[] = {(char)0x89, (char)0x81, 0, 0, 0, 0, 'q'};
    struct bench *bench = *state;
    struct peer large, late;
    struct buf request = {0};
    bench->worker.config.limits.body_max = 2 * (uint64_t)LARGE_BODY;
    make_large(&request, false, "");
    peer_join(bench, &late);
    peer_upgrade(bench, &late, PEER_UPGRADE("/socket"));
    peer_join(bench, &large);
    send_large(bench, &large, buf_str(&request));
    send_often(&late, (struct str){ping, sizeof(ping)}, 5000);
    worker_step(&bench->worker, 0);
    hear_so_far(&late);
    size_t first = peer_count(&late, "\x8a\x01q");
    step_often(bench, FEW_TURNS);
    hear_so_far(&late);
    assert_false(list_empty(&bench->worker.put_off));
    assert_false(list_empty(&bench->worker.bodies));
    assert_true(peer_count(&late, "\x8a\x01q") > first);
    peer_leave(bench, &large);
    peer_leave(bench, &late);
    buf_free(&request);
}

static void a_flood_of_frames_holds_up_nobody_and_is_read_to_its_end(void **state)
{
    static const char pong[] = {(char)0x8a, (char)0x80, 0, 0, 0, 0};
    static const char ping[] = {(char)0x89, (char)0x81, 0, 0, 0, 0, 'q'};
    struct bench *bench = *state;
    struct peer flood, stranger;
    make_steps_small(bench);
    peer_join(bench, &flood);
    peer_join(bench, &stranger);
    peer_upgrade(bench, &flood, PEER_UPGRADE("/socket"));
    send_often(&flood, (struct str){pong, sizeof(pong)}, 5000);
    peer_send(&flood, (struct str){ping, sizeof(ping)});
    expect_answer_to_stranger(bench, &stranger);
    assert_false(list_empty(&bench->worker.put_off));
    step_often(bench, 5000);
    hear_so_far(&flood);
    assert_true(peer_has(&flood, "\x8a\x01q"));
    assert_true(list_empty(&bench->worker.put_off));
    peer_leave(bench, &flood);
    peer_leave(bench, &stranger);
}

static void a_flood_of_requests_holds_up_nobody_and_is_answered_in_order(void **state)
{
    struct bench *bench = *state;
    struct peer flood, stranger;
    make_steps_small(bench);
    peer_join(bench, &flood);
    peer_join(bench, &stranger);
    send_often(&flood, STR(POST_ECHO), FLOOD);
    expect_answer_to_stranger(bench, &stranger);
    assert_false(list_empty(&bench->worker.put_off));
    step_often(bench, 2 * FLOOD);
    hear_so_far(&flood);
    assert_int_equal(peer_count(&flood, "HTTP/1.1 200"), FLOOD);
    peer_leave(bench, &flood);
    peer_leave(bench, &stranger);
}

static void bytes_that_were_put_off_outlive_the_half_close_of_their_peer(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    make_steps_small(bench);
    peer_join(bench, &peer);
    send_often(&peer, STR(POST_ECHO), FLOOD);
    shutdown(peer.fd, SHUT_WR);
    step_often(bench, 2 * FLOOD);
    peer_hear(bench, &peer);
    assert_int_equal(peer_count(&peer, "HTTP/1.1 200"), FLOOD);
    assert_true(peer.ended);
    peer_leave(bench, &peer);
}

static void a_request_that_was_put_off_may_become_a_stream_or_a_websocket(void **state)
{
    struct bench *bench = *state;
    struct peer stream, socket;
    static const uint8_t mask[4] = {0};
    char ping[WS_HEAD_MAX];
    make_steps_small(bench);
    peer_join(bench, &stream);
    peer_join(bench, &socket);
    send_often(&stream, STR(POST_ECHO), FLOOD);
    peer_send(&stream, STR(GET_STREAM GET_ECHO));
    send_often(&socket, STR(POST_ECHO), FLOOD);
    peer_send(&socket, STR(PEER_UPGRADE("/socket")));
    size_t size = ws_frame_head((uint8_t *)ping, true, false, WS_PING, 0, mask);
    send_often(&socket, (struct str){ping, size}, FLOOD);
    step_often(bench, 8 * FLOOD);
    bench_append(bench, STR("news"));
    bench_settle(bench);
    hear_so_far(&stream);
    hear_so_far(&socket);
    assert_int_equal(peer_count(&stream, "HTTP/1.1 200"), FLOOD + 1);
    assert_true(peer_has(&stream, "news"));
    assert_int_equal(peer_count(&socket, "HTTP/1.1 200"), FLOOD);
    assert_true(peer_has(&socket, "news"));
    assert_int_equal(peer_count(&socket, "\x8a"), FLOOD);
    peer_leave(bench, &stream);
    peer_leave(bench, &socket);
}

/* The peer is not late: the server put off reading its bytes. */
static void time_for_which_a_request_was_put_off_is_not_its_peers(void **state)
{
    struct bench *bench = *state;
    struct peer body, message;
    make_steps_small(bench);
    peer_join(bench, &body);
    peer_join(bench, &message);
    peer_upgrade(bench, &message, PEER_UPGRADE("/socket"));
    peer_send(&body, STR("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"));
    send_often(&body, STR("1\r\nx\r\n"), 25000);
    peer_send(&body, STR("0\r\n\r\n"));
    static const char part[] = {0, (char)0x81, 0, 0, 0, 0, 'x'};
    static const char first[] = {1, (char)0x81, 0, 0, 0, 0, 'x'};
    static const char last[] = {(char)0x80, (char)0x80, 0, 0, 0, 0};
    static const char ping[] = {(char)0x89, (char)0x81, 0, 0, 0, 0, 'q'};
    peer_send(&message, (struct str){first, sizeof(first)});
    send_often(&message, (struct str){part, sizeof(part)}, 20000);
    peer_send(&message, (struct str){last, sizeof(last)});
    peer_send(&message, (struct str){ping, sizeof(ping)});
    worker_step(&bench->worker, 0);
    assert_false(list_empty(&bench->worker.put_off));
    for (int i = 0; i < 10; i++) {
        clock_fake_advance(&bench->clock, bench->limits.body_ms * 1000);
        worker_step(&bench->worker, 0);
    }
    step_often(bench, 100);
    hear_so_far(&body);
    assert_int_equal(peer_count(&body, "HTTP/1.1 200"), 1);
    hear_so_far(&message);
    assert_true(peer_has(&message, "\x8a\x01q"));
    peer_leave(bench, &body);
    peer_leave(bench, &message);
}

static void a_connection_that_is_put_off_may_go(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    make_steps_small(bench);
    peer_join(bench, &peer);
    send_often(&peer, STR(POST_ECHO), FLOOD);
    worker_step(&bench->worker, 0);
    assert_false(list_empty(&bench->worker.put_off));
    conn_close(container_of(bench->worker.connections.next, struct conn, node));
    peer_leave(bench, &peer);
    assert_true(list_empty(&bench->worker.put_off));
}

static void bytes_behind_a_final_refusal_are_thrown_away_in_turns(void **state)
{
    struct bench *bench = *state;
    struct peer flood, stranger;
    make_steps_small(bench);
    peer_join(bench, &flood);
    peer_join(bench, &stranger);
    peer_send(&flood, STR("nonsense\r\n\r\n"));
    step_often(bench, 2);
    send_often(&flood, STR(POST_ECHO), 10 * FLOOD); /* more than one read takes */
    worker_step(&bench->worker, 0);
    expect_answer_to_stranger(bench, &stranger);
    peer_expect(bench, &flood, "400.");
    peer_leave(bench, &flood);
    peer_leave(bench, &stranger);
}

/* Connections that were not read yet wait in the order in which they came. */
static void connections_beyond_the_budget_of_a_turn_are_read_in_the_next(void **state)
{
    enum { PEERS = 20 };
    struct bench *bench = *state;
    struct peer peers[PEERS];
    make_steps_small(bench);
    for (int i = 0; i < PEERS; i++)
        peer_join(bench, &peers[i]);
    for (int i = 0; i < PEERS; i++)
        peer_send(&peers[i], STR(POST_ECHO));
    worker_step(&bench->worker, 0);
    assert_true(bench->handled < PEERS);
    assert_true(bench->worker.late);
    step_often(bench, PEERS);
    for (int i = 0; i < PEERS; i++) {
        peer_expect(bench, &peers[i], "200");
        peer_leave(bench, &peers[i]);
    }
}

static void a_drain_is_seen_in_the_midst_of_a_flood(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    make_steps_small(bench);
    peer_join(bench, &peer);
    send_often(&peer, STR(POST_ECHO), FLOOD);
    step_often(bench, FEW_TURNS);
    worker_drain(&bench->worker);
    worker_step(&bench->worker, 0);
    assert_true(bench->worker.draining);
    assert_true(bench->handled < FLOOD);
    step_often(bench, FLOOD);
    peer_hear(bench, &peer);
    assert_true(peer.ended);
    peer_leave(bench, &peer);
}

/* ---- back-pressure --------------------------------------------------------------------------- */

static void publishers_wait_while_the_log_is_behind(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join(bench, &peer);
    bench_press(bench, bench->limits.pending_max + 1);
    peer_say(bench, &peer, POST_PUBLISH);
    bench_pass(bench, 1000);
    assert_int_equal(bench->handled, 0);
    assert_int_equal(bench->worker.stats.limits[LIMIT_PENDING], 1);
    bench_press(bench, 0);
    bench_pass(bench, 100);
    peer_expect(bench, &peer, "201");
    peer_leave(bench, &peer);
}

static void reads_do_not_wait_while_the_log_is_behind(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join(bench, &peer);
    bench_press(bench, bench->limits.pending_max + 1);
    peer_say(bench, &peer, GET_PAGE);
    peer_expect(bench, &peer, "200");
    bench_press(bench, 0);
    peer_leave(bench, &peer);
}

static void a_publisher_that_has_waited_too_long_is_told_to_come_back(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join(bench, &peer);
    bench_press(bench, bench->limits.pending_max + 1);
    peer_say(bench, &peer, POST_PUBLISH);
    bench_pass(bench, bench->limits.publish_ms);
    peer_expect(bench, &peer, "503.");
    assert_true(peer_has(&peer, "/errors/unavailable"));
    assert_int_equal(bench->handled, 0);
    bench_press(bench, 0);
    bench_pass(bench, 100);
    assert_int_equal(bench->handled, 0);
    peer_leave(bench, &peer);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void append_large(struct bench *bench, size_t size)
{
    char *bytes = malloc(size);
    assert_non_null(bytes);
    memset(bytes, 'x', size);
    bench_append(bench, (struct str){bytes, size});
    free(bytes);
    bench_settle(bench);
}

static void the_largest_rest_is_closed_when_all_together_are_too_large(void **state)
{
    struct bench *bench = *state;
    struct peer small, large, reader;
    bench->worker.config.limits.rests_max = 150000;
    bench->reading.from.kind = POSITION_NOW;
    peer_join_narrow(bench, &small);
    peer_say(bench, &small, GET_STREAM);
    append_large(bench, 60000); /* `small` holds the rest of this one for good */
    peer_join_narrow(bench, &large);
    peer_join(bench, &reader);
    peer_say(bench, &large, GET_STREAM);
    peer_say(bench, &reader, GET_STREAM);
    append_large(bench, 120000);
    assert_int_equal(bench->worker.stats.limits[LIMIT_RESTS], 1);
    peer_hear(bench, &reader);
    peer_hear(bench, &large);
    assert_true(large.ended);
    assert_false(reader.ended);
    peer_hear(bench, &small);
    assert_false(small.ended);
    assert_int_equal(bench_rests(bench), 0);
    peer_leave(bench, &small);
    peer_leave(bench, &large);
    peer_leave(bench, &reader);
}

/* Unread answers cost as much memory as rests of events. */
static void answers_that_are_not_read_count_as_rests(void **state)
{
    struct bench *bench = *state;
    struct peer peers[3];
    bench->worker.config.limits.rests_max = 140000;
    for (int i = 0; i < 3; i++) {
        peer_join_narrow(bench, &peers[i]);
        ask_for_much(bench, &peers[i]);
    }
    assert_int_equal(bench->worker.stats.limits[LIMIT_RESTS], 1);
    assert_true(bench_rests(bench) > 60000 && bench_rests(bench) <= 140000);
    for (int i = 0; i < 3; i++)
        peer_leave(bench, &peers[i]);
    assert_int_equal(bench_rests(bench), 0);
}

/* A slow peer costs its unread bytes, not the larger buffer in which they were made. */
static void a_rest_takes_no_more_memory_than_it_has_bytes(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join_narrow(bench, &peer);
    ask_for_much(bench, &peer);
    const struct http1 *http1 =
        container_of(bench->worker.connections.next, struct http1, conn.node);
    for (size_t left; (left = request_stream_unsent_len(&http1->request));) {
        assert_true(bench_rests(bench) <= left + left / 4 + 1024);
        assert_true(bench_rests(bench) >= left);
        char room[2000];
        assert_true(recv(peer.fd, room, sizeof(room), 0) > 0);
        bench_settle(bench);
    }
    assert_int_equal(bench_rests(bench), 0);
    peer_leave(bench, &peer);
}

/* ---- slow peers of one large event ---- */

enum { CROWD = 50, LARGE = 100000 };

static void make_text(char *text)
{
    for (int i = 0; i < LARGE; i++)
        text[i] = (char)('a' + (i * 7 + i / 26) % 26);
    text[LARGE] = '\0';
}

/* Streams of selections that all have "a", and are all different. */
static void join_crowd(struct bench *bench, struct peer *crowd, int first, int count)
{
    char pattern[32];
    bench->pattern = pattern;
    bench->reading.from.kind = POSITION_NOW;
    for (int i = first; i < first + count; i++) {
        snprintf(pattern, sizeof(pattern), "a other/%d", i);
        peer_join_narrow(bench, &crowd[i]);
        peer_say(bench, &crowd[i], GET_STREAM);
    }
    bench->pattern = NULL;
}

static void append_text(struct bench *bench, const char *text)
{
    bench_append(bench, str_from(text));
    bench_settle(bench);
}

/* The memory for the event is little more than the event itself, whichever peers lack it. */
static void check_held_once(const struct bench *bench)
{
    assert_in_range(bench_rests(bench), LARGE, LARGE + LARGE / 4 + 2048);
}

static void check_got(struct bench *bench, struct peer *peer, const char *text)
{
    peer_hear(bench, peer);
    assert_false(peer->ended);
    assert_int_equal(peer_count(peer, text), 1);
    assert_int_equal(peer_count(peer, "\"data\":"), 3);
    buf_add_char(&peer->got, '\0');
    const char *large = strstr(peer->got.at, text);
    const char *one = strstr(large, "\"data\":\"one\"");
    assert_non_null(one);
    assert_non_null(strstr(one, "\"data\":\"two\""));
}

static void slow_peers_of_a_large_event_hold_it_once_and_get_all_of_it(void **state)
{
    struct bench *bench = *state;
    struct peer crowd[CROWD];
    char *text = mem_alloc(LARGE + 1);
    make_text(text);
    bench->worker.config.limits.rests_max = UINT64_C(2) * LARGE;
    for (int live_max = 0; live_max < 2; live_max++) {
        bench->worker.hub.limits.live_max = live_max ? 1 << 20 : 0;
        join_crowd(bench, crowd, 0, CROWD);
        append_text(bench, text);
        check_held_once(bench);
        append_text(bench, "one");
        append_text(bench, "two");
        check_held_once(bench);
        for (int i = 0; i < CROWD; i++)
            check_got(bench, &crowd[i], text);
        assert_int_equal(bench_rests(bench), 0);
        for (int i = 0; i < CROWD; i++)
            peer_leave(bench, &crowd[i]);
    }
    assert_int_equal(bench->worker.stats.limits[LIMIT_RESTS], 0);
    free(text);
}

static void slow_peers_of_a_large_event_leave_in_any_order(void **state)
{
    struct bench *bench = *state;
    struct peer crowd[CROWD];
    char *text = mem_alloc(LARGE + 1);
    make_text(text);
    join_crowd(bench, crowd, 0, CROWD);
    append_text(bench, text);
    for (int i = 0; i < CROWD; i++) {
        struct peer *peer = &crowd[(i * 17 + 5) % CROWD];
        check_held_once(bench);
        if (i % 3)
            peer_hear(bench, peer);
        peer_leave(bench, peer);
    }
    assert_int_equal(bench_rests(bench), 0);
    assert_int_equal(account_held(&bench->worker.account, ACCOUNT_CHUNKS), 0);
    free(text);
}

/* A peer that alone holds an event is closed before peers that share one. */
static void connections_that_share_a_large_event_are_closed_last(void **state)
{
    struct bench *bench = *state;
    struct peer crowd[CROWD];
    char *text = mem_alloc(LARGE + 1);
    make_text(text);
    bench->worker.config.limits.rests_max = 3 * LARGE / 2;
    join_crowd(bench, crowd, 0, CROWD - 1);
    append_text(bench, text);
    join_crowd(bench, crowd, CROWD - 1, 1);
    append_text(bench, text);
    assert_int_equal(bench->worker.stats.limits[LIMIT_RESTS], 1);
    check_held_once(bench);
    peer_hear(bench, &crowd[CROWD - 1]);
    assert_true(crowd[CROWD - 1].ended);
    bench->worker.config.limits.rests_max = LARGE / 2; /* if nothing else helps, they go too */
    peer_hear(bench, &crowd[0]);
    assert_in_range(bench_rests(bench), 0, LARGE / 2);
    assert_int_equal(bench->worker.stats.limits[LIMIT_RESTS], CROWD);
    for (int i = 0; i < CROWD; i++)
        peer_leave(bench, &crowd[i]);
    free(text);
}

static void a_peer_that_pipelines_and_does_not_read_is_not_read_on(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join_narrow(bench, &peer);
    for (int i = 0; i < 3; i++)
        ask_for_much(bench, &peer);
    assert_int_equal(bench->handled, 2);
    peer_hear(bench, &peer);
    peer_expect(bench, &peer, "200 200 200");
    peer_leave(bench, &peer);
}

static void unfinished_bodies_are_refused_beyond_what_may_be_held(void **state)
{
    enum { PEERS = 6, SENT = 50000 };
    struct bench *bench = *state;
    struct peer peers[PEERS];
    unsigned refused = 0;
    char *bytes = malloc(SENT);
    memset(bytes, 'x', SENT);
    bench->worker.account.limit = PEERS * SENT / 2;
    for (int i = 0; i < PEERS; i++) {
        peer_join(bench, &peers[i]);
        peer_send(&peers[i],
                  STR("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n"));
        peer_send(&peers[i], (struct str){bytes, SENT});
        bench_settle(bench);
        assert_int_equal(account_excess(&bench->worker.account), 0);
    }
    for (int i = 0; i < PEERS; i++) {
        peer_hear(bench, &peers[i]);
        refused +=
            peer_has(&peers[i], "HTTP/1.1 503") && peer_has(&peers[i], "/errors/unavailable");
        peer_leave(bench, &peers[i]);
    }
    assert_true(refused >= PEERS / 2 - 1 && refused < PEERS);
    assert_int_equal(refused, bench->worker.stats.limits[LIMIT_HELD]);
    free(bytes);
}

/* ---- the end of the server ------------------------------------------------------------------- */

static void drain(struct bench *bench)
{
    worker_drain(&bench->worker);
    bench_settle(bench);
}

/* Room for the answers of all is made once, not for each that waits. */
static void answers_that_wait_for_an_earlier_one_hold_little_memory(void **state)
{
    enum { WAIT = 20, MOST_EACH = 1024 };
    struct bench *bench = *state;
    struct peer peer;
    peer_join(bench, &peer);
    bench->worker.config.limits.inflight_max = WAIT + 1;
    peer_send(&peer, STR(POST_PARK));
    send_often(&peer, STR(POST_ECHO), WAIT);
    bench_settle(bench);
    assert_int_equal(bench->handled, WAIT + 1);
    uint64_t held = account_held(&bench->worker.account, ACCOUNT_ANSWERS);
    assert_true(held > 0 && held < (uint64_t)WAIT * MOST_EACH);
    exchange_json(bench->parked[0], 200, STR("{}"));
    bench_settle(bench);
    peer_hear(bench, &peer);
    assert_int_equal(peer_count(&peer, "HTTP/1.1 200"), WAIT + 1);
    peer_leave(bench, &peer);
}

static void a_drain_closes_what_is_idle_at_once(void **state)
{
    struct bench *bench = *state;
    struct peer fresh, used;
    peer_join(bench, &fresh);
    peer_join(bench, &used);
    peer_say(bench, &used, GET_ECHO);
    drain(bench);
    peer_expect(bench, &fresh, ".");
    peer_expect(bench, &used, "200.");
    peer_leave(bench, &fresh);
    peer_leave(bench, &used);
}

/* Connections that have not heard of the drain may still send and leave. */
static void a_drain_tells_a_few_connections_a_turn_and_all_in_the_end(void **state)
{
    enum { PEERS = 12, SOME = 2 };
    struct bench *bench = *state;
    struct peer peers[PEERS];
    for (int i = 0; i < PEERS; i++)
        peer_join(bench, &peers[i]);
    bench->worker.config.limits.drain_some = SOME;
    worker_drain(&bench->worker);
    worker_step(&bench->worker, 0);
    worker_step(&bench->worker, 0);
    assert_false(list_empty(&bench->worker.undrained));
    peer_send(&peers[PEERS - 1], STR(GET_ECHO));
    shutdown(peers[PEERS - 2].fd, SHUT_WR);
    unsigned ended = 0;
    for (int i = 0; i < PEERS; i++) {
        char c;
        ended += recv(peers[i].fd, &c, 1, 0) == 0;
    }
    assert_int_equal(ended, 2 * SOME);
    for (int i = 0; i < PEERS / SOME; i++)
        worker_step(&bench->worker, 0);
    assert_true(list_empty(&bench->worker.undrained));
    bench_settle(bench);
    for (int i = 0; i < PEERS; i++) {
        peer_expect(bench, &peers[i], i == PEERS - 1 ? "200." : ".");
        peer_leave(bench, &peers[i]);
    }
    assert_int_equal(bench->worker.net.conns, 0);
}

static void a_drain_gives_way_when_its_time_is_over(void **state)
{
    enum { PEERS = 3 };
    struct bench *bench = *state;
    struct peer peers[PEERS];
    for (int i = 0; i < PEERS; i++)
        peer_join(bench, &peers[i]);
    worker_drain(&bench->worker);
    bench_hurry(bench);
    worker_step(&bench->worker, 0);
    assert_false(list_empty(&bench->worker.undrained));
    bench_rest(bench);
    bench_settle(bench);
    assert_true(list_empty(&bench->worker.undrained));
    for (int i = 0; i < PEERS; i++) {
        peer_expect(bench, &peers[i], ".");
        peer_leave(bench, &peers[i]);
    }
}

static void a_drain_answers_a_request_that_has_begun_and_then_closes(void **state)
{
    struct bench *bench = *state;
    struct peer head, body;
    peer_join(bench, &head);
    peer_join(bench, &body);
    peer_say(bench, &head, "GET /echo HTTP/1.1\r\n");
    peer_say(bench, &body, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nx");
    drain(bench);
    peer_say(bench, &head, "Host: x\r\n\r\n" GET_ECHO);
    peer_say(bench, &body, "y" GET_ECHO);
    peer_expect(bench, &head, "200.");
    peer_expect(bench, &body, "200.");
    assert_true(peer_has(&head, "Connection: close\r\n"));
    assert_true(peer_has(&body, "Connection: close\r\n"));
    peer_leave(bench, &head);
    peer_leave(bench, &body);
}

static void a_drain_answers_the_publishes_that_are_under_way_and_then_closes(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join(bench, &peer);
    peer_say(bench, &peer, POST_PARK POST_PARK);
    drain(bench);
    answer(bench, 0);
    bench_settle(bench);
    peer_expect(bench, &peer, "201");
    answer(bench, 1);
    bench_settle(bench);
    peer_expect(bench, &peer, "201 201.");
    peer_leave(bench, &peer);
}

/* The requests have come, but the worker does not read all of them before it tells connections of
 * the drain. */
static void a_request_that_came_before_the_drain_is_answered(void **state)
{
    static const struct {
        const char *request, *statuses;
    } cases[] = {
        {GET_ECHO, "200."},   {POST_ECHO, "200."}, {POST_PUBLISH, "201."},
        {GET_STREAM, "200."}, {GET_PAGE, "200."},  {GET_ECHO GET_ECHO, "200."},
    };
    enum { COUNT = sizeof(cases) / sizeof(*cases) };
    struct bench *bench = *state;
    struct peer fresh[COUNT], used[COUNT];
    for (int i = 0; i < COUNT; i++) {
        peer_join(bench, &fresh[i]);
        peer_join(bench, &used[i]);
        peer_say(bench, &used[i], GET_ECHO);
        peer_expect(bench, &used[i], "200");
        buf_clear(&used[i].got);
    }
    make_steps_small(bench);
    worker_step(&bench->worker, 0);
    unsigned handled = bench->handled;
    for (int i = 0; i < COUNT; i++) {
        peer_send(&fresh[i], str_from(cases[i].request));
        peer_send(&used[i], str_from(cases[i].request));
    }
    worker_drain(&bench->worker);
    worker_step(&bench->worker, 0);
    assert_true(bench->worker.draining && list_empty(&bench->worker.undrained));
    assert_true(bench->handled - handled < 2 * COUNT);
    bench_settle(bench);
    bench_pass(bench, bench->limits.drain_ms);
    for (int i = 0; i < COUNT; i++) {
        peer_expect(bench, &fresh[i], cases[i].statuses);
        peer_expect(bench, &used[i], cases[i].statuses);
        peer_leave(bench, &fresh[i]);
        peer_leave(bench, &used[i]);
    }
}

/* The worker opens mail between the reading of bytes and their use. */
static void a_request_that_is_being_read_when_the_drain_comes_is_answered(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    struct drainer drainer;
    peer_join(bench, &peer);
    peer_say(bench, &peer, GET_ECHO);
    drainer_begin(&drainer, bench);
    peer_send(&peer, STR(GET_ECHO));
    bench_settle(bench);
    drainer_end(&drainer);
    peer_expect(bench, &peer, "200 200.");
    peer_leave(bench, &peer);
}

/* Requests were read, and wait for the budget of another turn. */
static void a_request_that_was_kept_before_the_drain_is_answered(void **state)
{
    enum { PEERS = 5 };
    struct bench *bench = *state;
    struct peer peers[PEERS];
    make_steps_small(bench);
    for (int i = 0; i < PEERS; i++) {
        peer_join(bench, &peers[i]);
        send_often(&peers[i], STR(POST_ECHO), FLOOD);
    }
    step_often(bench, 2 * PEERS);
    worker_drain(&bench->worker);
    worker_step(&bench->worker, 0);
    assert_true(bench->worker.draining && list_empty(&bench->worker.undrained));
    bench_settle(bench);
    for (int i = 0; i < PEERS; i++) {
        peer_hear(bench, &peers[i]);
        assert_true(peers[i].ended);
        assert_int_equal(peer_count(&peers[i], "Connection: close"), 1);
        peer_leave(bench, &peers[i]);
    }
}

static void a_drain_sends_an_answer_to_its_end_and_then_closes(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join_narrow(bench, &peer);
    ask_for_much(bench, &peer);
    drain(bench);
    peer_expect(bench, &peer, "200.");
    assert_true(peer.got.len > 60000);
    peer_leave(bench, &peer);
}

static void a_drain_ends_streams_within_its_time(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join(bench, &peer);
    peer_say(bench, &peer, GET_STREAM);
    drain(bench);
    bench_pass(bench, bench->limits.drain_ms);
    peer_expect(bench, &peer, "200.");
    assert_true(peer_has(&peer, "{\"op\":\"bye\""));
    assert_true(peer_has(&peer, "\r\n0\r\n\r\n"));
    peer_leave(bench, &peer);
}

/* The worker has much else to do: its turns take 200 ms. */
static void a_stream_that_hears_late_of_the_drain_still_gets_its_goodbye_in_time(void **state)
{
    enum { PEERS = 8, TURN_MS = 200 };
    struct bench *bench = *state;
    struct peer peers[PEERS];
    for (int i = 0; i < PEERS; i++) {
        peer_join(bench, &peers[i]);
        peer_say(bench, &peers[i], GET_STREAM);
    }
    bench->worker.config.limits.drain_some = 1;
    worker_drain(&bench->worker);
    for (int i = 0; i < PEERS; i++) {
        worker_step(&bench->worker, 0);
        clock_fake_advance(&bench->clock, INT64_C(1000) * TURN_MS);
    }
    assert_true(list_empty(&bench->worker.undrained));
    bench_pass(bench, bench->limits.drain_ms - (int64_t)PEERS * TURN_MS);
    for (int i = 0; i < PEERS; i++) {
        peer_expect(bench, &peers[i], "200.");
        assert_true(peer_has(&peers[i], "{\"op\":\"bye\""));
        peer_leave(bench, &peers[i]);
    }
}

static void a_turn_tells_all_that_are_left_once_the_time_of_the_drain_is_over(void **state)
{
    enum { PEERS = 8 };
    struct bench *bench = *state;
    struct peer peers[PEERS];
    for (int i = 0; i < PEERS; i++) {
        peer_join(bench, &peers[i]);
        peer_say(bench, &peers[i], GET_STREAM);
    }
    bench->worker.config.limits.drain_some = 1;
    worker_drain(&bench->worker);
    worker_step(&bench->worker, 0);
    assert_false(list_empty(&bench->worker.undrained));
    clock_fake_advance(&bench->clock, INT64_C(1000) * bench->limits.drain_ms);
    worker_step(&bench->worker, 0);
    assert_true(list_empty(&bench->worker.undrained));
    bench_pass(bench, 1);
    for (int i = 0; i < PEERS; i++) {
        peer_expect(bench, &peers[i], "200.");
        assert_true(peer_has(&peers[i], "{\"op\":\"bye\""));
        peer_leave(bench, &peers[i]);
    }
}

/* The machine stood still meanwhile. The worker goes on as its thread does. */
static void a_turn_that_outlasts_the_drain_costs_no_stream_its_goodbye(void **state)
{
    enum { PEERS = 8, STOOD_MS = 60000 };
    struct bench *bench = *state;
    struct worker *worker = &bench->worker;
    struct peer peers[PEERS];
    for (int i = 0; i < PEERS; i++) {
        peer_join(bench, &peers[i]);
        peer_say(bench, &peers[i], GET_STREAM);
    }
    worker->config.limits.drain_some = 1;
    worker_drain(worker);
    worker_step(worker, 0);
    clock_fake_advance(&bench->clock, INT64_C(1000) * STOOD_MS);
    for (worker_step(worker, 0); worker->loop.now_ns < worker->stop_at_ns; worker_step(worker, 0))
        clock_fake_advance(&bench->clock, 10000);
    for (int i = 0; i < PEERS; i++) {
        peer_expect(bench, &peers[i], "200.");
        assert_true(peer_has(&peers[i], "{\"op\":\"bye\""));
        peer_leave(bench, &peers[i]);
    }
}

/* The number after `name`, or 0. */
static long peer_number(const struct peer *peer, const char *name)
{
    struct str got = buf_str(&peer->got);
    const char *at = got.len ? memmem(got.at, got.len, name, strlen(name)) : NULL;
    return at ? strtol(at + strlen(name), NULL, 10) : 0;
}

/* Firefox gives up an EventSource whose first attempt to come back is refused. */
static void a_stream_is_sent_away_until_the_server_has_ended(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    bench->worker.config.limits.drain_ms = 60000;
    peer_join(bench, &peer);
    peer_say(bench, &peer, "GET /stream HTTP/1.1\r\n");
    drain(bench);
    peer_say(bench, &peer, "Host: x\r\n\r\n");
    bench_pass(bench, 1);
    peer_expect(bench, &peer, "200.");
    assert_true(peer_number(&peer, "\"retry_ms\":") > 59000);
    peer_leave(bench, &peer);
}

static void a_drain_ends_a_long_poll_with_an_empty_page_and_closes(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    bench->reading.wait_s = 50;
    peer_join(bench, &peer);
    peer_say(bench, &peer, GET_PAGE);
    peer_expect(bench, &peer, "");
    drain(bench);
    bench_pass(bench, bench->limits.drain_ms);
    peer_expect(bench, &peer, "200.");
    assert_true(peer_has(&peer, "{\"events\":[],"));
    peer_leave(bench, &peer);
}

/* The requests begin to arrive before the drain, and are read after it begins. */
static void a_drain_ends_reads_that_begin_only_now(void **state)
{
    struct bench *bench = *state;
    struct peer stream, poll, socket;
    bench->reading.wait_s = 50;
    peer_join(bench, &stream);
    peer_join(bench, &poll);
    peer_join(bench, &socket);
    peer_say(bench, &stream, "GET /stream HTTP/1.1\r\n");
    peer_say(bench, &poll, "GET /page HTTP/1.1\r\n");
    peer_say(bench, &socket, "GET /socket HTTP/1.1\r\n");
    drain(bench);
    peer_say(bench, &stream, "Host: x\r\n\r\n");
    peer_say(bench, &poll, "Host: x\r\n\r\n");
    peer_say(bench, &socket, strchr(PEER_UPGRADE("/socket"), '\n') + 1);
    bench_pass(bench, bench->limits.drain_ms);
    peer_expect(bench, &stream, "200.");
    peer_expect(bench, &poll, "200.");
    peer_hear(bench, &socket);
    assert_true(peer_has(&socket, "HTTP/1.1 101"));
    assert_true(peer_has(&socket, "the server restarts"));
    peer_leave(bench, &stream);
    peer_leave(bench, &poll);
    peer_leave(bench, &socket);
}

/* ---- refusals -------------------------------------------------------------------------------- */

/* Each takes a descriptor, of which only so many were set aside. */
static void connections_over_the_limit_are_heard_only_up_to_a_share(void **state)
{
    struct bench *bench = *state;
    struct peer peers[4];
    bench->worker.config.limits.connections_max = 0;
    bench->worker.config.refusing_max = 5;
    bench->worker.config.count = 2; /* with two workers, one may hear three and the other two */
    for (unsigned index = 0; index < 2; index++) {
        unsigned share = index ? 2 : 3;
        bench->worker.config.index = index;
        for (unsigned i = 0; i < 4; i++)
            peer_join(bench, &peers[i]);
        bench_settle(bench);
        assert_int_equal(bench->worker.refusing, share);
        for (unsigned i = 0; i < 4; i++) {
            peer_expect(bench, &peers[i], i < share ? "" : "503.");
            peer_leave(bench, &peers[i]);
        }
        bench_settle(bench);
        assert_int_equal(bench->worker.refusing, 0);
    }
}

static void a_connection_too_many_is_told_to_come_back(void **state)
{
    struct bench *bench = *state;
    struct peer first, second;
    bench->worker.config.limits.connections_max = 1;
    peer_join(bench, &first);
    peer_join(bench, &second);
    bench_pass(bench, 1000);
    peer_expect(bench, &second, "503.");
    assert_true(peer_has(&second, "Retry-After: "));
    assert_int_equal(bench->worker.stats.limits[LIMIT_CONNECTIONS], 1);
    peer_leave(bench, &second);
    peer_join(bench, &second);
    peer_say(bench, &second, GET_ECHO GET_ECHO);
    peer_expect(bench, &second, "503.");
    peer_leave(bench, &second);
    peer_join(bench, &second);
    peer_say(bench, &second, "GET /x HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n");
    peer_hear(bench, &second);
    assert_true(peer_has(&second, "200 OK"));
    assert_true(peer_has(&second, "\r\n\r\nretry: "));
    peer_leave(bench, &second);
    bench_settle(bench);
    assert_int_equal(bench->worker.refusing, 0);
    peer_leave(bench, &first);
    peer_join(bench, &second);
    peer_say(bench, &second, GET_ECHO);
    peer_expect(bench, &second, "200");
    peer_leave(bench, &second);
}

/* ---- without memory -------------------------------------------------------------------------- */

/* Everything that a connection does, with the nth allocation failing. Whatever the peer got is
 * whole or cut off by the end of the connection; nothing crashes, and nothing is left behind. */
static void run_with_failure(unsigned long nth)
{
    struct bench *bench = bench_new();
    struct peer peer, stream, socket;
    bench_begin(bench);
    peer_join(bench, &peer);
    peer_join(bench, &stream);
    peer_join(bench, &socket);
    mem_fail_nth(nth);
    peer_send(&peer, STR(POST_PUBLISH "POST /publish HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
                                      "chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n" GET_PAGE));
    peer_send(&stream, STR(GET_STREAM));
    peer_send(&socket, STR(PEER_UPGRADE("/socket")));
    bench_settle(bench);
    peer_say(bench, &peer, "GET /ech");
    peer_say(bench, &peer, "o HTTP/1.1\r\nHost: x\r\n\r\n");
    mem_fail_nth(0);
    peer_hear(bench, &peer);
    peer_hear(bench, &stream);
    peer_hear(bench, &socket);
    unsigned answers = peer_count(&peer, "HTTP/1.1 ");
    assert_true(answers == 4 || peer.ended);
    peer_leave(bench, &peer);
    peer_leave(bench, &stream);
    peer_leave(bench, &socket);
    bench_free(bench);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (unsigned long nth = 1; nth <= ALLOCATIONS; nth++)
        run_with_failure(nth);
}

static void an_answer_that_lost_memory_closes_its_connection(void **state)
{
    struct bench *bench = *state;
    struct peer peer, stream;
    peer_join(bench, &peer);
    peer_say(bench, &peer, POST_PARK);
    struct http1 *http1 = container_of(bench->worker.connections.prev, struct http1, conn.node);
    request_stream_add(&http1->request)->failed = true;
    answer(bench, 0);
    bench_settle(bench);
    peer_expect(bench, &peer, ".");
    peer_join(bench, &stream);
    http1 = container_of(bench->worker.connections.prev, struct http1, conn.node);
    request_stream_add(&http1->request)->failed = true;
    peer_say(bench, &stream, GET_STREAM);
    peer_expect(bench, &stream, ".");
    peer_leave(bench, &peer);
    peer_leave(bench, &stream);
}

#define WITH_BENCH(test) cmocka_unit_test_setup_teardown(test, begin, end)

static const struct CMUnitTest tests[] = {
    WITH_BENCH(pipelined_publishes_are_answered_in_the_order_of_the_requests),
    WITH_BENCH(a_get_behind_unanswered_publishes_waits_for_them),
    WITH_BENCH(a_publish_behind_an_unanswered_get_waits_for_it),
    WITH_BENCH(a_publish_behind_a_stream_stays_unread),
    WITH_BENCH(publishes_in_flight_are_at_most_so_many),
    WITH_BENCH(head_is_answered_without_the_body),
    WITH_BENCH(head_is_refused_without_a_body_too),
    WITH_BENCH(a_peer_that_is_done_sending_gets_the_answers_that_are_due),
    WITH_BENCH(a_peer_that_is_done_sending_gets_answers_to_what_was_not_looked_at_yet),
    WITH_BENCH(nothing_is_read_behind_a_request_that_closes),
    WITH_BENCH(an_unreadable_request_is_refused_once_behind_the_due_answers),
    WITH_BENCH(an_http_2_preface_behind_a_publish_is_refused_behind_its_answer),
    WITH_BENCH(a_connection_that_closes_drops_what_is_under_way),
    WITH_BENCH(a_parked_request_whose_client_has_gone_holds_nothing),
    WITH_BENCH(a_parked_request_that_was_answered_late_holds_nothing),
    WITH_BENCH(an_http_1_0_connection_ends_with_its_answer),
    WITH_BENCH(an_http_1_0_connection_is_kept_when_asked_for),
    WITH_BENCH(an_http_1_0_stream_is_delimited_by_the_close),
    WITH_BENCH(a_body_is_asked_for_when_the_client_waits_to_be),
    WITH_BENCH(a_body_is_asked_for_only_after_the_answers_that_are_due),
    WITH_BENCH(a_body_that_is_too_large_is_refused_before_it_is_asked_for),
    WITH_BENCH(bodies_may_come_byte_by_byte),
    WITH_BENCH(a_head_that_trickles_in_is_refused_in_time),
    WITH_BENCH(a_head_that_trickles_in_behind_a_publish_is_refused_in_time),
    WITH_BENCH(a_body_that_trickles_in_is_refused_in_time),
    WITH_BENCH(an_idle_connection_is_closed_without_a_word),
    WITH_BENCH(a_peer_that_does_not_read_its_answer_is_closed),
    WITH_BENCH(a_peer_that_reads_its_answer_slowly_gets_all_of_it),
    WITH_BENCH(a_read_behind_an_answer_that_is_not_read_waits_no_longer_than_the_answer),
    WITH_BENCH(reads_behind_a_large_answer_begin_when_it_is_sent),
    WITH_BENCH(a_peer_that_does_not_read_its_answer_is_closed_though_it_goes_on_publishing),
    WITH_BENCH(a_read_behind_an_answer_that_takes_long_is_answered),
    WITH_BENCH(frames_that_came_while_the_handshake_waited_are_read),
    WITH_BENCH(the_end_of_a_peer_that_came_while_its_stream_waited_is_noticed),
    WITH_BENCH(many_frames_right_behind_the_handshake_are_all_read),
    WITH_BENCH(a_publish_that_is_not_safe_in_time_has_an_unknown_fate),
    WITH_BENCH(an_answer_that_has_a_deadline_of_its_own_is_waited_for),
    WITH_BENCH(the_deadline_of_a_publish_holds_while_more_trickles_in),
    WITH_BENCH(the_json_of_a_large_body_is_checked_in_pieces),
    WITH_BENCH(others_are_answered_while_a_large_body_is_checked),
    WITH_BENCH(a_check_of_a_large_body_does_not_hold_up_other_reads),
    WITH_BENCH(a_flood_of_frames_holds_up_nobody_and_is_read_to_its_end),
    WITH_BENCH(a_flood_of_requests_holds_up_nobody_and_is_answered_in_order),
    WITH_BENCH(bytes_that_were_put_off_outlive_the_half_close_of_their_peer),
    WITH_BENCH(time_for_which_a_request_was_put_off_is_not_its_peers),
    WITH_BENCH(a_request_that_was_put_off_may_become_a_stream_or_a_websocket),
    WITH_BENCH(a_connection_that_is_put_off_may_go),
    WITH_BENCH(bytes_behind_a_final_refusal_are_thrown_away_in_turns),
    WITH_BENCH(connections_beyond_the_budget_of_a_turn_are_read_in_the_next),
    WITH_BENCH(a_drain_is_seen_in_the_midst_of_a_flood),
    WITH_BENCH(publishers_wait_while_the_log_is_behind),
    WITH_BENCH(reads_do_not_wait_while_the_log_is_behind),
    WITH_BENCH(a_publisher_that_has_waited_too_long_is_told_to_come_back),
    WITH_BENCH(the_largest_rest_is_closed_when_all_together_are_too_large),
    WITH_BENCH(answers_that_are_not_read_count_as_rests),
    WITH_BENCH(a_rest_takes_no_more_memory_than_it_has_bytes),
    WITH_BENCH(slow_peers_of_a_large_event_hold_it_once_and_get_all_of_it),
    WITH_BENCH(slow_peers_of_a_large_event_leave_in_any_order),
    WITH_BENCH(connections_that_share_a_large_event_are_closed_last),
    WITH_BENCH(a_peer_that_pipelines_and_does_not_read_is_not_read_on),
    WITH_BENCH(unfinished_bodies_are_refused_beyond_what_may_be_held),
    WITH_BENCH(answers_that_wait_for_an_earlier_one_hold_little_memory),
    WITH_BENCH(a_drain_closes_what_is_idle_at_once),
    WITH_BENCH(a_drain_tells_a_few_connections_a_turn_and_all_in_the_end),
    WITH_BENCH(a_drain_gives_way_when_its_time_is_over),
    WITH_BENCH(a_drain_answers_a_request_that_has_begun_and_then_closes),
    WITH_BENCH(a_drain_answers_the_publishes_that_are_under_way_and_then_closes),
    WITH_BENCH(a_request_that_came_before_the_drain_is_answered),
    WITH_BENCH(a_request_that_is_being_read_when_the_drain_comes_is_answered),
    WITH_BENCH(a_request_that_was_kept_before_the_drain_is_answered),
    WITH_BENCH(a_drain_sends_an_answer_to_its_end_and_then_closes),
    WITH_BENCH(a_drain_ends_streams_within_its_time),
    WITH_BENCH(a_stream_that_hears_late_of_the_drain_still_gets_its_goodbye_in_time),
    WITH_BENCH(a_turn_tells_all_that_are_left_once_the_time_of_the_drain_is_over),
    WITH_BENCH(a_turn_that_outlasts_the_drain_costs_no_stream_its_goodbye),
    WITH_BENCH(a_stream_is_sent_away_until_the_server_has_ended),
    WITH_BENCH(a_drain_ends_a_long_poll_with_an_empty_page_and_closes),
    WITH_BENCH(a_drain_ends_reads_that_begin_only_now),
    WITH_BENCH(a_connection_too_many_is_told_to_come_back),
    WITH_BENCH(connections_over_the_limit_are_heard_only_up_to_a_share),
    cmocka_unit_test(every_allocation_may_fail),
    WITH_BENCH(an_answer_that_lost_memory_closes_its_connection),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
