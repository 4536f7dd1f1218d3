/* When a page is sent: at once, after a wait, or at the pace that polls are held to while the
 * worker is busy. */
#include "transport/testing.h"

#include <time.h>

#define GET_POLL "GET /page HTTP/1.1\r\nHost: x\r\n\r\n"

enum { PACE_MS = 20 };

static int begin_at_pace(void **state, int64_t pace_ms)
{
    struct bench *bench = bench_new();
    bench->reading.from = (struct position){.kind = POSITION_NOW};
    bench->reading.wait_s = 25;
    bench->limits.poll_pace_ms = pace_ms;
    bench_begin(bench);
    bench->worker.loop.load = LOAD_FULL;
    *state = bench;
    return 0;
}

static int begin(void **state)
{
    return begin_at_pace(state, PACE_MS);
}

static int begin_without(void **state)
{
    return begin_at_pace(state, 0);
}

static int end(void **state)
{
    bench_free(*state);
    return 0;
}

static void publish(struct bench *bench, const char *data)
{
    bench_append(bench, str_from(data));
    bench_settle(bench);
}

/* Less than a tick of the wheel: no timer rings. */
static void pass(struct bench *bench, int64_t ms)
{
    clock_fake_advance(&bench->clock, ms * 1000);
    bench_settle(bench);
}

/* Joins, polls, gets `first` and polls again. */
static void poll_once(struct bench *bench, struct peer *peer)
{
    peer_join(bench, peer);
    peer_say(bench, peer, GET_POLL);
    publish(bench, "first");
    peer_expect(bench, peer, "200");
    assert_true(peer_has(peer, "\"data\":\"first\""));
    buf_clear(&peer->got);
    peer_say(bench, peer, GET_POLL);
}

static void the_first_poll_of_a_connection_is_answered_at_once(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    poll_once(bench, &peer);
    peer_leave(bench, &peer);
}

static void a_poll_that_follows_at_once_gets_all_new_events_at_the_pace(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    poll_once(bench, &peer);
    pass(bench, 5);
    publish(bench, "second");
    pass(bench, PACE_MS - 6);
    publish(bench, "third");
    peer_expect(bench, &peer, "");
    pass(bench, 1);
    peer_expect(bench, &peer, "200");
    assert_true(peer_has(&peer, "\"data\":\"second\""));
    assert_true(peer_has(&peer, "\"data\":\"third\""));
    peer_leave(bench, &peer);
}

static void the_time_an_answer_is_held_counts_as_latency(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    struct hist *latency = &bench->worker.stats.latency_ns;
    poll_once(bench, &peer);
    publish(bench, "second");
    pass(bench, PACE_MS - 2);
    publish(bench, "third");
    publish(bench, "fourth");
    assert_int_equal(latency->count, 1);
    assert_int_equal(latency->max, 0);
    pass(bench, 2);
    peer_expect(bench, &peer, "200");
    assert_int_equal(latency->count, 4);
    assert_int_equal(latency->max, PACE_MS * 1000000);
    assert_in_range(hist_quantile(latency, 0.5), 1700000, 2300000);
    peer_leave(bench, &peer);
}

static void the_latency_of_every_held_event_counts_from_its_publish(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    struct hist *latency = &bench->worker.stats.latency_ns;
    poll_once(bench, &peer);
    for (int i = 1; i < PACE_MS; i++) {
        publish(bench, "more");
        pass(bench, 1);
    }
    pass(bench, 1);
    peer_expect(bench, &peer, "200");
    assert_int_equal(latency->count, PACE_MS);
    assert_int_equal(latency->max, PACE_MS * 1000000);
    assert_in_range(hist_quantile(latency, 0.5), PACE_MS / 2 * 1000000, PACE_MS * 1000000);
    peer_leave(bench, &peer);
}

static void an_ephemeral_event_is_held_with_the_rest(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    poll_once(bench, &peer);
    publish(bench, "second");
    bench_append_as(bench, STR("passing"), EVENT_EPHEMERAL);
    bench_settle(bench);
    peer_expect(bench, &peer, "");
    pass(bench, PACE_MS);
    peer_expect(bench, &peer, "200");
    assert_true(peer_has(&peer, "\"data\":\"second\""));
    assert_true(peer_has(&peer, "\"data\":\"passing\""));
    peer_leave(bench, &peer);
}

static void without_a_pace_a_poll_is_answered_at_once(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    poll_once(bench, &peer);
    publish(bench, "second");
    peer_expect(bench, &peer, "200");
    peer_leave(bench, &peer);
}

