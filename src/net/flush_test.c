/* Every test runs twice: with plain sends and with io_uring, where there is one. */
#include "net/testing.h"

#include <sys/resource.h>

enum { MANY = 2 * NET_SLICE + 88, LONG = 1 << 20 };

static struct harness *world(void **state)
{
    return harness_new(*(const bool *)*state);
}

static void flush_all(struct harness *harness)
{
    while (net_flush(&harness->net))
        ;
}

static void dirty_connections_are_sent_to(void **state)
{
    struct harness *harness = world(state);
    struct end *one = end_new(harness), *two = end_new(harness), *idle = end_new(harness);
    end_say(one, "one");
    end_say(two, "two");
    end_say(one, " more");
    flush_all(harness);
    peer_has(one, "one more");
    peer_has(two, "two");
    peer_has(idle, "");
    assert_int_equal(idle->fills, 0);
    assert_int_equal(harness->net.bytes_sent, 11);
    assert_int_equal(harness->net.sends, 2);
    end_free(one);
    end_free(two);
    end_free(idle);
    harness_free(harness);
}

static void bytes_keep_their_order_over_sockets_that_fill_up(void **state)
{
    struct harness *harness = world(state);
    struct end *ends[3];
    struct buf got[3] = {{0}};
    for (int i = 0; i < 3; i++) {
        ends[i] = end_new(harness);
        for (uint32_t n = 0; n < LONG / sizeof(n); n++)
            buf_add(&ends[i]->out, &n, sizeof(n));
        conn_dirty(&ends[i]->conn);
    }
    for (int turn = 0; got[0].len + got[1].len + got[2].len < (size_t)3 * LONG; turn++) {
        assert_true(turn < 10000);
        flush_all(harness);
        for (size_t i = 0; i < 3; i++)
            peer_read(ends[i], &got[i], 10000 * (i + 1) + 7);
        loop_turn(&harness->loop, 0);
    }
    for (int i = 0; i < 3; i++) {
        assert_true(str_eq(buf_str(&got[i]), buf_str(&ends[i]->out)));
        assert_true(ends[i]->sents > 2);
        buf_free(&got[i]);
        end_free(ends[i]);
    }
    harness_free(harness);
}

static void a_full_socket_is_not_asked_until_it_drains(void **state)
{
    struct harness *harness = world(state);
    struct end *full = end_new(harness), *other = end_new(harness);
    struct buf got = {0};
    while (full->out.len < LONG)
        buf_add_lit(&full->out, "0123456789abcdef");
    conn_dirty(&full->conn);
    end_say(other, "x");
    flush_all(harness);
    assert_false(full->conn.writable);
    unsigned fills = full->fills;
    for (int i = 0; i < 3; i++) {
        conn_dirty(&full->conn);
        end_say(other, "x");
        flush_all(harness);
        loop_turn(&harness->loop, 0);
    }
    assert_int_equal(full->fills, fills);
    peer_has(other, "xxxx");
    peer_read(full, &got, SIZE_MAX);
    loop_turn(&harness->loop, 0);
    assert_true(full->conn.writable);
    flush_all(harness);
    assert_true(full->fills > fills);
    buf_free(&got);
    end_free(full);
    end_free(other);
    harness_free(harness);
}

static void a_flush_sends_for_one_slice_and_says_whether_there_are_more(void **state)
{
    struct harness *harness = world(state);
    struct end **ends = mem_alloc(MANY * sizeof(struct end *));
    for (int i = 0; i < MANY; i++) {
        ends[i] = end_new(harness);
        ends[i]->stop = true;
        end_say(ends[i], "x");
    }
    assert_true(net_flush(&harness->net));
    assert_int_equal(harness->fills, NET_SLICE);
    assert_true(net_flush(&harness->net));
    assert_int_equal(harness->fills, 2 * NET_SLICE);
    assert_false(net_flush(&harness->net));
    assert_int_equal(harness->fills, MANY);
    for (int i = 0; i < MANY; i++) {
        peer_has(ends[i], "x");
        end_free(ends[i]);
    }
    free(ends);
    harness_free(harness);
}

static void a_connection_is_filled_again_only_if_it_has_more(void **state)
{
    struct harness *harness = world(state);
    struct end *more = end_new(harness), *done = end_new(harness);
    done->stop = true;
    done->dirty_on_fill = true; /* dirty because of its own `fill`, as in gather() */
    end_say(more, "x");
    end_say(done, "x");
    flush_all(harness);
    assert_int_equal(more->fills, 2);
    assert_int_equal(more->sents, 1);
    assert_int_equal(done->fills, 1);
    end_free(more);
    end_free(done);
    harness_free(harness);
}

/* Connections that send `x`: the first `dirty` by conn_dirty(), the others by
 * conn_dirty_later(). */
