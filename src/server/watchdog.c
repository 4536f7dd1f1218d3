#include "server/watchdog.h"

#include "base/environment.h"
#include "base/mem.h"
#include "base/say.h"
#include "server/notify.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int64_t allowed_us(void)
{
    const char *us = environment("WATCHDOG_USEC"), *pid = environment("WATCHDOG_PID");
    if (!us || (pid && strtol(pid, NULL, 10) != (long)getpid()))
        return 0;
    long long allowed = strtoll(us, NULL, 10);
    return allowed > 0 && allowed < LLONG_MAX ? allowed : 0;
}

void watchdog_init(struct watchdog *watchdog)
{
    pthread_condattr_t monotonic;
    int64_t us = allowed_us();
    *watchdog = (struct watchdog){.every_ms = us && us < 2000 ? 1 : us / 2000};
    pthread_mutex_init(&watchdog->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&watchdog->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

void watchdog_add(struct watchdog *watchdog, struct mailbox *mailbox)
{
    if (watchdog->every_ms && watchdog->count < LOG_PORTS_MAX)
        watchdog->pulses[watchdog->count++].mailbox = mailbox;
}

/* ---- beats ----------------------------------------------------------------------------------- */

static void open_pulse(struct mail *mail, void *owner)
{
    (void)owner;
    atomic_store(&container_of(mail, struct watchdog_pulse, mail)->is_out, false);
}

static void post(struct watchdog_pulse *pulse)
{
    atomic_store(&pulse->is_out, true);
    pulse->mail.open = open_pulse;
    mailbox_post(pulse->mailbox, &pulse->mail);
}

bool watchdog_beat(struct watchdog *watchdog)
{
    unsigned hang = 0, first = 0;
    for (unsigned i = 0; i < watchdog->count; i++) {
        struct watchdog_pulse *pulse = &watchdog->pulses[i];
        if (!atomic_load(&pulse->is_out))
            post(pulse);
        else if (!hang++)
            first = i;
    }
    if (hang && !watchdog->is_silent)
        say(SAY_ERROR, "worker_hangs", "workers=%u first=%u within_ms=%lld", hang, first,
            (long long)watchdog->every_ms);
    watchdog->is_silent = hang;
    return !hang;
}

static void tell(void)
{
    int result = notify_manager("WATCHDOG=1");
    if (result)
        say(SAY_WARN, "manager_not_told", "state=WATCHDOG=1 error=\"%s\"", strerror(-result));
}

/* ---- the thread ------------------------------------------------------------------------------ */

static struct timespec after_ms(int64_t ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += ms % 1000 * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_nsec -= 1000000000;
        at.tv_sec++;
    }
    return at;
}

/* Waits for the next beat. Returns whether there is one. */
static bool wait_for_beat(struct watchdog *watchdog, bool *ret_asks)
{
    struct timespec until = after_ms(watchdog->every_ms);
    int result = 0;
    pthread_mutex_lock(&watchdog->lock);
    while (!watchdog->ends && result != ETIMEDOUT)
        result = pthread_cond_timedwait(&watchdog->changed, &watchdog->lock, &until);
    bool beats = !watchdog->ends;
    *ret_asks = !watchdog->is_let_go;
    pthread_mutex_unlock(&watchdog->lock);
    return beats;
}

static void *watchdog_main(void *arg)
{
    struct watchdog *watchdog = arg;
    for (bool asks; wait_for_beat(watchdog, &asks);)
        if (!asks || watchdog_beat(watchdog))
            tell();
    return NULL;
}

int watchdog_start(struct watchdog *watchdog)
{
    if (!watchdog->every_ms)
        return 0;
    int result = -pthread_create(&watchdog->thread, NULL, watchdog_main, watchdog);
    if (result)
        watchdog->every_ms = 0;
    return result;
}

void watchdog_let_go(struct watchdog *watchdog)
{
    pthread_mutex_lock(&watchdog->lock);
    watchdog->is_let_go = true;
    pthread_mutex_unlock(&watchdog->lock);
}

void watchdog_stop(struct watchdog *watchdog)
{
    if (!watchdog->every_ms)
        return;
    pthread_mutex_lock(&watchdog->lock);
    watchdog->ends = true;
    pthread_cond_signal(&watchdog->changed);
    pthread_mutex_unlock(&watchdog->lock);
    pthread_join(watchdog->thread, NULL);
}
