/* Tells the service manager that the server is alive: systemd's watchdog, sd_watchdog_enabled(3).
 *
 * A thread of its own beats twice in the time that the manager allows. A beat sends each worker a
 * mail. The next beat reports WATCHDOG=1 if every worker has opened its mail: so a worker that
 * hangs makes the manager restart the server, and a worker that is only busy does not.
 *
 *     watchdog_start() ──▶ beats ──▶ watchdog_let_go() ──▶ beats without asking ──▶ watchdog_stop()
 *
 * Workers that have drained end, and open no mail any more. So from watchdog_let_go() on no worker
 * is asked; limits.drain_ms bounds the time that is left. */
#pragma once

#include "log/log.h"
#include "net/mailbox.h"

#include <pthread.h>

/* A worker as the watchdog knows it. */
struct watchdog_pulse {
    struct mail mail;
    struct mailbox *mailbox;
    atomic_bool is_out; /* the mail was posted and not opened yet */
};

struct watchdog {
    struct watchdog_pulse pulses[LOG_PORTS_MAX]; /* the workers are fewer */
    unsigned count;
    int64_t every_ms;     /* 0: the manager does not watch */
    bool is_silent;       /* the last beat found a worker that hangs; of the watchdog's thread */
    bool is_let_go, ends; /* under the lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
};

/* Takes the time from WATCHDOG_USEC, if WATCHDOG_PID is missing or this process. Without it the
 * watchdog does nothing, and neither do the functions below. Before threads are started. */
void watchdog_init(struct watchdog *watchdog);

/* Has the watchdog ask the owner of this mailbox too. Before watchdog_start(). */
void watchdog_add(struct watchdog *watchdog, struct mailbox *mailbox);

/* Returns 0 or a negative errno. */
int watchdog_start(struct watchdog *watchdog);

/* The owners of the mailboxes are about to end. */
void watchdog_let_go(struct watchdog *watchdog);

/* Ends the thread. The mailboxes may have mail of it still, so the watchdog must outlive them. */
void watchdog_stop(struct watchdog *watchdog);

/* Does a beat: true if all have opened the mail of the beat before. Posts the next. For the
 * watchdog's thread, and for tests. */
bool watchdog_beat(struct watchdog *watchdog);