static struct end **crowd(struct harness *harness, int dirty)
{
    struct end **ends = mem_alloc(MANY * sizeof(struct end *));
    for (int i = 0; i < MANY; i++) {
        ends[i] = end_new(harness);
        ends[i]->stop = true;
        buf_add_lit(&ends[i]->out, "x");
        conn_dirty_later(&ends[i]->conn);
        if (i < dirty)
            conn_dirty(&ends[i]->conn);
    }
    return ends;
}

static void crowd_free(struct end **ends)
{
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(ends[i]->sents, 1);
        end_free(ends[i]);
    }
    free(ends);
}

static void new_bytes_go_before_connections_that_may_wait(void **state)
{
    struct harness *harness = world(state);
    struct end **ends = crowd(harness, 0);
    struct end *live = end_new(harness);
    end_say(live, "x");
    assert_true(net_flush(&harness->net));
    peer_has(live, "x");
    end_free(live);
    flush_all(harness);
    crowd_free(ends);
    harness_free(harness);
}

static void connections_that_may_wait_have_a_share_of_every_slice(void **state)
{
    struct harness *harness = world(state);
    struct end **ends = crowd(harness, NET_SLICE);
    assert_true(net_flush(&harness->net));
    assert_int_equal(harness->fills, NET_SLICE);
    assert_int_equal(ends[NET_SLICE]->sents, 1);
    assert_int_equal(ends[NET_SLICE + NET_LATER - 1]->sents, 1);
    assert_int_equal(ends[NET_SLICE + NET_LATER]->sents, 0);
    assert_int_equal(ends[NET_SLICE - 1]->sents, 0);
    flush_all(harness);
    crowd_free(ends);
    harness_free(harness);
}

static void a_connection_with_nothing_to_send_counts_in_a_slice(void **state)
{
    struct harness *harness = world(state);
    struct end **ends = mem_alloc(MANY * sizeof(struct end *));
    for (int i = 0; i < MANY; i++) {
        ends[i] = end_new(harness);
        conn_dirty_later(&ends[i]->conn);
    }
    assert_true(net_flush(&harness->net));
    assert_int_equal(harness->fills, NET_LATER);
    for (int i = 0; i < MANY; i++)
        conn_dirty(&ends[i]->conn);
    assert_true(net_flush(&harness->net));
    assert_int_equal(harness->fills, NET_LATER + NET_SLICE);
    for (int i = 0; i < MANY; i++)
        end_free(ends[i]);
    free(ends);
    harness_free(harness);
}

/* All connections of a crowd may wait. A connection that has more to send gets it in the next slice
 * only if it is not behind. */
static void a_connection_behind_that_has_more_waits_with_those_that_may(void **state)
{
    for (int behind = 0; behind < 2; behind++) {
        struct harness *harness = world(state);
        struct end *more = end_new(harness);
        end_say(more, "x");
        more->conn.behind = behind;
        struct end **ends = crowd(harness, 0);
        assert_true(net_flush(&harness->net));
        assert_int_equal(more->sents, 1);
        buf_add_lit(&more->out, "y");
        assert_true(net_flush(&harness->net));
        assert_int_equal(more->sents, behind ? 1 : 2);
        flush_all(harness);
        peer_has(more, "xy");
        end_free(more);
        crowd_free(ends);
        harness_free(harness);
    }
}

static void a_socket_that_has_room_again_waits_with_those_who_may_if_it_is_behind(void **state)
{
    for (int behind = 0; behind < 2; behind++) {
        struct harness *harness = world(state);
        struct end *full = end_new(harness);
        struct buf got = {0};
        while (full->out.len < LONG)
            buf_add_lit(&full->out, "0123456789abcdef");
        conn_dirty(&full->conn);
        flush_all(harness);
        assert_false(full->conn.writable);
        unsigned sents = full->sents;
        full->conn.behind = behind;
        struct end **ends = crowd(harness, 0);
        peer_read(full, &got, SIZE_MAX);
        loop_turn(&harness->loop, 0);
        assert_true(net_flush(&harness->net));
        assert_int_equal(full->sents, behind ? sents : sents + 1);
        flush_all(harness);
        assert_true(full->sents > sents);
        buf_free(&got);
        end_free(full);
        crowd_free(ends);
        harness_free(harness);
    }
}

static void a_connection_that_was_served_and_has_more_goes_to_the_end(void **state)
{
    struct harness *harness = world(state);
    struct end *greedy = end_new(harness);
    end_say(greedy, "x");
    greedy->stop = false;
    greedy->conn.behind = true;
    struct end **ends = crowd(harness, MANY);
    assert_true(net_flush(&harness->net));
    buf_add_lit(&greedy->out, "y");
    assert_true(net_flush(&harness->net));
    assert_int_equal(ends[NET_SLICE]->sents, 1);
    assert_int_equal(greedy->sents, 2);
    flush_all(harness);
    peer_has(greedy, "xy");
    end_free(greedy);
    crowd_free(ends);
    harness_free(harness);
}

