/* Connections over a wire that changes their bytes, beside plain ones. Every test runs twice: with
 * plain sends and with io_uring, where there is one. */
#include "net/testing.h"

#include <fcntl.h>

enum { KEY = 0x20, HELD_MAX = 64 };

/* The bytes that the changing wire has received and not given yet, by descriptor. */
static struct held {
    char bytes[HELD_MAX];
    size_t len;
} held_of[256];

static struct held *held(const struct conn *conn)
{
    assert_true(conn->fd < 256);
    return &held_of[conn->fd];
}

/* Gives at most three bytes of what has come, as a wire of records may. */
static int turned_read(struct conn *conn, char *room, size_t size)
{
    struct held *in = held(conn);
    if (!in->len) {
        int n = wire_plain.read(conn, in->bytes, HELD_MAX);
        if (n <= 0)
            return n;
        in->len = (size_t)n;
    }
    size_t n = in->len < 3 ? in->len : 3;
    assert_true(n <= size);
    for (size_t i = 0; i < n; i++)
        room[i] = (char)(in->bytes[i] ^ KEY);
    memmove(in->bytes, in->bytes + n, in->len -= n);
    return (int)n;
}

static int turned_write(struct conn *conn, struct str bytes)
{
    char piece[HELD_MAX];
    size_t sum = 0;
    int result = 0;
    while (sum < bytes.len && result >= 0) {
        size_t n = bytes.len - sum < HELD_MAX ? bytes.len - sum : HELD_MAX;
        for (size_t i = 0; i < n; i++)
            piece[i] = (char)(bytes.at[sum + i] ^ KEY);
        result = wire_plain.write(conn, (struct str){piece, n});
        sum += result > 0 ? (size_t)result : 0;
    }
    return sum ? (int)sum : result;
}

static size_t turned_pending(const struct conn *conn)
{
    return held(conn)->len;
}

static void turned_shut(struct conn *conn)
{
    (void)wire_plain.write(conn, STR("."));
    wire_plain.shut(conn);
}

static void turned_close(struct conn *conn)
{
    held(conn)->len = 0;
    wire_plain.close(conn);
}

static const struct wire turned = {.read = turned_read,
                                   .write = turned_write,
                                   .pending = turned_pending,
                                   .shut = turned_shut,
                                   .close = turned_close};

static struct harness *world(void **state, unsigned *ret_wire)
{
    struct harness *harness = harness_new(*(const bool *)*state);
    int wire = net_add_wire(&harness->net, &turned);
    assert_true(wire > NET_PLAIN);
    *ret_wire = (unsigned)wire;
    return harness;
}

static void each_connection_sends_by_its_own_wire(void **state)
{
    enum { ENDS = 9 };
    unsigned wire;
    struct harness *harness = world(state, &wire);
    struct end *ends[ENDS];
    for (int i = 0; i < ENDS; i++) {
        ends[i] = end_new_over(harness, i % 3 ? NET_PLAIN : wire);
        end_say(ends[i], "abc");
    }
    while (net_flush(&harness->net))
        ;
    for (int i = 0; i < ENDS; i++) {
        peer_has(ends[i], i % 3 ? "abc" : "ABC");
        assert_int_equal(ends[i]->last_sent, 3);
        end_free(ends[i]);
    }
    harness_free(harness);
}

static void a_full_socket_cuts_what_a_wire_writes(void **state)
{
    enum { LONG = 1 << 20 };
    unsigned wire;
    struct harness *harness = world(state, &wire);
    struct end *end = end_new_over(harness, wire), *other = end_new(harness);
    struct buf in = {0};
    for (int i = 0; i < LONG; i++)
        buf_add_char(&end->out, (char)('a' + i % 7));
    conn_dirty(&end->conn);
    end_say(other, "x");
    for (int i = 0; i < 10000 && in.len < LONG; i++) {
        while (net_flush(&harness->net))
            ;
        peer_read(end, &in, 10007);
        loop_turn(&harness->loop, 0);
    }
    assert_int_equal(in.len, LONG);
    for (size_t i = 0; i < LONG; i++)
        assert_int_equal(in.at[i], 'A' + (int)(i % 7));
    peer_has(other, "x");
    buf_free(&in);
    end_free(end);
    end_free(other);
    harness_free(harness);
}

static void bytes_that_wait_in_the_wire_are_read_though_the_kernel_has_none(void **state)
{
    unsigned wire;
    struct harness *harness = world(state, &wire);
    struct end *end = end_new_over(harness, wire);
    assert_int_equal(send(end->peer, "ABCDEFGH", 8, 0), 8);
    loop_turn(&harness->loop, 0);
    assert_true(str_eq(buf_str(&end->in), STR("abcdefgh")));
    assert_false(end->conn.readable);
    end_free(end);
    harness_free(harness);
}

static void a_wire_says_good_bye_in_its_own_way(void **state)
{
    unsigned wire;
    struct harness *harness = world(state, &wire);
    struct end *end = end_new_over(harness, wire), *plain = end_new(harness);
    conn_shut(&end->conn);
    conn_shut(&plain->conn);
    peer_has(end, ".");
    peer_has(plain, "");
    char none;
    assert_int_equal(recv(plain->peer, &none, 1, MSG_DONTWAIT), 0);
    end_free(end);
    end_free(plain);
    harness_free(harness);
}

static void there_are_so_many_wires_and_no_more(void **state)
{
    unsigned wire;
    struct harness *harness = world(state, &wire);
    for (unsigned i = wire + 1; i < NET_WIRES_MAX; i++)
        assert_int_equal(net_add_wire(&harness->net, &turned), i);
    assert_int_equal(net_add_wire(&harness->net, &turned), -ENOSPC);
    harness_free(harness);
}

int main(void)
{
    static bool with_uring[] = {false, true};
#define TWICE(test)                                                                                \
    cmocka_unit_test_prestate(test, &with_uring[0]), cmocka_unit_test_prestate(test, &with_uring[1])
    const struct CMUnitTest tests[] = {
        TWICE(each_connection_sends_by_its_own_wire),
        TWICE(a_full_socket_cuts_what_a_wire_writes),
        TWICE(bytes_that_wait_in_the_wire_are_read_though_the_kernel_has_none),
        TWICE(a_wire_says_good_bye_in_its_own_way),
        TWICE(there_are_so_many_wires_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
