#include "net/testing.h"

#include <stdio.h>

static struct harness *world(void)
{
    return harness_new(false);
}

static void turn(struct harness *harness)
{
    loop_turn(&harness->loop, 0);
}

static void bytes_of_the_peer_are_read_to_the_last(void **state)
{
    (void)state;
    struct harness *harness = world();
    struct end *end = end_new(harness);
    struct str bytes;
    turn(harness);
    assert_int_equal(end->in.len, 0);
    assert_int_equal(conn_read(&end->conn, &bytes), 0);
    assert_int_equal(send(end->peer, "hello", 5, 0), 5);
    turn(harness);
    assert_int_equal(send(end->peer, " you", 4, 0), 4);
    turn(harness);
    assert_true(str_eq(buf_str(&end->in), STR("hello you")));
    assert_false(end->ended);
    end_free(end);
    harness_free(harness);
}

static void more_than_one_room_full_is_read_in_one_turn(void **state)
{
    (void)state;
    struct harness *harness = world();
    struct end *end = end_new(harness);
    size_t sent = 0;
    char block[1000];
    memset(block, 'x', sizeof(block));
    while (sent < (size_t)3 * NET_READ_SIZE) {
        ssize_t n = send(end->peer, block, sizeof(block), MSG_DONTWAIT);
        if (n < 0)
            break;
        sent += (size_t)n;
    }
    assert_true(sent > NET_READ_SIZE);
    turn(harness);
    assert_int_equal(end->in.len, sent);
    end_free(end);
    harness_free(harness);
}

static void a_writable_connection_is_not_dirty_after_a_read(void **state)
{
    (void)state;
    struct harness *harness = world();
    struct end *end = end_new(harness);
    turn(harness);
    while (net_flush(&harness->net))
        ;
    assert_int_equal(send(end->peer, "hello", 5, 0), 5);
    turn(harness);
    assert_true(str_eq(buf_str(&end->in), STR("hello")));
    assert_false(net_is_dirty(&harness->net));
    assert_int_equal(end->fills, 0);
    end_free(end);
    harness_free(harness);
}

static void the_end_comes_behind_the_last_bytes(void **state)
{
    (void)state;
    struct harness *harness = world();
    struct end *end = end_new(harness);
    assert_int_equal(send(end->peer, "last words", 10, 0), 10);
    assert_int_equal(shutdown(end->peer, SHUT_WR), 0);
    turn(harness);
    assert_true(str_eq(buf_str(&end->in), STR("last words")));
    assert_true(end->ended);
    assert_true(end->conn.hup);
    end_say(end, "answer"); /* a peer that is done sending may still read */
    net_flush(&harness->net);
    peer_has(end, "answer");
    end_free(end);
    harness_free(harness);
}

static void a_peer_that_breaks_off_is_told(void **state)
{
    (void)state;
    struct harness *harness = world();
    struct end *end = end_new(harness);
    end_say(end, "unread");
    net_flush(&harness->net);
    close(end->peer); /* with unread bytes, so the kernel sends a reset */
    end->peer = -1;
    turn(harness);
    assert_int_equal(end->hung_ups, 1);
    assert_true(end->conn.dead);
    end_free(end);
    harness_free(harness);
}

static void closing_twice_is_told_once_and_at_the_end_of_the_turn(void **state)
{
    (void)state;
    struct harness *harness = world();
    struct end *end = end_new(harness);
    assert_int_equal(harness->net.conns, 1);
    end_say(end, "never sent");
    conn_close(&end->conn);
    conn_close(&end->conn);
    assert_int_equal(end->closes, 0);
    assert_int_equal(harness->net.conns, 0);
    conn_dirty(&end->conn);
    assert_false(net_flush(&harness->net));
    assert_int_equal(end->fills, 0);
    net_bury(&harness->net);
    assert_int_equal(end->closes, 1);
    net_bury(&harness->net);
    end_free(end);
    harness_free(harness);
}

/* Closes all connections, as an attack that resets them does. */
static struct end **close_many(struct harness *harness, int many)
{
    struct end **ends = mem_alloc((size_t)many * sizeof(struct end *));
    for (int i = 0; i < many; i++)
        ends[i] = end_new(harness);
    for (int i = 0; i < many; i++)
        conn_close(&ends[i]->conn);
    assert_int_equal(harness->net.conns, 0);
    return ends;
}

static unsigned count_closed(struct end **ends, int many)
{
    unsigned closed = 0;
    for (int i = 0; i < many; i++)
        closed += ends[i]->closes;
    return closed;
}

static void free_ends(struct end **ends, int many)
{
    for (int i = 0; i < many; i++)
        end_free(ends[i]);
    free(ends);
}

