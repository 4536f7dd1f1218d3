/* A connection: a non-blocking socket that tells its owner when to read and asks it for bytes to
 * send. */
#pragma once

#include "base/str.h"
#include "net/client.h"
#include "net/loop.h"
#include "net/wire.h"

struct conn;
struct net;

struct conn_ops {
    /* There are bytes to read, or the peer is done sending; see conn_read(). */
    void (*readable)(struct conn *conn);
    /* Returns the next bytes to send, contiguous; empty if there are none now. They must stay until
     * `sent`, which follows in the same turn, unless the connection was closed. In between the
     * owner is only called for `fill` and `sent` of other connections. */
    struct str (*fill)(struct conn *conn);
    /* The socket, or a wire that changes the bytes, took the first `n` bytes of `fill`; fewer than
     * given if it is full. Returns whether to ask `fill` again soon. */
    bool (*sent)(struct conn *conn, size_t n);
    /* The peer hung up or the socket failed, and there are no bytes left to read. The owner calls
     * conn_close(). */
    void (*hung_up)(struct conn *conn);
    /* The connection is closed, at the end of this turn or of a later one: the owner frees the
     * structure that embeds it. */
    void (*closed)(struct conn *conn);
    /* The server stops: ends before long, what goes on forever in `after_ms`. Whoever stops the
     * server calls it. */
    void (*drain)(struct conn *conn, uint32_t after_ms);
    /* For the owner's own use: what goes on may not be allowed any more. NULL: nothing does. */
    void (*review)(struct conn *conn);
    /* For the owner's own use: shows `visitor` everything that goes on over the connection. NULL:
     * nothing does. */
    void (*visit)(struct conn *conn, void *visitor);
};

struct conn {
    struct watch watch;
    const struct conn_ops *ops;
    struct net *net;
    struct list dirty; /* in net->dirty or net->later while it may have bytes to send */
    struct list node;  /* for a list of the owner's */
    int fd;
    uint32_t id;       /* never 0; not repeated within 2^32 connections of a process */
    uint32_t place;    /* of the owner: where the connection is counted for its address. Goes along
                        * when the connection is handed over */
    bool readable : 1; /* the kernel may have bytes for us */
    bool writable : 1; /* the kernel may take bytes from us */
    bool hup : 1;      /* the peer will send no more */
    bool dead : 1;     /* conn_close() was called */
    bool late : 1;     /* in net->later */
    bool behind : 1;   /* the owner says that the next bytes are for catching up */
    uint8_t wire;      /* of net->wires */
    uint8_t door;      /* of the owner: by which listener the connection came */
};

/* The most connections in a slice, and how many of them come from net->later. A thousand sends cost
 * less in one submission than in four; more gain nothing. The share of net->later is bounded from
 * below and above: pages are large, and a slice of nothing else would hold up the next event. */
enum { NET_SLICE = 1024, NET_LATER = 64, NET_READ_SIZE = 64 * 1024 };

/* The most bytes and time of a slice, and the charge for each `fill`, which may make a page even if
 * it returns nothing. The slice is sent when they are spent, and the rest is left to the next
 * turn. */
enum { NET_SLICE_BYTES = 2 << 20, NET_SLICE_US = 2000, NET_ASK_COST = 256 };

/* The most closed connections that a turn buries, and the most time for it: ten thousand may be
 * reset at once. */
enum { NET_BURY = 256, NET_BURY_US = 1000 };

/* The wires that connections of a thread may have. */
enum { NET_PLAIN, NET_WIRES_MAX = 4 };

/* The room for what wires seal: the bytes of a slice, with those of a connection that is the last
 * to fit and all that catch up, in the records of all its connections. */
enum { NET_SEAL_MAX = 16 * 1024, NET_SEAL_COST = 512 };
enum {
    NET_SEALED_SIZE =
        NET_SLICE_BYTES + (NET_LATER + 1) * NET_SEAL_MAX + (NET_SLICE + 1) * NET_SEAL_COST
};

struct uring;

/* The kernel's view of how a peer takes the bytes that were sent to it. */
struct conn_delivery {
    bool unacked;    /* bytes were sent that are not acknowledged */
    unsigned probes; /* unanswered probes of a closed window */
    int64_t ack_ms;  /* since the last acknowledgement, of data or of a probe */
};

/* The state that the connections of a thread share. */
struct net {
    struct loop *loop;
    struct list dirty;
    struct list later;   /* connections that catch up: sent after those with new events */
    struct list dead;    /* closed and not buried yet */
    struct uring *uring; /* NULL: plain sends */
    /* A number of each is enough for a connection, which has no room for a pointer. */
    const struct wire *wires[NET_WIRES_MAX];
    unsigned wires_count;
    struct clients proxied;   /* clients of connections, as the PROXY protocol names them */
    struct clients forwarded; /* clients of requests, as fields of the requests name them */
    char *read_room;          /* NET_READ_SIZE bytes, shared by all reads */
    char *sealed;             /* NET_SEALED_SIZE bytes, once there is a wire that seals */
    size_t sealed_len;
    uint32_t id_next;
    uint32_t id_step; /* spacing, so that threads give different ids */
    uint64_t sends;
    uint64_t bytes_sent;
    uint64_t slices_cut;  /* slices that ended because bytes or time were spent */
    uint64_t burials_cut; /* turns that left closed connections to the next */
    uint32_t conns;
    /* TCP_INFO, or a test's own function. Returns 0 or a negative errno. */
    int (*ask_delivery)(int fd, struct conn_delivery *ret);
};