static void a_worker_with_time_to_spare_answers_at_once(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    bench->worker.loop.load = LOAD_FULL / 8;
    poll_once(bench, &peer);
    publish(bench, "second");
    peer_expect(bench, &peer, "200");
    peer_leave(bench, &peer);
}

static void a_busier_worker_holds_answers_longer(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    bench->worker.loop.load = LOAD_FULL * 3 / 16;
    poll_once(bench, &peer);
    publish(bench, "second");
    pass(bench, PACE_MS / 2 - 1);
    peer_expect(bench, &peer, "");
    pass(bench, 1);
    peer_expect(bench, &peer, "200");
    peer_leave(bench, &peer);
}

static void an_event_later_than_the_pace_is_not_held(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    poll_once(bench, &peer);
    pass(bench, PACE_MS);
    peer_expect(bench, &peer, "");
    publish(bench, "second");
    peer_expect(bench, &peer, "200");
    peer_leave(bench, &peer);
}

static void an_event_older_than_its_poll_is_held_as_well(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    poll_once(bench, &peer);
    pass(bench, PACE_MS);
    publish(bench, "second");
    peer_expect(bench, &peer, "200");
    buf_clear(&peer.got);
    bench->reading.from = (struct position){.kind = POSITION_EARLIEST};
    peer_say(bench, &peer, GET_POLL);
    peer_expect(bench, &peer, "");
    pass(bench, PACE_MS);
    peer_expect(bench, &peer, "200");
    assert_true(peer_has(&peer, "\"data\":\"second\""));
    assert_int_equal(bench->worker.stats.latency_ns.count, 4);
    assert_int_equal(bench->worker.stats.latency_ns.max, PACE_MS * 1000000);
    peer_leave(bench, &peer);
}

static void a_page_that_is_due_is_work_for_the_worker(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    poll_once(bench, &peer);
    publish(bench, "second");
    pass(bench, PACE_MS - 1);
    clock_fake_advance(&bench->clock, 1000);
    bench->worker.loop.spin_ns = INT64_MAX; /* no turn waits */
    worker_step(&bench->worker, 1000);
    assert_int_equal(bench->worker.loop.busy_ns, bench->worker.loop.now_ns);
    peer_expect(bench, &peer, "200");
    peer_leave(bench, &peer);
}

static void an_event_after_an_empty_answer_is_not_held(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join(bench, &peer);
    peer_say(bench, &peer, GET_POLL);
    bench_pass(bench, 25000);
    peer_expect(bench, &peer, "200");
    assert_true(peer_has(&peer, "\"events\":[]"));
    buf_clear(&peer.got);
    peer_say(bench, &peer, GET_POLL);
    publish(bench, "first");
    peer_expect(bench, &peer, "200");
    peer_leave(bench, &peer);
}

static void a_full_page_is_not_held(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    bench->reading.limit = 2;
    poll_once(bench, &peer);
    publish(bench, "second");
    peer_expect(bench, &peer, "");
    publish(bench, "third");
    peer_expect(bench, &peer, "200");
    assert_true(peer_has(&peer, "\"data\":\"third\""));
    peer_leave(bench, &peer);
}

static void a_page_that_does_not_wait_is_not_held(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    bench->reading.wait_s = 0;
    bench->reading.from = (struct position){.kind = POSITION_EARLIEST};
    publish(bench, "first");
    peer_join(bench, &peer);
    for (int i = 0; i < 2; i++) {
        peer_say(bench, &peer, GET_POLL);
        peer_expect(bench, &peer, "200");
        buf_clear(&peer.got);
    }
    peer_leave(bench, &peer);
}

static void a_large_page_is_not_held(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    char data[20000];
    memset(data, 'x', sizeof(data));
    poll_once(bench, &peer);
    bench_append(bench, (struct str){data, sizeof(data)});
    bench_settle(bench);
    peer_expect(bench, &peer, "200");
    peer_leave(bench, &peer);
}

/* `second` was answered 10 ms before `first`, and waits behind it: it is due, but not first. */
static void hold_two(struct bench *bench, struct peer *first, struct peer *second)
{
    peer_join(bench, second);
    peer_say(bench, second, GET_POLL);
    publish(bench, "one");
    peer_expect(bench, second, "200");
    pass(bench, 10);
    poll_once(bench, first);
    peer_say(bench, second, GET_POLL);
    publish(bench, "two");
    buf_clear(&second->got);
    pass(bench, PACE_MS - 9);
    peer_expect(bench, first, "");
    peer_expect(bench, second, "");
}

