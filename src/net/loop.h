/* One thread's event loop: edge-triggered epoll, a wheel of timers, a mailbox. */
#pragma once

#include "base/clock.h"
#include "base/list.h"
#include "net/mailbox.h"

#include <stdint.h>

/* What epoll points at; embedded in whatever owns a descriptor. */
struct watch {
    void (*ready)(struct watch *watch, uint32_t events); /* EPOLLIN, EPOLLOUT, … */
};

enum { WHEEL_SLOTS = 1024, WHEEL_TICK_MS = 64 };

/* For how long timers ring in one turn, and how many do at most. More that are due wait for the
 * next turn, so that mail and sockets come between. */
enum { TIMERS_US = 1000, TIMERS_A_TURN = 4096 };

/* How long is looked at before `load` says something new, and what it is while there is no rest. */
enum { LOAD_WINDOW_MS = 100, LOAD_FULL = 1024 };

/* Rings once, not before its time and at most a tick (64 ms) late. All zeroes is off. A wheel
 * instead of a heap: setting one off and on again costs no allocation and no search, which is what
 * ten thousand heartbeats do all day. */
struct timer {
    struct list node;
    uint32_t due; /* tick */
    void (*ring)(struct timer *timer);
};

struct loop {
    int epoll_fd;
    struct clock *clock;
    int64_t now_ns; /* monotonic, as of this turn */
    int64_t start_ns;
    int64_t busy_ns; /* when a turn last had something to do */
    int64_t idle_ns; /* since the start, in which none had */
    int64_t weighed_ns, weighed_idle_ns;
    unsigned load;   /* share of the time with something to do, lately, of LOAD_FULL */
    int64_t spin_ns; /* for so long after that, turns look and do not wait; 0 unless set */
    uint32_t tick;
    struct list wheel[WHEEL_SLOTS];
    struct list due;     /* timers of slots that were passed: rung, or put back, a few a turn */
    uint64_t timers_cut; /* turns that left some of them for the next */
    struct mailbox mailbox;
    struct watch mailbox_watch;
};

/* 0 or a negative errno. `owner` is what opened mail is given. */
int loop_init(struct loop *loop, struct clock *clock, void *owner);
void loop_deinit(struct loop *loop);

/* Of the time since the start, for how long it had something to do. */
static inline int64_t loop_busy_ns(const struct loop *loop)
{
    return loop->now_ns - loop->start_ns - loop->idle_ns;
}

/* This turn has something to do. Whoever finds more than the turn itself did, says so. */
static inline void loop_worked(struct loop *loop)
{
    loop->busy_ns = loop->now_ns;
}

/* Watches a descriptor; the watch must stay until loop_unwatch. 0 or a negative errno. */
int loop_watch(struct loop *loop, int fd, uint32_t events, struct watch *watch);
int loop_rewatch(struct loop *loop, int fd, uint32_t events, struct watch *watch);
void loop_unwatch(struct loop *loop, int fd);

/* Sets the timer, anew if it was set already. */
void timer_set(struct loop *loop, struct timer *timer, int64_t after_ms);
void timer_stop(struct timer *timer);

/* One turn: opens mail, waits for at most `wait_ms` (-1: as long as no timer is due; 0: not at all)
 * unless there is something to do, tells the watches, rings the timers. */
void loop_turn(struct loop *loop, int wait_ms);
