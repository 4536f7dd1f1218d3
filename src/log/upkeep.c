/* The upkeep thread. Once a second, or when it is called, it stores trims, forgets channels without
 * events, and lets the store do its upkeep. All of that may wait for the disk, and no other thread
 * waits for it. */
#include "log/upkeep.h"

#include "base/say.h"
#include "log/lock.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

enum { KEEP_SLICE = 1024, FORGET_SLICE = 256, LOOK_SLICE = 1024, RELEASE_SLICE = 1024 };

/* Channels that are forgotten in a step of the store, and the time for this in a turn. */
enum { FORGET_MAX = 1024 };
#define FORGET_NS INT64_C(100000000)

/* The pause before trims are stored again, as a multiple of the time that it took. */
enum { KEEP_PAUSE = 20 };

/* ---- storing trims --------------------------------------------------------------------------- */

/* The names borrow from channels, which only this thread removes. */
static size_t take_unkept(struct log *log, struct store_trim *trims, uint32_t *left)
{
    size_t count = 0;
    log_lock(log);
    for (; *left && count < KEEP_SLICE; --*left) {
        const struct channel *channel = apply_dequeue(&log->apply, QUEUE_UNKEPT);
        if (channel)
            trims[count++] = (struct store_trim){channel_number(channel), channel_name(channel),
                                                 channel->last, channel->trimmed};
    }
    log_unlock(log);
    return count;
}

static void put_back(struct log *log, const struct store_trim *trims, size_t count)
{
    log_lock(log);
    for (size_t i = 0; i < count; i++)
        (void)apply_enqueue(&log->apply, channels_by_number(&log->apply.channels, trims[i].number),
                            QUEUE_UNKEPT);
    log_unlock(log);
}

void upkeep_store_trims(struct log *log)
{
    log_lock(log);
    uint32_t left = log->apply.queues[QUEUE_UNKEPT].count;
    log_unlock(log);
    struct store_trim *trims = left ? mem_alloc(KEEP_SLICE * sizeof(*trims)) : NULL;
    while (left) {
        size_t count = take_unkept(log, trims, &left);
        int result = count ? log->store->ops->trim(log->store, trims, count) : 0;
        if (!result)
            continue;
        say(SAY_WARN, "trims_not_kept", "error=%d channels=%zu", -result, count);
        put_back(log, trims, count);
        break;
    }
    free(trims);
}

/* Limits how often trims are stored: with a hundred thousand channels trimmed each second, the
 * store would do little else. */
static void keep_trims_if_due(struct log *log)
{
    int64_t start = clock_now_ns(log->config.store.clock);
    if (start < log->keep_after_ns)
        return;
    upkeep_store_trims(log);
    int64_t end = clock_now_ns(log->config.store.clock);
    log->keep_after_ns = end + (end - start) * KEEP_PAUSE;
}

/* ---- forgetting channels --------------------------------------------------------------------- */

/* Whether channels without events must go. They are kept while there is room, because they keep
 * `prev` and gaps exact. Beyond half the table, or a quarter of the memory of a log in memory, they
 * are forgotten, and their namespace remembers the highest trimmed id of them. Not while a DELETE
 * is pending, which may be undone. */
static bool is_crowded(const struct log *log)
{
    const struct channels *channels = &log->apply.channels;
    uint64_t most = log->channels_bytes_max;
    bool crowded = channels_count(channels) > channels->count_max / 2 ||
                   (most && log_channels_bytes(log) > most);
    return crowded && !log->apply.deletions.count;
}

/* Channels that are forgotten in a step of the store, of any namespace. */
struct forgotten {
    uint32_t number; /* the channel to look at next */
    size_t count;
    size_t namespaces_count;
    struct store_trim *trims; /* a trim for each namespace */
    struct namespace **namespaces;
    uint32_t numbers[FORGET_MAX];
};

static bool is_full(const struct forgotten *forgotten)
{
    return forgotten->count == FORGET_MAX;
}

