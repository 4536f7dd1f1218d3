#include "transport/review.h"

#include "transport/http2_testing.h"

static int begin(void **state)
{
    struct bench *bench = bench_new();
    bench_begin(bench);
    bench->reading.from.kind = POSITION_NOW;
    *state = bench;
    return 0;
}

static int end(void **state)
{
    struct bench *bench = *state;
    bench_settle(bench);
    bench_free(bench);
    return 0;
}

static void join(struct bench *bench, struct peer *peer)
{
    peer_join(bench, peer);
    peer_say(bench, peer, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    bench_settle(bench);
    peer_hear(bench, peer);
    assert_true(peer_has(peer, "HTTP/1.1 200"));
}

static void a_stream_ends_that_the_rules_allow_no_more(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    join(bench, &peer);
    review_begin(&bench->worker);
    bench_settle(bench);
    peer_hear(bench, &peer);
    assert_false(peer.ended);
    bench->worker.config.rules = &rules_none;
    review_begin(&bench->worker);
    bench_settle(bench);
    peer_hear(bench, &peer);
    assert_true(peer.ended);
    assert_true(peer_has(&peer, "\"reason\":\"rules\""));
    peer_leave(bench, &peer);
}

static void a_review_gives_way_when_its_time_is_over(void **state)
{
    enum { PEERS = 3 };
    struct bench *bench = *state;
    struct peer peers[PEERS];
    for (int i = 0; i < PEERS; i++)
        join(bench, &peers[i]);
    bench->worker.config.rules = &rules_none;
    review_begin(&bench->worker);
    bench_hurry(bench);
    for (int i = 0; i < PEERS; i++) {
        assert_true(review_is_busy(&bench->worker));
        review_some(&bench->worker);
    }
    bench_rest(bench);
    assert_false(review_is_busy(&bench->worker));
    bench_settle(bench);
    for (int i = 0; i < PEERS; i++) {
        peer_hear(bench, &peers[i]);
        assert_true(peers[i].ended);
        peer_leave(bench, &peers[i]);
    }
}

/* The stream would have a minute to end by itself. */
static void a_drain_leaves_a_review_that_is_under_way_to_its_end(void **state)
{
    enum { DRAIN_MS = 60000, PEERS = 3 };
    struct bench *bench = *state;
    struct peer peers[PEERS];
    for (int i = 0; i < PEERS; i++)
        join(bench, &peers[i]);
    bench->worker.config.limits.drain_ms = DRAIN_MS;
    bench->worker.config.rules = &rules_none;
    review_begin(&bench->worker);
    worker_drain(&bench->worker);
    (void)mailbox_empty(&bench->worker.loop.mailbox);
    bench_settle(bench);
    for (int i = 0; i < PEERS; i++) {
        peer_hear(bench, &peers[i]);
        assert_true(peers[i].ended);
        peer_leave(bench, &peers[i]);
    }
    assert_false(review_is_busy(&bench->worker));
}

static void a_drain_reaches_connections_that_a_review_lets_go_on(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    join(bench, &peer);
    bench->worker.config.limits.drain_ms = 1;
    review_begin(&bench->worker);
    worker_drain(&bench->worker);
    (void)mailbox_empty(&bench->worker.loop.mailbox);
    for (int i = 0; i < 10; i++)
        bench_pass(bench, 200);
    bench_settle(bench);
    peer_hear(bench, &peer);
    assert_true(peer.ended);
    assert_true(peer_has(&peer, "\"reason\":\"drain\""));
    peer_leave(bench, &peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_stream_ends_that_the_rules_allow_no_more, begin, end),
        cmocka_unit_test_setup_teardown(a_review_gives_way_when_its_time_is_over, begin, end),
        cmocka_unit_test_setup_teardown(a_drain_leaves_a_review_that_is_under_way_to_its_end, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_drain_reaches_connections_that_a_review_lets_go_on, begin,
                                        end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