static void a_waiting_connection_that_closes_is_not_filled(void **state)
{
    struct harness *harness = world(state);
    struct end *end = end_new(harness);
    buf_add_lit(&end->out, "x");
    conn_dirty_later(&end->conn);
    conn_close(&end->conn);
    assert_false(net_flush(&harness->net));
    conn_dirty_later(&end->conn);
    assert_false(net_is_dirty(&harness->net));
    assert_int_equal(end->fills, 0);
    end_free(end);
    harness_free(harness);
}

static void a_peer_that_is_gone_hangs_up(void **state)
{
    struct harness *harness = world(state);
    struct end *gone = end_new(harness), *other = end_new(harness);
    close(gone->peer);
    gone->peer = -1;
    end_say(gone, "x");
    end_say(other, "x");
    flush_all(harness);
    assert_int_equal(gone->last_sent, 0);
    assert_int_equal(gone->hung_ups, 1);
    peer_has(other, "x");
    end_free(gone);
    end_free(other);
    harness_free(harness);
}

static void a_connection_that_closes_in_its_fill_is_not_sent_to(void **state)
{
    struct harness *harness = world(state);
    struct end *end = end_new(harness), *other = end_new(harness);
    end->closes_on_fill = end;
    end_say(end, "x");
    end_say(other, "x");
    flush_all(harness);
    assert_int_equal(end->sents, 0);
    peer_has(end, "");
    peer_has(other, "x");
    end_free(end);
    end_free(other);
    harness_free(harness);
}

/* The descriptor is closed, and its number may belong to another socket by now. */
static void a_connection_closed_by_the_fill_of_another_is_not_sent_to(void **state)
{
    struct harness *harness = world(state);
    struct end *first = end_new(harness), *second = end_new(harness), *third = end_new(harness);
    second->closes_on_fill = first;
    end_say(first, "x");
    end_say(second, "y");
    end_say(third, "z");
    flush_all(harness);
    assert_int_equal(first->fills, 1);
    assert_int_equal(first->sents, 0);
    assert_int_equal(first->hung_ups, 0);
    peer_has(second, "y");
    peer_has(third, "z");
    end_free(first);
    end_free(second);
    end_free(third);
    harness_free(harness);
}

static void a_connection_closed_after_the_send_of_another_gets_no_callback(void **state)
{
    struct harness *harness = world(state);
    struct end *first = end_new(harness), *second = end_new(harness), *gone = end_new(harness);
    close(gone->peer);
    gone->peer = -1;
    first->closes_on_sent = second;
    gone->closes_on_sent = gone;
    end_say(first, "x");
    end_say(second, "y");
    end_say(gone, "z");
    flush_all(harness);
    assert_int_equal(first->sents, 1);
    assert_int_equal(second->sents, 0);
    assert_int_equal(gone->sents, 1);
    assert_int_equal(gone->hung_ups, 0);
    end_free(first);
    end_free(second);
    end_free(gone);
    harness_free(harness);
}

static void connections_closed_between_slices_are_freed_and_not_sent_to(void **state)
{
    struct harness *harness = world(state);
    struct end **ends = mem_alloc(MANY * sizeof(struct end *));
    for (int i = 0; i < MANY; i++) {
        ends[i] = end_new(harness);
        end_say(ends[i], "x");
    }
    assert_true(net_flush(&harness->net));
    for (int i = 0; i < MANY; i += 3)
        conn_close(&ends[i]->conn);
    while (net_bury(&harness->net))
        ;
    flush_all(harness);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(ends[i]->closes, i % 3 == 0);
        assert_int_equal(ends[i]->sents, i < NET_SLICE || i % 3);
        end_free(ends[i]);
    }
    free(ends);
    harness_free(harness);
}

static void a_connection_flushed_alone_does_not_wait_for_the_others(void **state)
{
    struct harness *harness = world(state);
    struct end *other = end_new(harness), *one = end_new(harness);
    end_say(other, "other");
    end_say(one, "one");
    conn_flush(&one->conn);
    peer_has(one, "one");
    peer_has(other, "");
    flush_all(harness);
    peer_has(one, "");
    peer_has(other, "other");
    conn_flush(&one->conn); /* nothing is left to send */
    assert_int_equal(one->sents, 1);
    end_free(other);
    end_free(one);
    harness_free(harness);
}