/* Removes a channel without events. */
static void forget_channel(struct channels *channels, struct channel *channel,
                           struct forgotten *forgotten)
{
    struct namespace *home = &channels->namespaces[channel->namespace];
    if (channel->trimmed > home->forgotten_trimmed)
        home->forgotten_trimmed = channel->trimmed;
    if (!home->is_forgetting)
        forgotten->namespaces[forgotten->namespaces_count++] = home;
    home->is_forgetting = true;
    forgotten->numbers[forgotten->count++] = channel_number(channel);
    channels_remove(channels, channel);
}

/* Removes channels without events; returns false at the end of the table. */
static bool gather_slice(struct log *log, struct forgotten *forgotten)
{
    struct channels *channels = &log->apply.channels;
    size_t most = forgotten->count + FORGET_SLICE;
    for (unsigned looked = 0; looked < LOOK_SLICE; looked++, forgotten->number++) {
        if (forgotten->number > channels->number_last || forgotten->count == most ||
            is_full(forgotten))
            break;
        struct channel *channel = channels_by_number(channels, forgotten->number);
        if (channel && !channel->count && channel->last <= channel->trimmed &&
            !(channel->waits & CHANNEL_PREPARED))
            forget_channel(channels, channel, forgotten);
    }
    return forgotten->number <= channels->number_last;
}

/* Names the trimmed ids of namespaces, which stand for forgotten channels: '*', then the prefix. */
static int name_trims(const struct forgotten *forgotten, struct buf *names)
{
    for (size_t i = 0; i < forgotten->namespaces_count; i++) {
        buf_add_char(names, '*');
        buf_add_str(names, forgotten->namespaces[i]->config.prefix);
    }
    if (buf_failed(names))
        return -ENOMEM;
    struct str left = buf_str(names);
    for (size_t i = 0; i < forgotten->namespaces_count; i++) {
        size_t len = 1 + forgotten->namespaces[i]->config.prefix.len;
        forgotten->trims[i].name = (struct str){left.at, len};
        left = str_skip(left, len);
    }
    return 0;
}

/* Gathers channels for a step of the store; returns false at the end of the table. */
static bool gather(struct log *log, struct forgotten *forgotten)
{
    bool more = true;
    forgotten->count = forgotten->namespaces_count = 0;
    while (more && !is_full(forgotten)) {
        log_lock(log);
        more = is_crowded(log) && gather_slice(log, forgotten);
        log_unlock(log);
    }
    log_lock(log);
    for (size_t i = 0; i < forgotten->namespaces_count; i++) {
        forgotten->trims[i] =
            (struct store_trim){.trimmed = forgotten->namespaces[i]->forgotten_trimmed};
        forgotten->namespaces[i]->is_forgetting = false;
    }
    log_unlock(log);
    return more;
}

static void store_forgotten(struct log *log, const struct forgotten *forgotten)
{
    struct buf names = {0};
    int result = name_trims(forgotten, &names);
    result =
        result ? result
               : log->store->ops->forget(log->store, forgotten->trims, forgotten->namespaces_count,
                                         forgotten->numbers, forgotten->count);
    if (result)
        say(SAY_WARN, "folding_not_kept", "error=%d channels=%zu", -result, forgotten->count);
    buf_free(&names);
}

/* Forgets channels for a limited time, so that the store's upkeep has its turn even if channels
 * come and go fast. The next turn continues from there. */
static void forget_some(struct log *log, struct forgotten *forgotten)
{
    int64_t until = clock_now_ns(log->config.store.clock) + FORGET_NS;
    bool more = true;
    forgotten->number = log->forget_from ? log->forget_from : 1;
    while (more && clock_now_ns(log->config.store.clock) < until) {
        more = gather(log, forgotten);
        if (forgotten->count)
            store_forgotten(log, forgotten);
    }
    log->forget_from = more ? forgotten->number : 1;
}