static void a_turn_frees_only_some_of_many_closed_connections(void **state)
{
    (void)state;
    enum { MANY = 2 * NET_BURY + 10 };
    struct harness *harness = world();
    struct end **ends = close_many(harness, MANY);
    assert_true(net_bury(&harness->net));
    assert_int_equal(count_closed(ends, MANY), NET_BURY);
    assert_true(net_bury(&harness->net));
    assert_int_equal(harness->net.burials_cut, 2);
    assert_false(net_bury(&harness->net));
    assert_int_equal(count_closed(ends, MANY), MANY);
    assert_false(net_bury(&harness->net));
    free_ends(ends, MANY);
    harness_free(harness);
}

static void the_time_a_turn_spends_freeing_connections_is_bounded(void **state)
{
    (void)state;
    struct harness *harness = world();
    struct end **ends = close_many(harness, 4);
    harness->close_us = NET_BURY_US / 2;
    assert_true(net_bury(&harness->net));
    assert_int_equal(count_closed(ends, 4), 2);
    harness->close_us = 0;
    assert_false(net_bury(&harness->net));
    free_ends(ends, 4);
    harness_free(harness);
}

static void a_connection_that_holds_much_is_freed_first(void **state)
{
    (void)state;
    enum { MANY = NET_BURY + 10 };
    struct harness *harness = world();
    struct end **ends = close_many(harness, MANY);
    conn_bury_first(&ends[MANY - 1]->conn);
    assert_true(net_bury(&harness->net));
    assert_int_equal(ends[MANY - 1]->closes, 1);
    assert_int_equal(count_closed(ends, MANY), NET_BURY);
    conn_bury_first(&ends[MANY - 1]->conn); /* too late, and harmless */
    free_ends(ends, MANY);
    harness_free(harness);
}

static void a_connection_closed_by_another_in_the_same_turn_reads_nothing(void **state)
{
    (void)state;
    struct harness *harness = world();
    struct end *one = end_new(harness), *two = end_new(harness);
    one->closes_on_read = two;
    two->closes_on_read = one;
    assert_int_equal(send(one->peer, "x", 1, 0), 1);
    assert_int_equal(send(two->peer, "x", 1, 0), 1);
    turn(harness);
    /* The connection that was read first closed the other, which then read nothing. */
    assert_int_equal(one->conn.dead + two->conn.dead, 1);
    assert_int_equal(one->in.len + two->in.len, 1);
    end_free(one);
    end_free(two);
    harness_free(harness);
}

static void a_descriptor_that_cannot_be_watched_is_closed(void **state)
{
    (void)state;
    struct harness *harness = world();
    struct conn conn;
    FILE *file = tmpfile();
    assert_non_null(file);
    int fd = dup(fileno(file));
    assert_int_equal(conn_init(&conn, &harness->net, fd, NET_PLAIN, &end_ops), -EPERM);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_int_equal(harness->net.conns, 0);
    fclose(file);
    harness_free(harness);
}

static void ids_are_never_nought_and_threads_share_none(void **state)
{
    (void)state;
    struct harness *one = world(), *two = world();
    net_deinit(&one->net);
    net_deinit(&two->net);
    assert_int_equal(net_init(&one->net, &one->loop, 0, 2), 0);
    assert_int_equal(net_init(&two->net, &two->loop, 1, 2), 0);
    struct end *a = end_new(one), *b = end_new(one), *c = end_new(two), *d = end_new(two);
    assert_true(a->conn.id != b->conn.id && c->conn.id != d->conn.id);
    assert_true(a->conn.id % 2 != c->conn.id % 2 && b->conn.id % 2 != d->conn.id % 2);
    two->net.id_next = 0; /* simulates 2^32 connections */
    struct end *again = end_new(two);
    assert_int_not_equal(again->conn.id, 0);
    end_free(a);
    end_free(b);
    end_free(c);
    end_free(d);
    end_free(again);
    harness_free(one);
    harness_free(two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_of_the_peer_are_read_to_the_last),
        cmocka_unit_test(more_than_one_room_full_is_read_in_one_turn),
        cmocka_unit_test(a_writable_connection_is_not_dirty_after_a_read),
        cmocka_unit_test(the_end_comes_behind_the_last_bytes),
        cmocka_unit_test(a_peer_that_breaks_off_is_told),
        cmocka_unit_test(closing_twice_is_told_once_and_at_the_end_of_the_turn),
        cmocka_unit_test(a_turn_frees_only_some_of_many_closed_connections),
        cmocka_unit_test(the_time_a_turn_spends_freeing_connections_is_bounded),
        cmocka_unit_test(a_connection_that_holds_much_is_freed_first),
        cmocka_unit_test(a_connection_closed_by_another_in_the_same_turn_reads_nothing),
        cmocka_unit_test(a_descriptor_that_cannot_be_watched_is_closed),
        cmocka_unit_test(ids_are_never_nought_and_threads_share_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
