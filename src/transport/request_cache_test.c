#include "transport/testing.h"

#include <stdio.h>

#define POLL "GET /poll?after=1 HTTP/1.1\r\nHost: x\r\n\r\n"

static int begin(void **state)
{
    struct bench *bench = bench_new();
    bench_begin(bench);
    bench_append(bench, STR("old"));
    bench_settle(bench);
    bench->reading.from = (struct position){.kind = POSITION_CURSOR, .id = log_newest(bench->log)};
    bench->reading.wait_s = 25;
    *state = bench;
    return 0;
}

static int end(void **state)
{
    bench_free(*state);
    return 0;
}

static void join_and_say(struct bench *bench, struct peer *peer, const char *request)
{
    peer_join(bench, peer);
    peer_say(bench, peer, request);
}

static void a_head_that_is_repeated_is_not_read_again(void **state)
{
    struct bench *bench = *state;
    struct peer peers[3];
    for (int i = 0; i < 3; i++)
        join_and_say(bench, &peers[i], POLL);
    assert_int_equal(bench->handled, 1);
    assert_int_equal(bench->worker.stats.requests, 3);
    bench_append(bench, STR("new"));
    bench_settle(bench);
    for (int i = 0; i < 3; i++) {
        peer_expect(bench, &peers[i], "200");
        assert_int_equal(peer_count(&peers[i], "\"data\":\"new\""), 1);
        assert_int_equal(peer_count(&peers[i], "\"data\":\"old\""), 0);
    }
    for (int i = 0; i < 3; i++)
        peer_leave(bench, &peers[i]);
}

/* The cache knows how to read a head. The handler decides about each request anew. */
static void a_known_head_is_answered_by_the_handler(void **state)
{
    struct bench *bench = *state;
    struct peer first, second;
    join_and_say(bench, &first, POLL);
    bench->refuses_known = true;
    join_and_say(bench, &second, POLL);
    assert_int_equal(bench->known, 1);
    peer_expect(bench, &second, "403");
    bench_append(bench, STR("new"));
    bench_settle(bench);
    peer_expect(bench, &first, "200");
    peer_leave(bench, &first);
    peer_leave(bench, &second);
}

static void tickets_are_shared(struct worker_tickets *tickets)
{
    tickets->done = NULL;
}

/* Every few hours tickets of TLS get other keys. A change of settings would forget all heads, and
 * look at all streams. */
static void other_keys_of_tickets_change_nothing_else(void **state)
{
    struct bench *bench = *state;
    struct peer first, second;
    const struct tls_tickets keys = {.count = 0};
    struct worker_tickets tickets = {.keys = &keys, .done = tickets_are_shared};
    join_and_say(bench, &first, POLL);
    worker_share_tickets(&bench->worker, &tickets);
    bench_settle(bench);
    assert_null(tickets.done);
    join_and_say(bench, &second, POLL);
    assert_int_equal(bench->known, 1);
    peer_leave(bench, &first);
    peer_leave(bench, &second);
}

static void a_late_repetition_gets_the_events_that_came_meanwhile(void **state)
{
    struct bench *bench = *state;
    struct peer first, late;
    join_and_say(bench, &first, POLL);
    bench_append(bench, STR("new"));
    bench_settle(bench);
    join_and_say(bench, &late, POLL);
    assert_int_equal(bench->handled, 1);
    peer_expect(bench, &late, "200");
    assert_int_equal(peer_count(&late, "\"data\":\"new\""), 1);
    peer_leave(bench, &first);
    peer_leave(bench, &late);
}