static void a_full_socket_that_is_flushed_alone_keeps_the_rest(void **state)
{
    struct harness *harness = world(state);
    struct end *end = end_new(harness);
    struct buf got = {0};
    for (uint32_t n = 0; n < LONG / sizeof(n); n++)
        buf_add(&end->out, &n, sizeof(n));
    conn_flush(&end->conn);
    assert_false(end->conn.writable);
    conn_flush(&end->conn);
    assert_int_equal(end->fills, 1);
    for (int turn = 0; got.len < LONG; turn++) {
        assert_true(turn < 10000);
        peer_read(end, &got, LONG);
        loop_turn(&harness->loop, 0);
        flush_all(harness);
    }
    assert_true(str_eq(buf_str(&got), buf_str(&end->out)));
    buf_free(&got);
    end_free(end);
    harness_free(harness);
}

static void a_connection_that_closes_in_a_lone_flush_is_not_sent_to(void **state)
{
    struct harness *harness = world(state);
    struct end *end = end_new(harness);
    end_say(end, "never");
    end->closes_on_fill = end;
    conn_flush(&end->conn);
    conn_flush(&end->conn);
    assert_int_equal(end->fills, 1);
    assert_int_equal(end->sents, 0);
    end_free(end);
    harness_free(harness);
}

/* A thousand pages would be sent for tens of milliseconds. */
static void a_slice_ends_with_its_bytes(void **state)
{
    enum { LARGE = 32 * 1024, ENDS = 2 * NET_SLICE_BYTES / LARGE };
    struct harness *harness = world(state);
    struct end *ends[ENDS];
    char *bytes = malloc(LARGE);
    memset(bytes, 'x', LARGE);
    for (int i = 0; i < ENDS; i++) {
        ends[i] = end_new(harness);
        ends[i]->stop = true;
        buf_add(&ends[i]->out, bytes, LARGE);
        conn_dirty(&ends[i]->conn);
    }
    free(bytes);
    assert_true(net_flush(&harness->net));
    assert_int_equal(harness->net.slices_cut, 1);
    assert_true(harness->fills > 0 && harness->fills < ENDS * 3 / 4);
    flush_all(harness);
    assert_int_equal(harness->fills, ENDS);
    for (int i = 0; i < ENDS; i++)
        end_free(ends[i]);
    harness_free(harness);
}

static void a_ring_that_is_refused_has_a_reason_and_leaves_plain_sends(void **state)
{
    struct harness *harness = world(state);
    struct rlimit limit, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = (struct rlimit){.rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int result = net_use_uring(&harness->net);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(result < 0); /* -EMFILE, unless it is forbidden anyway */
    assert_null(harness->net.uring);
    struct end *end = end_new(harness);
    end_say(end, "by send");
    flush_all(harness);
    peer_has(end, "by send");
    end_free(end);
    harness_free(harness);
}

/* More than two slices of socket pairs are more than many a shell allows at first. */
static void allow_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

int main(void)
{
    allow_descriptors();
    static bool plain = false, uring = true;
#define BOTH(name)                                                                                 \
    {#name " by send", name, NULL, NULL, &plain},                                                  \
    {                                                                                              \
#name " by io_uring", name, NULL, NULL, &uring                                             \
    }
    const struct CMUnitTest tests[] = {
        BOTH(dirty_connections_are_sent_to),
        BOTH(bytes_keep_their_order_over_sockets_that_fill_up),
        BOTH(a_full_socket_is_not_asked_until_it_drains),
        BOTH(a_flush_sends_for_one_slice_and_says_whether_there_are_more),
        BOTH(a_slice_ends_with_its_bytes),
        BOTH(a_connection_is_filled_again_only_if_it_has_more),
        BOTH(new_bytes_go_before_connections_that_may_wait),
        BOTH(connections_that_may_wait_have_a_share_of_every_slice),
        BOTH(a_connection_with_nothing_to_send_counts_in_a_slice),
        BOTH(a_connection_behind_that_has_more_waits_with_those_that_may),
        BOTH(a_socket_that_has_room_again_waits_with_those_who_may_if_it_is_behind),
        BOTH(a_connection_that_was_served_and_has_more_goes_to_the_end),
        BOTH(a_waiting_connection_that_closes_is_not_filled),
        BOTH(a_peer_that_is_gone_hangs_up),
        BOTH(a_connection_that_closes_in_its_fill_is_not_sent_to),
        BOTH(a_connection_closed_by_the_fill_of_another_is_not_sent_to),
        BOTH(a_connection_closed_after_the_send_of_another_gets_no_callback),
        BOTH(connections_closed_between_slices_are_freed_and_not_sent_to),
        BOTH(a_connection_flushed_alone_does_not_wait_for_the_others),
        BOTH(a_full_socket_that_is_flushed_alone_keeps_the_rest),
        BOTH(a_connection_that_closes_in_a_lone_flush_is_not_sent_to),
        cmocka_unit_test_prestate(a_ring_that_is_refused_has_a_reason_and_leaves_plain_sends,
                                  &plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