static void no_event_is_held_longer_than_the_pace(void **state)
{
    struct bench *bench = *state;
    struct peer first, second;
    hold_two(bench, &first, &second);
    pass(bench, 9);
    peer_expect(bench, &first, "200");
    peer_expect(bench, &second, "200");
    peer_leave(bench, &first);
    peer_leave(bench, &second);
}

static void a_due_poll_is_answered_although_the_poll_before_it_is_gone(void **state)
{
    struct bench *bench = *state;
    struct peer first, second;
    struct timespec began, ended;
    hold_two(bench, &first, &second);
    conn_close(container_of(bench->worker.connections.prev, struct conn, node));
    worker_step(&bench->worker, 0);
    clock_gettime(CLOCK_MONOTONIC, &began);
    worker_step(&bench->worker, 20000); /* with an answer to send, it does not wait */
    clock_gettime(CLOCK_MONOTONIC, &ended);
    assert_true(ended.tv_sec - began.tv_sec < 15);
    peer_expect(bench, &second, "200");
    peer_leave(bench, &first);
    peer_leave(bench, &second);
}

/* The bytes of a page that is not answered yet belong to its own connection. */
static void a_page_being_sent_is_given_up_for_its_memory(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    static char text[8192];
    memset(text, 'x', sizeof(text));
    poll_once(bench, &peer);
    bench_append(bench, (struct str){text, sizeof(text)});
    bench_settle(bench);
    assert_false(list_empty(&bench->worker.pace.held));
    struct holding *largest = holdings_largest(&bench->worker.holdings, ACCOUNT_ANSWERS);
    assert_non_null(largest);
    assert_true(largest->bytes >= sizeof(text));
    request_stream_shed(largest->request, largest);
    bench_settle(bench);
    assert_true(list_empty(&bench->worker.pace.held));
    assert_int_equal(account_held(&bench->worker.account, ACCOUNT_ANSWERS), 0);
    peer_leave(bench, &peer);
}

static void a_client_that_hangs_up_while_its_poll_is_held_is_forgotten(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    poll_once(bench, &peer);
    publish(bench, "second");
    assert_false(list_empty(&bench->worker.pace.held));
    peer_leave(bench, &peer);
    bench_settle(bench);
    list_each (&bench->worker.connections, node)
        conn_close(container_of(node, struct conn, node));
    bench_settle(bench);
    assert_true(list_empty(&bench->worker.pace.held));
    pass(bench, PACE_MS);
}

static void a_half_closed_client_gets_the_events_held_for_it(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    poll_once(bench, &peer);
    publish(bench, "second");
    shutdown(peer.fd, SHUT_WR);
    bench_settle(bench);
    peer_expect(bench, &peer, "");
    pass(bench, PACE_MS);
    peer_expect(bench, &peer, "200.");
    assert_true(peer_has(&peer, "\"data\":\"second\""));
    peer_leave(bench, &peer);
}

static void a_half_closed_client_is_answered_without_waiting(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    poll_once(bench, &peer);
    shutdown(peer.fd, SHUT_WR);
    bench_settle(bench);
    peer_expect(bench, &peer, "200.");
    assert_true(peer_has(&peer, "\"events\":[]"));
    peer_leave(bench, &peer);
}

/* The peer ended its input during the search for the start. */
static void a_client_that_half_closed_before_it_waits_is_answered(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    bench->reading.from = (struct position){.kind = POSITION_LAST, .last = 1};
    peer_join(bench, &peer);
    peer_send(&peer, STR(GET_POLL));
    shutdown(peer.fd, SHUT_WR);
    bench_settle(bench);
    peer_expect(bench, &peer, "200.");
    assert_true(peer_has(&peer, "\"events\":[]"));
    peer_leave(bench, &peer);
}

static int64_t due_ms(struct bench *bench)
{
    struct worker *worker = &bench->worker;
    return pace_due(&worker->pace, &worker->hub.window, worker->config.clock);
}

/* The turn before may have begun before the page was due. */
static void a_poll_that_became_due_during_a_turn_needs_no_further_turn(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    poll_once(bench, &peer);
    publish(bench, "second");
    pass(bench, PACE_MS - 2);
    assert_int_equal(due_ms(bench), 2);
    clock_fake_advance(&bench->clock, 2000);
    assert_int_equal(due_ms(bench), -1);
    bench_settle(bench);
    peer_expect(bench, &peer, "200");
    peer_leave(bench, &peer);
}

static void a_deletion_meanwhile_ends_the_hold(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    poll_once(bench, &peer);
    publish(bench, "second");
    peer_expect(bench, &peer, "");
    bench_trim(bench);
    bench_settle(bench);
    peer_expect(bench, &peer, "200");
    buf_clear(&peer.got);
    peer_say(bench, &peer, GET_POLL);
    publish(bench, "third");
    peer_expect(bench, &peer, "");
    peer_leave(bench, &peer);
}

