#include "transport/testing.h"

#define GET_STREAM "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"
#define GET_PAGE "GET /page HTTP/1.1\r\nHost: x\r\n\r\n"

enum { ALLOCATIONS = 60 };

static int begin(void **state)
{
    struct bench *bench = bench_new();
    bench->limits.hub.window_bytes = 1; /* a subscriber that is behind must ask the store */
    bench_begin(bench);
    for (int i = 0; i < 3; i++) {
        bench_append(bench, STR("old"));
        bench_settle(bench);
    }
    *state = bench;
    return 0;
}

static int end(void **state)
{
    bench_free(*state);
    return 0;
}

static void hear_all(struct bench *bench, struct peer *peer, const char *request)
{
    peer_join(bench, peer);
    peer_say(bench, peer, request);
    peer_hear(bench, peer);
}

static void a_live_stream_is_not_asked_twice_for_one_event(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    hear_all(bench, &peer, GET_STREAM);
    bench_append(bench, STR("new"));
    uint64_t sends = bench->worker.net.sends;
    while (bench->worker.net.sends == sends)
        worker_step(&bench->worker, 10);
    assert_false(net_is_dirty(&bench->worker.net));
    peer_hear(bench, &peer);
    assert_int_equal(peer_count(&peer, "\"data\":\"new\""), 1);
    peer_leave(bench, &peer);
}

static void a_stream_that_begins_behind_the_window_reads_the_store(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    hear_all(bench, &peer, GET_STREAM);
    assert_int_equal(peer_count(&peer, "\"data\":\"old\""), 3);
    bench_append(bench, STR("new"));
    bench_settle(bench);
    peer_hear(bench, &peer);
    assert_int_equal(peer_count(&peer, "\"data\":\"new\""), 1);
    peer_leave(bench, &peer);
}

/* Among these allocations is that of the read: a stream that has begun can no longer answer 503. */
static void a_stream_whose_read_fails_ends_politely(void **state)
{
    struct bench *bench = *state;
    unsigned polite = 0;
    for (unsigned long nth = 1; nth <= ALLOCATIONS; nth++) {
        struct peer peer;
        peer_join(bench, &peer);
        mem_fail_nth(nth);
        peer_say(bench, &peer, GET_STREAM);
        mem_fail_nth(0);
        peer_hear(bench, &peer);
        bool whole = peer_count(&peer, "\"data\":\"old\"") == 3 && !peer.ended;
        bool refused = peer_has(&peer, "HTTP/1.1 503");
        bool bye = peer_has(&peer, "{\"op\":\"bye\"") && peer_has(&peer, "\r\n0\r\n\r\n");
        assert_true(whole || refused || bye || peer.ended);
        assert_true(!bye || peer.ended);
        polite += bye;
        peer_leave(bench, &peer);
    }
    assert_true(polite > 0);
}

static void a_page_whose_read_fails_is_answered_503(void **state)
{
    struct bench *bench = *state;
    unsigned refused = 0;
    for (unsigned long nth = 1; nth <= ALLOCATIONS; nth++) {
        struct peer peer;
        peer_join(bench, &peer);
        mem_fail_nth(nth);
        peer_say(bench, &peer, GET_PAGE);
        mem_fail_nth(0);
        peer_hear(bench, &peer);
        bool whole = peer_count(&peer, "\"data\":\"old\"") == 3 && peer_has(&peer, "]");
        bool problem = peer_has(&peer, "HTTP/1.1 503") && peer_has(&peer, "/errors/unavailable");
        assert_true(whole || problem || (peer.ended && !peer.got.len));
        refused += problem;
        peer_leave(bench, &peer);
    }
    assert_true(refused > 0);
}

static void a_peer_that_is_done_sending_gets_a_page_that_is_being_read(void **state)
{
    struct bench *bench = *state;
    struct peer page, poll;
    struct hold hold;
    peer_join(bench, &page);
    hold_reader(bench, &hold);
    peer_send(&page, STR(GET_PAGE));
    worker_step(&bench->worker, 0);
    shutdown(page.fd, SHUT_WR);
    worker_step(&bench->worker, 0);
    assert_true(bench->worker.asker.open > 0);
    peer_expect(bench, &page, "");
    sem_post(&hold.go);
    bench_settle(bench);
    peer_expect(bench, &page, "200.");
    bench->reading.wait_s = 20;
    bench->reading.from.kind = POSITION_NOW;
    peer_join(bench, &poll);
    peer_say(bench, &poll, GET_PAGE);
    shutdown(poll.fd, SHUT_WR); /* the client may be gone, so the poll waits no longer */
    bench_settle(bench);
    peer_expect(bench, &poll, "200.");
    peer_leave(bench, &page);
    peer_leave(bench, &poll);
}

