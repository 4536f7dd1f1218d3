/* Makes a load and measures it: the engine behind `freshet bench`. One thread, so that one core
 * suffices beside a server that has the other. */
#pragma once

#include "bench/tally.h"
#include "bench/target.h"
#include "bench/usage.h"

#include "base/clock.h"
#include "base/hist.h"

#include <sys/socket.h>

/* Where the measured time begins and ends, and what had happened by then. */
struct load_moment {
    uint64_t time_ns;
    uint64_t taken;
    uint64_t published;
    uint64_t answered;
    uint64_t own_cpu_ns;
    struct usage usage;
};

/* What epoll points at. */
struct load_watch {
    void (*ready)(struct load_watch *watch, uint32_t events);
};

struct publisher;
struct subscriber;

enum {
    LOAD_ROOM = 256 * 1024, /* bytes that are received at a time */
    LOAD_HELD_MAX = 144,    /* bytes kept of one read for the next: a cut mark or control frame */
};

struct load {
    const struct plan *plan;
    struct target_run run;
    struct tally tally;
    struct clock *clock;
    int epoll_fd;
    int late_epoll_fd; /* of the late subscribers, watched by epoll_fd: see late_ready() */
    struct load_watch late_watch;
    struct load_watch interrupt_watch;
    bool interrupted;
    char *room; /* LOAD_HELD_MAX bytes, then LOAD_ROOM */
    struct sockaddr_storage address, publish_address;
    socklen_t address_len, publish_address_len;

    struct subscriber *subscribers;
    uint32_t subscriber_count;
    uint32_t opening; /* on their way */
    uint32_t open;
    struct publisher *publishers;
    struct target_publish publish;
    uint64_t random;
    bool publishing;
    uint64_t limit;                    /* how many events may be published by now */
    uint32_t turn;                     /* the publisher that is next */
    uint64_t pace_start_ns, pace_base; /* when publishing began, and with how many events */

    uint64_t measure_from_ns; /* what was published earlier is not measured */
    uint64_t published, answered, refused;
    uint64_t broken; /* connections that ended before the benchmark did */
    uint64_t last_progress_ns;
    uint64_t behind_ns; /* how late an event was sent at most */
    uint32_t late_left; /* of the late subscribers, who has not yet caught up */
    uint64_t late_start_ns;
    struct hist latency_ns; /* publish to receipt */
    struct hist ack_ns;     /* publish to answer */
    uint64_t *wave_ns;      /* of each wave: publish to the last receipt */
    size_t wave_count;
    uint64_t late_ns; /* until all late subscribers had caught up */
    struct usage empty, opened, end;
    struct load_moment from, to;
    struct buf why; /* the first thing that went wrong */
};

/* Runs it: 0 when it ran to its end, whatever was lost on the way; -ECANCELED when interrupted;
 * else a negative errno, with a sentence in `load->why`. `interrupt_fd` is readable once the user
 * wants an end, or -1. */
int load_run(struct load *load, const struct plan *plan, int interrupt_fd);
void load_deinit(struct load *load);

/* Whether the run counts: everything came, once, in order, and every publish was accepted. */
bool load_is_perfect(const struct load *load);

/* For the connections: remembers the first complaint. */
void load_complain(struct load *load, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static inline uint64_t load_now(const struct load *load)
{
    return (uint64_t)clock_now_ns(load->clock);
}

/* A socket on its way to `address`, watched edge-triggered by `epoll_fd`; -errno. `receive_bytes`
 * is its receive buffer, 0 for the kernel's own choice. */
int load_connect(int epoll_fd, const struct sockaddr_storage *address, socklen_t len,
                 int receive_bytes, struct load_watch *watch);
