/* A connection: a non-blocking socket whose owner reads when told and is asked when it can send. */
#pragma once

#include "base/str.h"
#include "net/loop.h"

struct conn;
struct net;

struct conn_ops {
    /* There is something to read, or the peer is done sending; see conn_read(). */
    void (*readable)(struct conn *conn);
    /* The next bytes to send, contiguous; empty when there are none now. They must stay until
     * `sent`, which follows in the same turn with nothing of the owner's called between, apart from
     * other connections' `fill` and `sent`; it does not follow once the connection was closed. */
    struct str (*fill)(struct conn *conn);
    /* The socket took the first `n` bytes of what `fill` gave; fewer than given when it is full.
     * Whether `fill` should be asked again, soon. */
    bool (*sent)(struct conn *conn, size_t n);
    /* The peer hung up or the socket failed, and nothing of it is left to read. The owner calls
     * conn_close(). */
    void (*hung_up)(struct conn *conn);
    /* Closed for good, at the end of the turn or of a later one: the owner frees what embeds the
     * connection. */
    void (*closed)(struct conn *conn);
};

struct conn {
    struct watch watch;
    const struct conn_ops *ops;
    struct net *net;
    struct list dirty; /* in net->dirty or net->later while it may have something to send */
    int fd;
    uint32_t id;   /* never 0, not given twice within 2^32 connections of one process */
    bool readable; /* the kernel may have bytes for us */
    bool writable; /* the kernel may take bytes from us */
    bool hup;      /* the peer will send no more */
    bool dead;     /* conn_close() was called */
    bool late;     /* in net->later */
    bool behind;   /* the owner says that what it has next is for catching up */
};

/* How many connections a slice asks (a thousand sends cost less in one submission than in four; for
 * more there is nothing to gain), and how many of them, at least and at most, from net->later:
 * pages are large, and a slice of nothing else would hold up the next event. */
enum { NET_SLICE = 1024, NET_LATER = 64, NET_READ_SIZE = 64 * 1024 };

/* The bytes and the time of a slice, and what being asked counts for: a page may have been made for
 * nothing to send yet. A slice that has used them up is sent, and the rest is the next turn's. */
enum { NET_SLICE_BYTES = 2 << 20, NET_SLICE_US = 2000, NET_ASK_COST = 256 };

/* How many connections that were closed a turn buries at most, and for how long: ten thousand may
 * be reset at once. */
enum { NET_BURY = 256, NET_BURY_US = 1000 };

struct uring;

/* What the kernel knows of how a peer takes what was sent to it. */
struct conn_delivery {
    bool unacked;    /* something was sent that is not acknowledged */
    unsigned probes; /* of a closed window, not answered */
    int64_t ack_ms;  /* since the last acknowledgement, of data or of a probe */
};

/* What the connections of one thread share. */
struct net {
    struct loop *loop;
    struct list dirty;
    struct list later;   /* who catches up: behind those who have something new */
    struct list dead;    /* closed and not buried yet */
    struct uring *uring; /* NULL: plain sends */
    char *read_room;     /* NET_READ_SIZE bytes, for whoever reads right now */
    uint32_t id_next;
    uint32_t id_step; /* so that threads give different ids */
    uint64_t sends;
    uint64_t bytes_sent;
    uint64_t slices_cut;  /* slices that ended with their bytes or their time */
    uint64_t burials_cut; /* turns that left closed connections for the next */
    uint32_t conns;
    /* By TCP_INFO; a test puts its own here. 0 or a negative errno. */
    int (*ask_delivery)(int fd, struct conn_delivery *ret);
};

int net_init(struct net *net, struct loop *loop, unsigned thread, unsigned threads);

/* On the thread that will flush: io_uring for slices of sends, where the kernel permits it (a ring
 * belongs to the thread that made it). Whether it does. */
bool net_use_uring(struct net *net);
void net_deinit(struct net *net);

/* Takes over `fd`, a connected or accepted non-blocking socket. On failure (negative errno) the fd
 * is closed. */
int conn_init(struct conn *conn, struct net *net, int fd, const struct conn_ops *ops);

/* Says that `fill` may have something. Cheap, and does nothing while the socket is full. */
void conn_dirty(struct conn *conn);

/* The same for what may wait until others have what is new: pages for one who catches up. Whoever
 * is `behind` comes here too when it was sent something and has more, or when its socket has room
 * again. conn_dirty() takes it out again. */
void conn_dirty_later(struct conn *conn);

/* One of the two, by what the owner says of it. */
void conn_dirty_again(struct conn *conn);

/* Sends one piece now and not with the others when the turn ends: for what would take much memory
 * if all held theirs until then. Not from within one of its own calls but `readable`. */
void conn_flush(struct conn *conn);

/* Reads once into the net's room. Returns a number of bytes with `*ret_bytes` set, 0 when there is
 * nothing now, -EPIPE when the peer is done sending, or another negative errno. */
int conn_read(struct conn *conn, struct str *ret_bytes);

/* The connection is closed: nothing of it is read or sent any more. Its socket is closed and
 * `closed` called at the end of the turn, or of a later one if many are closed. Calling it again
 * does nothing. */
void conn_close(struct conn *conn);

/* Whether the peer has acknowledged nothing for `ms` though there was something: it is gone without
 * a word, or its network is. A peer that is only slow acknowledges what it takes, and answers the
 * probes of its closed window. False where the kernel does not say. */
int conn_ask_tcp(int fd, struct conn_delivery *ret);
bool conn_is_deserted(const struct conn *conn, int64_t ms);

/* A connection that was closed is buried before all others, since it holds much. */
void conn_bury_first(struct conn *conn);

/* Sends for one slice of dirty connections; whether there are more. */
bool net_flush(struct net *net);

static inline bool net_is_dirty(const struct net *net)
{
    return !list_empty(&net->dirty) || !list_empty(&net->later);
}

static inline bool net_has_dead(const struct net *net)
{
    return !list_empty(&net->dead);
}

/* Closes sockets of what was closed and tells the owners: as many as a turn may. Last thing in a
 * turn. Whether some are left. */
bool net_bury(struct net *net);