int net_init(struct net *net, struct loop *loop, unsigned thread, unsigned threads);

/* Uses io_uring for slices of sends, if the kernel permits it. Call it on the thread that will
 * flush, which the ring belongs to. Returns 0, or the negative errno of uring_new(): plain sends
 * are used then. */
int net_use_uring(struct net *net);
void net_deinit(struct net *net);

/* Adds a wire, and returns its number for conn_init(); -ENOSPC beyond NET_WIRES_MAX. NET_PLAIN is
 * there from the start. */
int net_add_wire(struct net *net, const struct wire *wire);

/* An id like those of connections: for what shares a connection with others, and is told apart from
 * them. */
uint32_t net_next_id(struct net *net);

/* Takes over `fd`, a connected or accepted non-blocking socket. On failure (negative errno) the fd
 * is closed. */
int conn_init(struct conn *conn, struct net *net, int fd, unsigned wire,
              const struct conn_ops *ops);

/* Moves the socket of a connection, and what is known of it, to another one, for an owner who
 * speaks another protocol over it: the wire and the id stay. `from` is closed without its socket,
 * and its owner hears of that as after conn_close(). Returns 0 or a negative errno: then nothing
 * has changed. */
int conn_hand_over(struct conn *from, struct conn *to, const struct conn_ops *ops);

/* Whether the socket has another structure now; for `closed`. */
static inline bool conn_is_handed_over(const struct conn *conn)
{
    return conn->fd < 0;
}

static inline const struct wire *conn_wire(const struct conn *conn)
{
    return conn->net->wires[conn->wire];
}

/* Notes that `fill` may have bytes. Cheap; does nothing while the socket is full, unless the wire
 * keeps what that did not take: the owner does not know yet then that it is full. */
void conn_dirty(struct conn *conn);

/* The same for bytes that may wait until others have their new events: pages for connections that
 * catch up. A connection that is `behind` also comes here when it has more to send, or when its
 * socket has room again. conn_dirty() takes it out. */
void conn_dirty_later(struct conn *conn);

/* Calls conn_dirty() or conn_dirty_later(), depending on `behind`. */
void conn_dirty_again(struct conn *conn);

/* Sends the next bytes now instead of at the end of the turn, for bytes that would take much memory
 * if all connections held theirs until then. Of the connection's callbacks only `readable` may call
 * this. */
void conn_flush(struct conn *conn);

/* Reads once into the shared room. Returns the number of bytes with `*ret_bytes` set, 0 if there
 * are none now, -EPIPE if the peer is done sending, or another negative errno. */
int conn_read(struct conn *conn, struct str *ret_bytes);

/* Whether bytes have come that were not read yet. */
bool conn_has_unread(const struct conn *conn);

/* Whether the socket has taken all bytes that the owner was told are sent. If not, `fill` is asked
 * again when it has. */
static inline bool conn_is_clear(const struct conn *conn)
{
    const struct wire *wire = conn_wire(conn);
    return !wire->seal || (!wire->has_added(conn) && !wire->rest(conn).len);
}

/* Tells the peer that no more bytes follow, once the connection is clear. What it sends is still
 * read. */
static inline void conn_shut(struct conn *conn)
{
    conn_wire(conn)->shut(conn);
}

/* Closes the connection: from now on nothing is read or sent. The socket is closed and `closed`
 * called at the end of the turn, or of a later one if there are many. A second call does
 * nothing. */
void conn_close(struct conn *conn);

/* Whether the peer has acknowledged nothing for `ms` although it should have: the peer or its
 * network is gone without notice. A peer that is only slow acknowledges the bytes that it takes,
 * and answers the probes of its closed window. False if the kernel does not say. */
int conn_ask_tcp(int fd, struct conn_delivery *ret);
bool conn_is_deserted(const struct conn *conn, int64_t ms);

/* Buries a closed connection before all others, because it holds much memory. */
void conn_bury_first(struct conn *conn);

/* Sends a slice of dirty connections; returns whether there are more. */
bool net_flush(struct net *net);

static inline bool net_is_dirty(const struct net *net)
{
    return !list_empty(&net->dirty) || !list_empty(&net->later);
}

static inline bool net_has_dead(const struct net *net)
{
    return !list_empty(&net->dead);
}

/* Closes the sockets of closed connections and tells their owners, as many as a turn may. The last
 * thing in a turn. Returns whether some are left. */
bool net_bury(struct net *net);
