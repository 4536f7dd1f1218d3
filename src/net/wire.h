/* A wire: how the bytes of a connection come from its socket and reach it.
 *
 *     owner ──▶ conn ──▶ wire ──▶ socket
 *
 * A plain wire hands them on as they are. A wire that changes the bytes, such as one that encrypts
 * them, gathers what its connection has to say, seals it into room of the thread, and what it has
 * sealed leaves with the bytes of many others in one submission to io_uring; see flush.c. Its state
 * lies beside: the descriptor finds it, so that plain connections pay nothing for it. */
#pragma once

#include "base/str.h"

struct conn;

struct wire {
    /* Like recv() without waiting: the number of bytes, 0 at the peer's end, or a negative errno.
     * `*ret_drained` says that nothing is left, in the kernel or here, until epoll reports more. */
    int (*read)(struct conn *conn, char *room, size_t size, bool *ret_drained);
    void (*shut)(struct conn *conn); /* tells the peer that no more bytes follow */
    void (*close)(struct conn *conn);

    /* Whether bytes of the peer lie here that the kernel has given and `read` has not. NULL: never.
     */
    bool (*has_unread)(const struct conn *conn);

    /* The rest is for wires that change the bytes; NULL: none of them is there, and the owner's
     * bytes are sent as they are. Such a wire takes all that it is offered and has room for, and
     * keeps what the socket does not take.
     *
     * `rest`: the bytes that the socket has to take before any others, or none. */
    struct str (*rest)(const struct conn *conn);
    /* Adds bytes of the owner to what is sealed next; returns how many, 0 only if that is full. */
    size_t (*add)(struct conn *conn, struct str bytes);
    bool (*has_added)(const struct conn *conn); /* something, and has not sealed it yet */
    /* Seals what was added, in net->sealed, where it stays until the slice is sent. Returns 0, or a
     * negative errno: the connection is broken then. */
    int (*seal)(struct conn *conn, struct str *ret_sealed);
    /* The socket took the first `n` of these bytes, which `rest` or `seal` gave: keeps the others.
     * Returns 0, or a negative errno if it cannot: the connection is broken then. */
    int (*keep)(struct conn *conn, struct str sealed, size_t n);
    /* The connection has another structure from now on; see conn_hand_over(). */
    void (*moved)(struct conn *to);
};

extern const struct wire wire_plain;

/* Sends bytes as they are, without waiting. Returns their number, or a negative errno. */
int wire_send(int fd, struct str bytes);
