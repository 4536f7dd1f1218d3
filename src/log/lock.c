#include "log/lock.h"

static void note_locked(struct log *log)
{
    log->locked_ns = clock_now_ns(log->config.store.clock);
}

static void note_unlocked(struct log *log)
{
    hist_add(&log->lock_ns, (uint64_t)(clock_now_ns(log->config.store.clock) - log->locked_ns), 1);
}

/* Waits for the lock. The first waiter holds `turn`, so that no later waiter overtakes it. */
static void wait_in_turn(struct log *log)
{
    pthread_mutex_lock(&log->turn);
    pthread_mutex_lock(&log->mutex);
    pthread_mutex_unlock(&log->turn);
}

void log_lock(struct log *log)
{
    if (pthread_mutex_trylock(&log->mutex))
        wait_in_turn(log);
    note_locked(log);
}

void log_unlock(struct log *log)
{
    note_unlocked(log);
    pthread_mutex_unlock(&log->mutex);
}

/* A thread that unlocks a mutex and locks it again usually gets it before a waiting thread has
 * woken up. So it must queue behind the waiters. */
void log_give_way(struct log *log)
{
    log_unlock(log);
    wait_in_turn(log);
    note_locked(log);
}

void log_wait(struct log *log, pthread_cond_t *cond, const struct timespec *until)
{
    note_unlocked(log);
    if (until)
        (void)pthread_cond_timedwait(cond, &log->mutex, until);
    else
        pthread_cond_wait(cond, &log->mutex);
    note_locked(log);
}

void cond_init_monotonic(pthread_cond_t *cond)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &monotonic);
    pthread_condattr_destroy(&monotonic);
}