static void heartbeats_carry_the_cursor_and_stop_while_nobody_reads(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    bench->reading.from.kind = POSITION_NOW;
    bench->reading.beat_s = 5;
    peer_join_narrow(bench, &peer);
    peer_say(bench, &peer, GET_STREAM);
    for (int i = 0; i < 40; i++)
        bench_pass(bench, 5000);
    char room[64];
    buf_add_id(&peer.got, log_newest(bench->log));
    memcpy(room, peer.got.at, 16);
    room[16] = '\0';
    buf_free(&peer.got);
    size_t rest = request_stream_unsent_len(
        &container_of(bench->worker.connections.prev, struct http1, conn.node)->request);
    assert_true(rest < 100); /* at most one heartbeat is left over */
    peer_hear(bench, &peer);
    assert_true(peer_count(&peer, "{\"op\":\"beat\"") > 5);
    assert_true(peer_has(&peer, room));
    peer_leave(bench, &peer);
}

static const struct http1 *newest_http1(const struct bench *bench)
{
    return container_of(bench->worker.connections.prev, struct http1, conn.node);
}

static void a_stream_with_a_full_socket_gives_way_until_it_has_caught_up(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    char data[8000];
    memset(data, 'x', sizeof(data));
    peer_join_narrow(bench, &peer);
    peer_say(bench, &peer, GET_STREAM);
    peer_hear(bench, &peer);
    bench_append(bench, STR("live"));
    bench_settle(bench);
    assert_false(newest_http1(bench)->conn.behind);
    for (int i = 0; i < 20; i++)
        bench_append(bench, (struct str){data, sizeof(data)});
    bench_settle(bench);
    assert_false(newest_http1(bench)->conn.writable);
    assert_true(newest_http1(bench)->conn.behind);
    peer_hear(bench, &peer);
    bench_append(bench, STR("new"));
    bench_settle(bench);
    assert_false(newest_http1(bench)->conn.behind);
    peer_hear(bench, &peer);
    assert_int_equal(peer_count(&peer, "\"data\":\"new\""), 1);
    peer_leave(bench, &peer);
}

/* docs/performance.md counts with these; what is needed only at times hangs on a pointer. */
_Static_assert(sizeof(struct http1) <= 152, "a connection is for every subscriber");
_Static_assert(sizeof(struct sub) <= 80, "a sub is for every subscriber");

/* The size of the kind of object that was first allocated last. */
static size_t newest_size(const struct bench *bench)
{
    const struct slabs *slabs = &bench->worker.slabs;
    return slabs->at[slabs->count - 1].size;
}

static void streams_and_websockets_of_channels_are_small(void **state)
{
    struct bench *bench = *state;
    struct peer peer, other;
    hear_all(bench, &peer, GET_STREAM);
    assert_int_equal(bench->worker.slabs.count, 2); /* of connections, and of streams */
    assert_in_range(newest_size(bench), 1, 104);
    peer_join(bench, &other);
    peer_upgrade(bench, &other, PEER_UPGRADE("/socket"));
    assert_int_equal(bench->worker.slabs.count, 3);
    assert_in_range(newest_size(bench), 1, 192);
    peer_leave(bench, &other);
    peer_leave(bench, &peer);
}

static void an_idle_subscriber_holds_its_connection_and_its_stream_alone(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    hear_all(bench, &peer, GET_STREAM);
    assert_non_null(newest_http1(bench)->request.pull);
    assert_null(newest_http1(bench)->request.intake);
    assert_null(newest_http1(bench)->request.out);
    bench_pass(bench, 60000); /* a heartbeat leaves nothing behind */
    peer_hear(bench, &peer);
    assert_true(peer_count(&peer, "\"beat\"") > 0);
    assert_null(newest_http1(bench)->request.out);
    peer_leave(bench, &peer);
}

