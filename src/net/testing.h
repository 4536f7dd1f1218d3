/* Connections over socket pairs that send the bytes of a test and record their callbacks. */
#pragma once

#include "base/buf.h"
#include "base/mem.h"
#include "net/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct harness {
    struct clock_fake clock;
    struct loop loop;
    struct net net;
    unsigned fills;   /* calls of `fill`, of all connections */
    int64_t close_us; /* how long the callback `closed` takes */
};

struct end {
    struct conn conn;
    struct harness *harness;
    int peer; /* the other end of the socket */
    struct buf out;
    size_t out_sent;
    struct buf in;
    bool ended; /* the peer is done sending */
    bool stop;  /* `sent` says that there is no more */
    unsigned fills, sents, hung_ups, closes;
    size_t last_sent;
    struct end *closes_on_fill, *closes_on_sent, *closes_on_read;
    bool dirty_on_fill;
};

static inline struct end *end_of(struct conn *conn)
{
    return container_of(conn, struct end, conn);
}

static inline void end_readable(struct conn *conn)
{
    struct end *end = end_of(conn);
    struct str bytes;
    int n;
    while ((n = conn_read(conn, &bytes)) > 0)
        buf_add_str(&end->in, bytes);
    end->ended = end->ended || n == -EPIPE;
    if (end->closes_on_read)
        conn_close(&end->closes_on_read->conn);
}

static inline struct str end_fill(struct conn *conn)
{
    struct end *end = end_of(conn);
    end->fills++;
    end->harness->fills++;
    if (end->closes_on_fill)
        conn_close(&end->closes_on_fill->conn);
    if (end->dirty_on_fill)
        conn_dirty(conn);
    return str_skip(buf_str(&end->out), end->out_sent);
}

static inline bool end_sent(struct conn *conn, size_t n)
{
    struct end *end = end_of(conn);
    end->sents++;
    end->last_sent = n;
    end->out_sent += n;
    if (end->closes_on_sent)
        conn_close(&end->closes_on_sent->conn);
    return !end->stop;
}

static inline void end_hung_up(struct conn *conn)
{
    end_of(conn)->hung_ups++;
    conn_close(conn);
}

static inline void end_closed(struct conn *conn)
{
    struct end *end = end_of(conn);
    end->closes++;
    clock_fake_advance(&end->harness->clock, end->harness->close_us);
}

static const struct conn_ops end_ops = {end_readable, end_fill, end_sent, end_hung_up,
                                        end_closed,   NULL,     NULL,     NULL};

static inline struct harness *harness_new(bool uring)
{
    struct harness *harness = mem_alloc(sizeof(*harness));
    clock_fake_init(&harness->clock, 1000000);
    assert_int_equal(loop_init(&harness->loop, &harness->clock.clock, harness), 0);
    assert_int_equal(net_init(&harness->net, &harness->loop, 0, 1), 0);
    if (uring && net_use_uring(&harness->net))
        print_message("no io_uring here: plain sends instead\n");
    return harness;
}

static inline void harness_free(struct harness *harness)
{
    while (net_bury(&harness->net))
        ;
    assert_int_equal(harness->net.conns, 0);
    net_deinit(&harness->net);
    loop_deinit(&harness->loop);
    free(harness);
}

static inline struct end *end_new_over(struct harness *harness, unsigned wire)
{
    struct end *end = mem_alloc(sizeof(*end));
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    end->harness = harness;
    end->peer = fds[1];
    assert_int_equal(conn_init(&end->conn, &harness->net, fds[0], wire, &end_ops), 0);
    return end;
}

static inline struct end *end_new(struct harness *harness)
{
    return end_new_over(harness, NET_PLAIN);
}

/* Closes and buries it. */
static inline void end_free(struct end *end)
{
    conn_close(&end->conn);
    net_bury(&end->harness->net);
    assert_int_equal(end->closes, 1);
    if (end->peer >= 0)
        close(end->peer);
    buf_free(&end->out);
    buf_free(&end->in);
    free(end);
}

static inline void end_say(struct end *end, const char *text)
{
    buf_add_str(&end->out, str_from(text));
    conn_dirty(&end->conn);
}

/* Reads up to `most` bytes at the other end into `in`; returns their number. */
static inline size_t peer_read(const struct end *end, struct buf *in, size_t most)
{
    size_t sum = 0;
    while (sum < most) {
        size_t n = most - sum < 4096 ? most - sum : 4096;
        ssize_t got = recv(end->peer, buf_reserve(in, n), n, MSG_DONTWAIT);
        if (got <= 0)
            break;
        in->len += (size_t)got;
        sum += (size_t)got;
    }
    return sum;
}

static inline void peer_has(const struct end *end, const char *want)
{
    struct buf in = {0};
    peer_read(end, &in, SIZE_MAX);
    buf_add_char(&in, '\0');
    assert_string_equal(in.at, want);
    buf_free(&in);
}
