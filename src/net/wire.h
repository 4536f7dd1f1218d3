/* A wire: how the bytes of a connection come from its socket and reach it.
 *
 *     owner ──▶ conn ──▶ wire ──▶ socket
 *
 * A plain wire hands them on as they are, and what is plain may leave with many others in one
 * submission to io_uring; see flush.c. A wire that changes the bytes, such as one that encrypts
 * them, keeps its state beside: the descriptor finds it, so that plain connections pay nothing for
 * it. */
#pragma once

#include "base/str.h"

struct conn;

struct wire {
    /* Like recv() and send() without waiting: the number of bytes, 0 at the peer's end, or a
     * negative errno. `write` takes fewer bytes than given only if the socket is full: epoll says
     * when it no longer is. */
    int (*read)(struct conn *conn, char *room, size_t size);
    int (*write)(struct conn *conn, struct str bytes);
    /* The bytes that have come and that the next `read` gives, though the kernel tells of none.
     * NULL: none ever. */
    size_t (*pending)(const struct conn *conn);
    void (*shut)(struct conn *conn); /* tells the peer that no more bytes follow */
    void (*close)(struct conn *conn);
    bool is_plain; /* `write` is a send() of these very bytes */
};

extern const struct wire wire_plain;