static void an_idle_connection_between_requests_holds_its_connection_alone(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    hear_all(bench, &peer, GET_PAGE);
    assert_true(peer_has(&peer, "200 OK"));
    assert_null(newest_http1(bench)->request.intake);
    assert_null(newest_http1(bench)->request.out);
    peer_send(&peer, STR("GET "));
    bench_settle(bench);
    assert_non_null(newest_http1(bench)->request.intake);
    peer_leave(bench, &peer);
}

static void the_head_of_a_stream_does_not_wait_for_the_end_of_the_turn(void **state)
{
    struct bench *bench = *state;
    struct peer peers[8];
    for (int i = 0; i < 8; i++) {
        peer_join(bench, &peers[i]);
        peer_send(&peers[i], STR(GET_STREAM));
    }
    loop_turn(&bench->worker.loop, 0); /* half a turn: nothing is flushed in it */
    for (int i = 0; i < 8; i++) {
        char room[4096];
        ssize_t n = recv(peers[i].fd, room, sizeof(room), MSG_PEEK);
        assert_true(n > 12);
        assert_memory_equal(room, "HTTP/1.1 200", 12);
    }
    list_each (&bench->worker.connections, node) {
        assert_null(container_of(node, struct http1, conn.node)->request.out);
    }
    bench_settle(bench);
    for (int i = 0; i < 8; i++)
        peer_leave(bench, &peers[i]);
}

#define WITH_BENCH(test) cmocka_unit_test_setup_teardown(test, begin, end)

/* The kernel's answer for all connections. */
static struct conn_delivery said;

static int say_delivery(int fd, struct conn_delivery *ret)
{
    (void)fd;
    *ret = said;
    return 0;
}

/* Lets three beats of 5 s pass; whether the stream is still there. */
static bool outlives(struct bench *bench, struct conn_delivery delivery)
{
    struct peer peer;
    uint64_t gone = bench->worker.stats.limits[LIMIT_GONE];
    said = delivery;
    bench->worker.net.ask_delivery = say_delivery;
    peer_join(bench, &peer);
    peer_say(bench, &peer, GET_STREAM);
    for (int i = 0; i < 3; i++)
        bench_pass(bench, 5000);
    bool lives = bench->worker.net.conns == 1;
    assert_int_equal(bench->worker.stats.limits[LIMIT_GONE] - gone, !lives);
    peer_leave(bench, &peer);
    bench_settle(bench);
    return lives;
}

static void a_peer_that_acknowledges_nothing_for_two_beats_is_closed(void **state)
{
    struct bench *bench = *state;
    bench->reading.from.kind = POSITION_NOW;
    bench->reading.beat_s = 5;
    assert_false(outlives(bench, (struct conn_delivery){.unacked = true, .ack_ms = 15000}));
    assert_false(outlives(bench, (struct conn_delivery){.probes = 2, .ack_ms = 13000}));
    assert_false(outlives(bench, (struct conn_delivery){true, 9, INT64_C(1) << 32}));
    assert_true(outlives(bench, (struct conn_delivery){.unacked = true, .ack_ms = 10000}));
    assert_true(outlives(bench, (struct conn_delivery){.ack_ms = 600000})); /* nothing to take */
    /* A closed window is probed at growing intervals: a slow reader still answers. */
    assert_true(outlives(bench, (struct conn_delivery){.probes = 1, .ack_ms = 120000}));
    assert_true(outlives(bench, (struct conn_delivery){.unacked = true, .ack_ms = 0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BENCH(a_live_stream_is_not_asked_twice_for_one_event),
        WITH_BENCH(a_stream_that_begins_behind_the_window_reads_the_store),
        WITH_BENCH(a_stream_whose_read_fails_ends_politely),
        WITH_BENCH(a_page_whose_read_fails_is_answered_503),
        WITH_BENCH(a_peer_that_is_done_sending_gets_a_page_that_is_being_read),
        WITH_BENCH(heartbeats_carry_the_cursor_and_stop_while_nobody_reads),
        WITH_BENCH(a_stream_with_a_full_socket_gives_way_until_it_has_caught_up),
        WITH_BENCH(streams_and_websockets_of_channels_are_small),
        WITH_BENCH(an_idle_subscriber_holds_its_connection_and_its_stream_alone),
        WITH_BENCH(a_peer_that_acknowledges_nothing_for_two_beats_is_closed),
        WITH_BENCH(an_idle_connection_between_requests_holds_its_connection_alone),
        WITH_BENCH(the_head_of_a_stream_does_not_wait_for_the_end_of_the_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