static void a_head_that_differs_in_a_byte_is_read(void **state)
{
    struct bench *bench = *state;
    static const char *const others[] = {
        "HEAD /poll?after=1 HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /poll?after=2 HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /poll?after=1&limit=1 HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /%70oll?after=1 HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /poll?after=1 HTTP/1.0\r\nHost: x\r\n\r\n",
        "GET /poll?after=1 HTTP/1.1\r\nHost: x\r\nOrigin: http://localhost\r\n\r\n",
        "GET /poll?after=1 HTTP/1.1\r\nHost: x\r\nPrefer: wait=5\r\n\r\n",
        "GET /poll?after=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "GET /poll?after=1 HTTP/1.1\r\nHost: y\r\n\r\n",
    };
    struct peer peer;
    join_and_say(bench, &peer, POLL);
    peer_leave(bench, &peer);
    for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        join_and_say(bench, &peer, others[i]);
        assert_int_equal(bench->handled, i + 2);
        peer_leave(bench, &peer);
    }
}

static void method_version_and_origin_are_repeated_with_the_request(void **state)
{
    struct bench *bench = *state;
    static const char request[] = "HEAD /poll?after=1 HTTP/1.0\r\nConnection: keep-alive\r\n"
                                  "Origin: http://localhost\r\n\r\n";
    struct peer first, again;
    join_and_say(bench, &first, request);
    join_and_say(bench, &again, request);
    assert_int_equal(bench->handled, 1);
    bench_append(bench, STR("new"));
    bench_settle(bench);
    peer_expect(bench, &first, "200");
    peer_expect(bench, &again, "200");
    assert_true(str_eq(buf_str(&first.got), buf_str(&again.got)));
    assert_false(peer_has(&again, "\"data\""));
    assert_true(peer_has(&again, "Connection: keep-alive\r\n"));
    assert_true(peer_has(&again, "Access-Control-Allow-Origin: http://localhost\r\n"));
    peer_leave(bench, &first);
    peer_leave(bench, &again);
}

static void a_last_request_that_is_repeated_closes_its_connection(void **state)
{
    struct bench *bench = *state;
    static const char request[] =
        "GET /poll?after=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    struct peer first, again;
    join_and_say(bench, &first, request);
    join_and_say(bench, &again, request);
    bench_append(bench, STR("new"));
    bench_settle(bench);
    peer_expect(bench, &first, "200.");
    peer_expect(bench, &again, "200.");
    assert_int_equal(bench->handled, 1);
    peer_leave(bench, &first);
    peer_leave(bench, &again);
}

static void repeats_wait_for_what_is_in_front_of_them(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    join_and_say(bench, &peer,
                 POLL POLL "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2"
                           "\r\n\r\nhi");
    assert_int_equal(bench->handled, 1);
    bench_append(bench, STR("new"));
    bench_settle(bench);
    peer_expect(bench, &peer, "200 200 200");
    assert_int_equal(peer_count(&peer, "\"data\":\"new\""), 2);
    assert_int_equal(peer_count(&peer, "\r\n\r\nhi"), 1);
    peer_leave(bench, &peer);
}

static void a_repeat_that_comes_in_pieces_is_whole_all_the_same(void **state)
{
    struct bench *bench = *state;
    struct peer first, slow;
    join_and_say(bench, &first, POLL);
    peer_join(bench, &slow);
    for (size_t i = 0; i < sizeof(POLL) - 1; i++) {
        peer_send(&slow, (struct str){&POLL[i], 1});
        bench_settle(bench);
    }
    bench_append(bench, STR("new"));
    bench_settle(bench);
    peer_expect(bench, &slow, "200");
    peer_leave(bench, &first);
    peer_leave(bench, &slow);
}

static void a_cursor_ahead_of_the_log_is_refused_each_time(void **state)
{
    struct bench *bench = *state;
    struct peer first, again, then;
    bench->reading.from.id++;
    join_and_say(bench, &first, POLL);
    join_and_say(bench, &again, POLL);
    peer_expect(bench, &first, "410");
    peer_expect(bench, &again, "410");
    bench_append(bench, STR("second"));
    bench_append(bench, STR("third"));
    bench_settle(bench);
    join_and_say(bench, &then, POLL);
    peer_expect(bench, &then, "200");
    assert_int_equal(bench->handled, 1);
    peer_leave(bench, &first);
    peer_leave(bench, &again);
    peer_leave(bench, &then);
}