static void a_trim_of_older_events_does_not_end_the_hold(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    bench->reading.from = (struct position){.kind = POSITION_NOW};
    poll_once(bench, &peer);
    publish(bench, "second");
    bench->worker.hub.window.trims++; /* done by a TRIM entry for an older event */
    bench_settle(bench);
    peer_expect(bench, &peer, "");
    pass(bench, PACE_MS);
    peer_expect(bench, &peer, "200");
    peer_leave(bench, &peer);
}

static void the_second_of_two_polls_in_one_packet_is_held_like_one_that_follows(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join(bench, &peer);
    peer_say(bench, &peer, GET_POLL GET_POLL);
    publish(bench, "first");
    peer_expect(bench, &peer, "200");
    publish(bench, "second");
    peer_expect(bench, &peer, "200");
    pass(bench, PACE_MS);
    peer_expect(bench, &peer, "200 200");
    assert_int_equal(peer_count(&peer, "\"data\":\"first\""), 1);
    assert_int_equal(peer_count(&peer, "\"data\":\"second\""), 1);
    peer_leave(bench, &peer);
}

static void a_last_poll_is_answered_at_the_pace_before_the_connection_ends(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join(bench, &peer);
    peer_say(bench, &peer, GET_POLL);
    publish(bench, "first");
    peer_expect(bench, &peer, "200");
    buf_clear(&peer.got);
    peer_say(bench, &peer, "GET /page HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    publish(bench, "second");
    peer_expect(bench, &peer, "");
    pass(bench, PACE_MS);
    peer_expect(bench, &peer, "200.");
    assert_true(peer_has(&peer, "\"data\":\"second\""));
    peer_leave(bench, &peer);
}

static void a_drain_does_not_wait_for_the_pace(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    poll_once(bench, &peer);
    publish(bench, "second");
    list_each (&bench->worker.connections, node)
        http1_drain(container_of(node, struct http1, conn.node), 0);
    bench_pass(bench, 0);
    peer_expect(bench, &peer, "200.");
    assert_true(peer_has(&peer, "\"data\":\"second\""));
    assert_true(list_empty(&bench->worker.pace.held));
    peer_leave(bench, &peer);
}

int main(void)
{
#define AT_PACE(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        AT_PACE(the_first_poll_of_a_connection_is_answered_at_once),
        AT_PACE(a_poll_that_follows_at_once_gets_all_new_events_at_the_pace),
        AT_PACE(the_time_an_answer_is_held_counts_as_latency),
        AT_PACE(the_latency_of_every_held_event_counts_from_its_publish),
        AT_PACE(an_ephemeral_event_is_held_with_the_rest),
        cmocka_unit_test_setup_teardown(without_a_pace_a_poll_is_answered_at_once, begin_without,
                                        end),
        AT_PACE(a_worker_with_time_to_spare_answers_at_once),
        AT_PACE(a_busier_worker_holds_answers_longer),
        AT_PACE(an_event_later_than_the_pace_is_not_held),
        AT_PACE(an_event_older_than_its_poll_is_held_as_well),
        AT_PACE(a_page_that_is_due_is_work_for_the_worker),
        AT_PACE(an_event_after_an_empty_answer_is_not_held),
        AT_PACE(a_full_page_is_not_held),
        AT_PACE(a_page_that_does_not_wait_is_not_held),
        AT_PACE(a_large_page_is_not_held),
        AT_PACE(no_event_is_held_longer_than_the_pace),
        AT_PACE(a_due_poll_is_answered_although_the_poll_before_it_is_gone),
        AT_PACE(a_page_being_sent_is_given_up_for_its_memory),
        AT_PACE(a_client_that_hangs_up_while_its_poll_is_held_is_forgotten),
        AT_PACE(a_half_closed_client_gets_the_events_held_for_it),
        AT_PACE(a_half_closed_client_is_answered_without_waiting),
        AT_PACE(a_client_that_half_closed_before_it_waits_is_answered),
        AT_PACE(a_poll_that_became_due_during_a_turn_needs_no_further_turn),
        AT_PACE(a_deletion_meanwhile_ends_the_hold),
        AT_PACE(a_trim_of_older_events_does_not_end_the_hold),
        AT_PACE(the_second_of_two_polls_in_one_packet_is_held_like_one_that_follows),
        AT_PACE(a_last_poll_is_answered_at_the_pace_before_the_connection_ends),
        AT_PACE(a_drain_does_not_wait_for_the_pace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
