/* An event loop for one thread: edge-triggered epoll, a wheel of timers, a mailbox. */
#pragma once

#include "base/clock.h"
#include "base/list.h"
#include "net/mailbox.h"

#include <stdint.h>

/* The target of an epoll entry; embedded in the owner of a descriptor. */
struct watch {
    void (*ready)(struct watch *watch, uint32_t events); /* EPOLLIN, EPOLLOUT, … */
};

enum { WHEEL_SLOTS = 1024, WHEEL_TICK_MS = 64 };

/* The most time for timers in a turn, and the most timers. The rest waits for the next turn, so
 * that mail and sockets come between. */
enum { TIMERS_US = 1000, TIMERS_A_TURN = 4096 };

/* The time over which `load` is measured, and its value for a loop without rest. */
enum { LOAD_WINDOW_MS = 100, LOAD_FULL = 1024 };

/* A timer that rings once, never early and at most a tick (64 ms) late. A timer of zeroes is off. A
 * wheel instead of a heap: to stop a timer and set it again, as ten thousand heartbeats do all day,
 * needs no allocation and no search. */
struct timer {
    struct list node;
    uint32_t due; /* the tick at which it rings */
    void (*ring)(struct timer *timer);
};

struct loop {
    int epoll_fd;
    struct clock *clock;
    int64_t now_ns; /* monotonic, as of this turn */
    int64_t start_ns;
    int64_t busy_ns; /* when a turn last had work */
    int64_t idle_ns; /* time without work, since the start */
    int64_t weighed_ns, weighed_idle_ns;
    int64_t rang_busy_ns; /* loop_busy_ns() when timers last had their share */
    unsigned load;        /* the share of recent time with work; LOAD_FULL is all */
    int64_t spin_ns;      /* for this long after the last work, turns look and do not wait; 0 unless
                           * set */
    uint32_t tick;
    struct list wheel[WHEEL_SLOTS];
    struct list due;     /* timers of slots that were passed: each turn rings some, or puts them
                          * back */
    uint64_t timers_cut; /* turns that left due timers to the next */
    bool hurries;        /* no turn does: the loop is about to end */
    struct mailbox mailbox;
    struct watch mailbox_watch;
};

/* Returns 0 or a negative errno. `owner` is passed to mail when it is opened. */
int loop_init(struct loop *loop, struct clock *clock, void *owner);
void loop_deinit(struct loop *loop);

/* The time with work since the start. */
static inline int64_t loop_busy_ns(const struct loop *loop)
{
    return loop->now_ns - loop->start_ns - loop->idle_ns;
}

/* Notes that this turn has work, if the turn cannot know it by itself. */
static inline void loop_worked(struct loop *loop)
{
    loop->busy_ns = loop->now_ns;
}

/* Watches a descriptor; the watch must stay until loop_unwatch(). Returns 0 or a negative errno. */
int loop_watch(struct loop *loop, int fd, uint32_t events, struct watch *watch);
int loop_rewatch(struct loop *loop, int fd, uint32_t events, struct watch *watch);
void loop_unwatch(struct loop *loop, int fd);

/* Sets the timer; one that was set before starts anew. */
void timer_set(struct loop *loop, struct timer *timer, int64_t after_ms);
void timer_stop(struct timer *timer);

/* Runs a turn: opens mail, waits if there is no work, calls the watches, rings the timers.
 * `wait_ms` is the longest wait; -1: until a timer is due; 0: no wait. */
void loop_turn(struct loop *loop, int wait_ms);
