/* A load on a server, and its measurement: the state that the course of a benchmark and its
 * connections share. */
#pragma once

#include "bench/tally.h"
#include "bench/target.h"
#include "bench/usage.h"
#include "client/lib/client_socket.h"

#include "base/clock.h"
#include "base/hist.h"
#include "base/progress.h"

#include <sys/socket.h>

/* A snapshot at the beginning or end of the measured time: the clock and all counters. */
struct load_moment {
    uint64_t time_ns;
    uint64_t taken;
    uint64_t published;
    uint64_t accepted;
    uint64_t own_cpu_ns;
    struct usage usage;
};

/* The target of an epoll entry. */
struct load_watch {
    void (*ready)(struct load_watch *watch, uint32_t events);
};

struct publisher;
struct subscriber;
struct streams;

enum {
    LOAD_ROOM = 256 * 1024, /* most bytes of a read */
    LOAD_HELD_MAX = 144,    /* most bytes kept from a read for the next: part of a mark or control
                             * frame */
};

struct load {
    const struct plan *plan;
    struct progress *progress;
    struct target_run run;
    struct tally tally;
    struct clock *clock;
    int epoll_fd;
    int late_epoll_fd; /* watches the late subscribers: see late_ready() */
    struct load_watch late_watch;
    struct load_watch interrupt_watch;
    bool interrupted;
    char *room; /* LOAD_HELD_MAX bytes, then LOAD_ROOM */
    struct sockaddr_storage address, publish_address;
    socklen_t address_len, publish_address_len;
    struct tls_client *tls, *publish_tls; /* NULL: without TLS */

    struct subscriber *subscribers;
    struct streams *streams; /* connections of HTTP/2, the newest first; NULL: none */
    uint32_t subscriber_count;
    uint32_t opening; /* number of connections that are being opened */
    uint32_t open;
    struct publisher *publishers;
    struct target_publish publish; /* plan->batch events */
    struct target_publish publish_one;
    uint64_t random;
    bool publishing;
    uint64_t limit;                    /* number of events that may have been published by now */
    uint32_t turn;                     /* index of the publisher that is next */
    uint64_t pace_start_ns, pace_base; /* when publishing began, and the number of events then */

    uint64_t measure_from_ns;     /* events published before this time are not measured */
    uint64_t published, answered; /* events */
    uint64_t accepted, refused;   /* of those answered */
    uint64_t broken;              /* connections that ended too early */
    uint64_t last_progress_ns;
    uint64_t behind_ns; /* the greatest delay between an event's due time and its send */
    uint32_t late_left; /* late subscribers that have not caught up yet */
    uint64_t late_start_ns;
    struct hist latency_ns; /* publish to receipt */
    struct hist ack_ns;     /* publish to answer */
    uint64_t *wave_ns;      /* for each wave: publish to the last receipt */
    size_t wave_count;
    uint64_t late_ns; /* until all late subscribers had caught up */
    struct usage empty, opened, end;
    struct load_moment from, to;
    struct buf why; /* the first error */
    struct buf trouble;
};

/* Whether the run was perfect: every event came, once and in order, and every publish was
 * accepted. */
bool load_is_perfect(const struct load *load);

/* Remembers the first error. For the connections. */
void load_complain(struct load *load, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static inline uint64_t load_now(const struct load *load)
{
    return (uint64_t)clock_now_ns(load->clock);
}

/* A server among those of a load. */
struct load_peer {
    const struct sockaddr_storage *address;
    socklen_t len;
    struct tls_client *tls;
};

static inline struct load_peer load_server(const struct load *load)
{
    return (struct load_peer){&load->address, load->address_len, load->tls};
}

/* Begins to connect to a server. Returns 0 with a socket that `epoll_fd` watches edge-triggered, or
 * -errno. Its handshake goes on with client_socket_shake(), once it is writable. `receive_bytes` is
 * its receive buffer, 0: the kernel's default. */
int load_connect(int epoll_fd, struct load_peer peer, int receive_bytes, struct load_watch *watch,
                 struct client_socket *ret);

/* The reason why a call for the socket failed, as a string; it stays until the next. */
const char *load_trouble(struct load *load, const struct client_socket *socket, int error);