static void expect_each_to_be_read(struct bench *bench, const char *request)
{
    struct peer peer;
    for (unsigned i = 1; i <= 2; i++) {
        join_and_say(bench, &peer, request);
        assert_int_equal(bench->handled, i);
        peer_leave(bench, &peer);
    }
}

static void a_request_with_what_might_be_a_secret_is_not_kept(void **state)
{
    struct bench *bench = *state;
    static const char *const requests[] = {
        "GET /poll?after=1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer t\r\n\r\n",
        "GET /poll?after=1 HTTP/1.1\r\nHost: x\r\nCookie: session=t\r\n\r\n",
        "GET /poll?after=1 HTTP/1.1\r\nHost: x\r\nX-Api-Key: t\r\n\r\n",
        "GET /poll?after=1&token=t HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /poll?%74oken=t&after=1 HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /poll?after=1&api_key=t HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /poll?after=1 HTTP/1.1\r\nHost: x\r\nReferer: http://y/?t\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        bench->handled = 0;
        expect_each_to_be_read(bench, requests[i]);
    }
}

static void a_head_of_harmless_fields_is_kept(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    for (int i = 0; i < 2; i++) {
        join_and_say(bench, &peer,
                     "GET /poll?channel=a&type=b&after=1&wait=25&limit=10&format=data HTTP/1.1\r\n"
                     "Host: x\r\nConnection: keep-alive\r\n"
                     "sec-ch-ua: \"Chromium\"\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\n"
                     "Origin: http://localhost\r\nSec-Fetch-Site: cross-site\r\n"
                     "Accept-Encoding: gzip\r\nAccept-Language: en\r\n\r\n");
        peer_leave(bench, &peer);
    }
    assert_int_equal(bench->handled, 1);
}

static void a_request_with_a_body_is_not_kept(void **state)
{
    expect_each_to_be_read(*state,
                           "GET /poll?after=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx");
}

static void a_read_without_a_cursor_is_not_kept(void **state)
{
    struct bench *bench = *state;
    bench->reading.from = (struct position){.kind = POSITION_LAST, .last = 1};
    expect_each_to_be_read(bench, POLL);
}

static void a_read_backwards_is_not_kept(void **state)
{
    struct bench *bench = *state;
    bench->reading.has_before = true;
    bench->reading.wait_s = 0;
    expect_each_to_be_read(bench, POLL);
}

static void many_different_heads_push_each_other_out(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    for (unsigned i = 0; i < 2 * (KNOWN_REQUESTS + 1); i++) {
        char request[64];
        (void)snprintf(request, sizeof(request), "GET /poll?after=%u HTTP/1.1\r\nHost: x\r\n\r\n",
                       i % (KNOWN_REQUESTS + 1));
        join_and_say(bench, &peer, request);
        assert_int_equal(bench->handled, i + 1);
        peer_leave(bench, &peer);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_head_that_is_repeated_is_not_read_again),
        CASE(a_known_head_is_answered_by_the_handler),
        CASE(other_keys_of_tickets_change_nothing_else),
        CASE(a_late_repetition_gets_the_events_that_came_meanwhile),
        CASE(a_head_that_differs_in_a_byte_is_read),
        CASE(method_version_and_origin_are_repeated_with_the_request),
        CASE(a_last_request_that_is_repeated_closes_its_connection),
        CASE(repeats_wait_for_what_is_in_front_of_them),
        CASE(a_repeat_that_comes_in_pieces_is_whole_all_the_same),
        CASE(a_cursor_ahead_of_the_log_is_refused_each_time),
        CASE(a_request_with_what_might_be_a_secret_is_not_kept),
        CASE(a_head_of_harmless_fields_is_kept),
        CASE(a_request_with_a_body_is_not_kept),
        CASE(a_read_without_a_cursor_is_not_kept),
        CASE(a_read_backwards_is_not_kept),
        CASE(many_different_heads_push_each_other_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