static void forget_empty(struct log *log)
{
    log_lock(log);
    bool crowded = is_crowded(log);
    log_unlock(log);
    struct forgotten *forgotten = crowded ? mem_try_alloc(sizeof(*forgotten)) : NULL;
    if (!forgotten)
        return;
    size_t namespaces = log->apply.channels.namespaces_count;
    forgotten->trims = mem_try_alloc(namespaces * sizeof(*forgotten->trims));
    forgotten->namespaces = mem_try_alloc(namespaces * sizeof(struct namespace *));
    if (forgotten->trims && forgotten->namespaces)
        forget_some(log, forgotten);
    free(forgotten->trims);
    free(forgotten->namespaces);
    free(forgotten);
}

/* ---- reuse of their numbers ------------------------------------------------------------------ */

void upkeep_note_freed(struct log *log, uint32_t number)
{
    /* Without memory the number is free after the next opening. */
    (void)numbers_push(&log->freed, number);
}

/* A thread that makes room in memory has numbers in hand, too, while it holds its lock. */
static void release_some(struct log *log)
{
    pthread_mutex_lock(&log->size_lock);
    log_lock(log);
    for (unsigned i = 0; i < RELEASE_SLICE && log->resting.count; i++)
        channels_release(&log->apply.channels, numbers_pop(&log->resting));
    log_unlock(log);
    pthread_mutex_unlock(&log->size_lock);
}

static uint64_t rounds_of(struct log *log)
{
    log_lock(log);
    uint64_t rounds = log->trim_rounds;
    log_unlock(log);
    return rounds;
}

/* Releases freed numbers once the trimmer has ended a round. The trimmer asks the store about
 * channels by number, without the lock, and may have had these numbers in hand. */
static void release_numbers(struct log *log)
{
    uint64_t rounds = rounds_of(log);
    while (log->resting.count && (!log->tended || rounds > log->resting_since))
        release_some(log);
    if (log->resting.count || !log->freed.count)
        return;
    numbers_deinit(&log->resting);
    log->resting = log->freed;
    log->resting_since = rounds;
    log->freed = (struct numbers){0};
}

/* ---- the thread ------------------------------------------------------------------------------ */

void upkeep_turn(struct log *log)
{
    keep_trims_if_due(log);
    forget_empty(log);
    release_numbers(log);
    int result = log->store->ops->upkeep(log->store);
    if (result)
        say(SAY_WARN, "upkeep_failed", "error=%d", -result);
}

static void wait_a_second(struct log *log)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec++;
    while (!log->upkeep_stop && !log->upkeep_now &&
           pthread_cond_timedwait(&log->upkeep_work, &log->upkeep_lock, &until) != ETIMEDOUT)
        ;
    log->upkeep_now = false;
}

static void *upkeep_main(void *arg)
{
    struct log *log = arg;
    pthread_mutex_lock(&log->upkeep_lock);
    while (!log->upkeep_stop) {
        wait_a_second(log);
        if (log->upkeep_stop)
            break;
        pthread_mutex_unlock(&log->upkeep_lock);
        upkeep_turn(log);
        pthread_mutex_lock(&log->upkeep_lock);
    }
    pthread_mutex_unlock(&log->upkeep_lock);
    return NULL;
}

void log_upkeep(struct log *log)
{
    pthread_mutex_lock(&log->upkeep_lock);
    log->upkeep_now = true;
    pthread_cond_signal(&log->upkeep_work);
    pthread_mutex_unlock(&log->upkeep_lock);
}

int upkeep_start(struct log *log)
{
    return -pthread_create(&log->upkeep, NULL, upkeep_main, log);
}

void upkeep_stop(struct log *log)
{
    pthread_mutex_lock(&log->upkeep_lock);
    log->upkeep_stop = true;
    pthread_cond_signal(&log->upkeep_work);
    pthread_mutex_unlock(&log->upkeep_lock);
    pthread_join(log->upkeep, NULL);
}
