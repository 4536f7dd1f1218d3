/* Connections over a wire that changes their bytes, beside plain ones. Every test runs twice: with
 * plain sends and with io_uring, where there is one. */
#include "net/testing.h"

#include <fcntl.h>

enum { KEY = 0x20, HELD_MAX = 64, RECORD_MAX = 1000 };

/* The state of the changing wire, by descriptor: the bytes that it has received and not given yet,
 * and those that it has sealed and the socket did not take. */
static struct held {
    char bytes[HELD_MAX];
    size_t len;
    struct buf kept;
} held_of[256];

static char gathered[RECORD_MAX];
static size_t gathered_len;

static struct held *held(const struct conn *conn)
{
    assert_true(conn->fd < 256);
    return &held_of[conn->fd];
}

/* Gives at most three bytes of what has come, as a wire of records may. */
static int turned_read(struct conn *conn, char *room, size_t size, bool *ret_drained)
{
    struct held *in = held(conn);
    if (!in->len) {
        int n = wire_plain.read(conn, in->bytes, HELD_MAX, ret_drained);
        if (n <= 0)
            return n;
        in->len = (size_t)n;
    }
    size_t n = in->len < 3 ? in->len : 3;
    assert_true(n <= size);
    for (size_t i = 0; i < n; i++)
        room[i] = (char)(in->bytes[i] ^ KEY);
    memmove(in->bytes, in->bytes + n, in->len -= n);
    *ret_drained = !in->len;
    return (int)n;
}

static struct str turned_rest(const struct conn *conn)
{
    return buf_str(&held(conn)->kept);
}

static bool turned_has_added(const struct conn *conn)
{
    (void)conn;
    return gathered_len;
}

static size_t turned_add(struct conn *conn, struct str bytes)
{
    size_t n = bytes.len < RECORD_MAX - gathered_len ? bytes.len : RECORD_MAX - gathered_len;
    (void)conn;
    memcpy(gathered + gathered_len, bytes.at, n);
    gathered_len += n;
    return n;
}

/* A record that begins with '!' cannot be sealed. */
static int turned_seal(struct conn *conn, struct str *ret_sealed)
{
    char *at = conn->net->sealed + conn->net->sealed_len;
    size_t len = gathered_len;
    gathered_len = 0;
    if (len && gathered[0] == '!')
        return -EPROTO;
    for (size_t i = 0; i < len; i++)
        at[i] = (char)(gathered[i] ^ KEY);
    conn->net->sealed_len += len;
    *ret_sealed = (struct str){at, len};
    return 0;
}

static int turned_keep(struct conn *conn, struct str sealed, size_t n)
{
    struct held *out = held(conn);
    if (out->kept.len)
        buf_drop(&out->kept, n);
    else
        buf_add_str(&out->kept, str_skip(sealed, n));
    return 0;
}

static void turned_shut(struct conn *conn)
{
    (void)wire_send(conn->fd, STR("."));
    wire_plain.shut(conn);
}

static void turned_close(struct conn *conn)
{
    buf_free(&held(conn)->kept);
    *held(conn) = (struct held){0};
    wire_plain.close(conn);
}

static const struct wire turned = {turned_read, turned_shut, turned_close,     NULL,
                                   turned_rest, turned_add,  turned_has_added, turned_seal,
                                   turned_keep, NULL};

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
        assert_int_equal(ends[i]->out_sent, 3);
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

static void a_connection_that_cannot_be_sealed_hangs_up(void **state)
{
    unsigned wire;
    struct harness *harness = world(state, &wire);
    struct end *end = end_new_over(harness, wire), *other = end_new_over(harness, wire);
    end_say(end, "!");
    end_say(other, "x");
    (void)net_flush(&harness->net);
    assert_int_equal(end->hung_ups, 1);
    peer_has(end, "");
    peer_has(other, "X");
    end_free(end);
    end_free(other);
    harness_free(harness);
}

static void the_owner_of_a_full_socket_is_told_so_by_a_fill_of_which_nothing_is_taken(void **state)
{
    enum { LONG = 1 << 20 };
    unsigned wire;
    struct harness *harness = world(state, &wire);
    struct end *end = end_new_over(harness, wire);
    for (int i = 0; i < LONG; i++)
        buf_add_char(&end->out, 'a');
    conn_dirty(&end->conn);
    while (net_flush(&harness->net))
        ;
    assert_false(end->conn.writable);
    size_t sent = end->out_sent;
    unsigned fills = end->fills;
    conn_dirty(&end->conn); /* a new event, say */
    (void)net_flush(&harness->net);
    assert_int_equal(end->fills, fills + 1);
    assert_int_equal(end->last_sent, 0);
    assert_int_equal(end->out_sent, sent);
    assert_false(net_is_dirty(&harness->net));
    end_free(end);
    harness_free(harness);
}

/* An owner of another kind takes the connection over, with all that the wire has of it. */
static void a_connection_is_handed_on_with_its_wire(void **state)
{
    unsigned wire;
    struct harness *harness = world(state, &wire);
    struct end *from = end_new_over(harness, wire), *to = mem_alloc(sizeof(*to));
    to->harness = harness;
    to->peer = -1;
    assert_int_equal(conn_hand_over(&from->conn, &to->conn, &end_ops), 0);
    (void)net_bury(&harness->net);
    assert_int_equal(from->closes, 1);
    assert_int_equal(harness->net.conns, 1);
    assert_int_equal(send(from->peer, "ABCDE", 5, 0), 5);
    loop_turn(&harness->loop, 0);
    assert_true(str_eq(buf_str(&to->in), STR("abcde")));
    end_say(to, "abc");
    (void)net_flush(&harness->net);
    peer_has(from, "ABC");
    end_free(to);
    close(from->peer);
    free(from);
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
        TWICE(a_connection_that_cannot_be_sealed_hangs_up),
        TWICE(the_owner_of_a_full_socket_is_told_so_by_a_fill_of_which_nothing_is_taken),
        TWICE(a_connection_is_handed_on_with_its_wire),
        TWICE(there_are_so_many_wires_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
