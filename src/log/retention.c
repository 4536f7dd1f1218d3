/* Retention: a thread that trims events beyond their age or their channel's bounds.
 *
 * A trim happens in memory first, so that readers get a gap at once, and is then posted to every
 * port. The upkeep thread stores it later, many channels in each commit. A crash in between undoes
 * the trim, which is harmless: the events are still there, and are trimmed again at the next start.
 * The log's lock is held in short slices, and never during a call to the store.
 *
 * Channels that exceed their bounds wait in a queue (apply.h). Once a second all of them are
 * trimmed, within a budget; channels far beyond their bounds are trimmed as soon as possible. In
 * both cases one call to the store is for many channels. */
#include "log/retention.h"

#include "base/say.h"
#include "log/decide.h"
#include "log/engine.h"
#include "log/lock.h"

#include <stdlib.h>
#include <time.h>

enum {
    CUTS = 512,
    WALK_SLICE = 512,
    WALK_PENDING = 2048, /* most pending events for an exact answer, see leave_pending_out() */
    KEYS_SLICE = 256,
    EVENT_OVERHEAD = 128,
    /* A log that exceeds its bound by one in SIZE_SLACK is trimmed at once. */
    SIZE_SLACK = 64,
    /* In memory one in MEMORY_SLACK of the bound is freed at a time, since each time costs. */
    MEMORY_SLACK = 8192,
};

/* The time for a queue. A channel that waits longer has more to trim when its turn comes. */
#define BUDGET_NS INT64_C(200000000)

/* ---- entries --------------------------------------------------------------------------------- */

/* Tells a store in memory of a trim that could not be noted or has got no entry: the events would
 * be hidden, and yet keep their memory until the channel is trimmed again. Under the lock. */
static void tell_store(struct log *log, const struct channel *channel)
{
    struct store_trim trim = {.number = channel_number(channel), .trimmed = channel->trimmed};
    if (log->engine->trim)
        (void)log->store->ops->trim(log->store, &trim, 1);
}

static bool add_entry(struct append *trims, const struct channel *channel)
{
    struct event *event = trims ? batch_add(trims->batch) : NULL;
    if (!event)
        return false;
    event->state = EVENT_TRIM;
    event->id = channel->trimmed;
    event->number = channel_number(channel);
    event->channel = batch_copy(trims->batch, channel_name(channel));
    trims->batch->count -= !event->channel.at;
    return event->channel.at;
}

/* Makes TRIM entries for the channels in QUEUE_NOTED. Under the lock. */
static struct append *make_entries(struct log *log)
{
    struct append *trims = append_new(log, NULL);
    struct apply *apply = &log->apply;
    while (apply->queues[QUEUE_NOTED].count) {
        const struct channel *channel = apply_dequeue(apply, QUEUE_NOTED);
        if (channel && !add_entry(trims, channel))
            tell_store(log, channel); /* a window shows a trimmed event a little longer */
    }
    return trims;
}

/* Stores the entries, and hands them to the ports. */
static void append_trims(struct log *log, struct append *trims)
{
    bool any = trims && trims->batch->count;
    if (any && log->engine->trim)
        log->engine->trim(log, trims->batch);
    if (any)
        log_broadcast(log, trims);
    else if (trims)
        append_discard(trims);
}

static void trim(struct log *log, struct channel *channel, uint64_t upto, uint64_t count,
                 uint64_t bytes)
{
    apply_trim(&log->apply, channel, upto, count, bytes);
    if (!apply_enqueue(&log->apply, channel, QUEUE_NOTED))
        tell_store(log, channel);
    if (!log->engine->trim)
        (void)apply_enqueue(&log->apply, channel, QUEUE_UNKEPT);
}

/* ---- by count and bytes of a channel --------------------------------------------------------- */

static void leave_out(struct log *log, const struct append *append, bool out)
{
    struct apply *apply = &log->apply;
    for (; append; append = append->next) {
        for (uint32_t i = 0; i < append->batch->count; i++) {
            const struct event *event = &append->batch->events[i];
            struct channel *channel = event->state == EVENT_APPENDED
                                          ? channels_by_number(&apply->channels, event->number)
                                          : NULL;
            if (!channel || event->id <= apply_trimmed(apply, channel))
                continue;
            if (out)
                apply_count_out(apply, channel, 1, event->data.len);
            else
                apply_count_in(apply, channel, 1, event->data.len);
        }
    }
}

static struct unsafe unsafe_sum(const struct log *log)
{
    return (struct unsafe){log->pending_sum.events + log->committing_sum.events,
                           log->pending_sum.bytes + log->committing_sum.bytes};
}

static uint64_t less(uint64_t from, uint64_t by)
{
    return from > by ? from - by : 0;
}

/* Under the lock, like the functions below. */
static bool few_are_pending(const struct log *log)
{
    return unsafe_sum(log).events <= WALK_PENDING;
}

/* Takes pending events out of the counts, or puts them back. They must not count: if they were
 * refused, their channel would have lost older events for nothing. The lock is held in between, so
 * this is for few events only. With many pending events each channel is treated as if all were its
 * own; some excess then stays until fewer are pending. */
static void leave_pending_out(struct log *log, bool out)
{
    leave_out(log, log->committing, out);
    leave_out(log, log->pending, out);
}

static struct excess safe_excess(const struct log *log, const struct channel *channel, bool exact)
{
    struct excess excess = apply_excess(&log->apply, channel);
    struct unsafe sum = unsafe_sum(log);
    if (exact || channel->last <= log_newest(log))
        return excess;
    return (struct excess){less(excess.count, sum.events), less(excess.bytes, sum.bytes)};
}

static size_t take_excess(struct log *log, enum apply_queue queue, uint32_t *left,
                          struct store_cut *cuts)
{
    size_t count = 0;
    bool exact = few_are_pending(log);
    if (exact)
        leave_pending_out(log, true);
    for (; *left && log->apply.queues[queue].count && count < CUTS; --*left) {
        const struct channel *channel = apply_dequeue(&log->apply, queue);
        if (!channel)
            continue;
        struct excess excess = safe_excess(log, channel, exact);
        cuts[count++] = (struct store_cut){.number = channel_number(channel),
                                           .above = apply_trimmed(&log->apply, channel),
                                           .want_count = excess.count,
                                           .want_bytes = excess.bytes};
    }
    if (exact)
        leave_pending_out(log, false);
    return count;
}

/* Puts back channels whose excess is all pending; the others stay in `cuts`. */
static size_t leave_those_that_wait(struct log *log, struct store_cut *cuts, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (cuts[i].want_count || cuts[i].want_bytes)
            cuts[kept++] = cuts[i];
        else
            apply_note(&log->apply, channels_by_number(&log->apply.channels, cuts[i].number));
    }
    return kept;
}

static size_t take_cuts(struct log *log, enum apply_queue queue, uint32_t *left,
                        struct store_cut *cuts)
{
    log_lock(log);
    size_t count = take_excess(log, queue, left, cuts);
    count = leave_those_that_wait(log, cuts, count);
    log_unlock(log);
    return count;
}

/* Trims the channels. A channel that was trimmed in another way meanwhile is queued again. */
static void make_cuts(struct log *log, const struct store_cut *cuts, size_t count)
{
    log_lock(log);
    for (size_t i = 0; i < count; i++) {
        struct channel *channel = channels_by_number(&log->apply.channels, cuts[i].number);
        if (!channel)
            continue;
        if (apply_trimmed(&log->apply, channel) == cuts[i].above && cuts[i].count)
            trim(log, channel, cuts[i].upto, cuts[i].count, cuts[i].bytes);
        apply_note(&log->apply, channel);
    }
    struct append *trims = make_entries(log);
    log_unlock(log);
    append_trims(log, trims);
}

static uint32_t waiting(struct log *log, enum apply_queue queue)
{
    log_lock(log);
    uint32_t count = log->apply.queues[queue].count;
    log_unlock(log);
    return count;
}

/* Goes once through the channels that are in the queue now. */
static void trim_queue(struct log *log, enum apply_queue queue)
{
    uint32_t left = waiting(log, queue);
    int64_t until = clock_now_ns(log->config.store.clock) + BUDGET_NS;
    struct store_cut *cuts = left ? mem_alloc(CUTS * sizeof(*cuts)) : NULL;
    while (left && clock_now_ns(log->config.store.clock) <= until) {
        size_t count = take_cuts(log, queue, &left, cuts);
        int result = count ? log->store->ops->find_cuts(log->store, cuts, count) : 0;
        if (result)
            say(SAY_WARN, "retention_failed", "error=%d", -result);
        if (!count)
            continue;
        for (size_t i = 0; result && i < count; i++)
            cuts[i].count = 0; /* put the channels back */
        make_cuts(log, cuts, count);
        if (result)
            break;
    }
    free(cuts);
}

/* ---- by age, and by the size of the whole ---------------------------------------------------- */

struct seen {
    uint32_t number;
    uint64_t id;
    size_t bytes;
};

/* A range of events, oldest first, of which those in `namespace` are trimmed, until `excess` is
 * gone. */
struct range {
    const struct namespace *namespace; /* NULL: all namespaces */
    bool is_counted;                   /* the excess is a number of events, not of bytes */
    uint64_t after;
    uint64_t upto;
    uint64_t excess;
    size_t most; /* of a slice */
    size_t count;
    struct seen seen[WALK_SLICE];
};

static bool gather(void *context, uint32_t number, uint64_t id, size_t bytes)
{
    struct range *range = context;
    range->seen[range->count++] = (struct seen){number, id, bytes};
    return range->count < range->most;
}

static void trim_seen(struct log *log, struct range *range, const struct seen *seen)
{
    struct channels *channels = &log->apply.channels;
    struct channel *channel = channels_by_number(channels, seen->number);
    if (!channel || seen->id <= apply_trimmed(&log->apply, channel) ||
        (range->namespace && &channels->namespaces[channel->namespace] != range->namespace))
        return;
    uint64_t weight = range->is_counted ? 1 : seen->bytes + EVENT_OVERHEAD;
    range->excess -= weight < range->excess ? weight : range->excess;
    trim(log, channel, seen->id, 1, seen->bytes);
}

static void trim_slice(struct log *log, struct range *range)
{
    log_lock(log);
    for (size_t i = 0; i < range->count && range->excess; i++) {
        trim_seen(log, range, &range->seen[i]);
        range->after = range->seen[i].id;
    }
    if (range->count < range->most && range->excess)
        range->after = range->upto;
    struct append *trims = make_entries(log);
    log_unlock(log);
    append_trims(log, trims);
}

/* Trims the events of the range; `after` is then the position that was reached. */
static void trim_range(struct log *log, struct range *range)
{
    while (range->after < range->upto && range->excess) {
        range->count = 0;
        range->most = WALK_SLICE;
        int result = log->store->ops->walk(log->store, range->after, range->upto, gather, range);
        if (result) {
            say(SAY_WARN, "retention_failed", "error=%d", -result);
            return;
        }
        trim_slice(log, range);
    }
}

/* The latest log time at which events are at least `age_us` old, whatever the wall clock did. */
static int64_t time_before(struct log *log, int64_t age_us)
{
    log_lock(log);
    int64_t time_us = log_time_before(&log->time, age_us);
    log_unlock(log);
    return time_us;
}

static void trim_by_age(struct log *log)
{
    struct range *range = mem_alloc(sizeof(*range));
    for (size_t i = 0; i < log->apply.channels.namespaces_count; i++) {
        struct namespace *namespace = &log->apply.channels.namespaces[i];
        uint64_t upto = 0;
        if (!namespace->config.age_us ||
            log->store->ops->find_time(log->store, time_before(log, namespace->config.age_us),
                                       &upto) ||
            upto <= namespace->aged)
            continue;
        range->namespace = namespace;
        range->after = namespace->aged;
        range->upto = upto;
        range->excess = UINT64_MAX;
        trim_range(log, range);
        namespace->aged = range->after;
    }
    free(range);
}

static uint64_t size_of(const struct log *log)
{
    return log->apply.bytes + log->apply.count * EVENT_OVERHEAD;
}

/* The size of all safe events. */
static uint64_t safe_size(struct log *log)
{
    log_lock(log);
    struct unsafe sum = unsafe_sum(log);
    bool exact = few_are_pending(log);
    if (exact)
        leave_pending_out(log, true);
    uint64_t size = size_of(log);
    if (exact)
        leave_pending_out(log, false);
    log_unlock(log);
    return exact ? size : less(size, sum.bytes + sum.events * EVENT_OVERHEAD);
}

static void trim_by_data(struct log *log, struct range *range)
{
    uint64_t max = log->size_max, have = max ? safe_size(log) : 0;
    if (have <= max)
        return;
    range->upto = log_newest(log);
    range->excess = have - max;
    trim_range(log, range);
}

/* ---- by the memory of the whole -------------------------------------------------------------- */

/* The working memory of threads that make room, one after the other. */
struct retention_room {
    struct range range;
    struct store_trim trims[WALK_SLICE];
};

/* How many events must go, at the memory that an event takes on average; 0: none. */
static uint64_t excess_in_memory(const struct log *log)
{
    uint64_t have = log->engine->memory(log), max = log->size_max;
    uint64_t least = max - max / MEMORY_SLACK;
    return max && have > max ? log->apply.count * (have - least) / have + 1 : 0;
}

/* Tell the store directly, since that happens with every few appends. Do not tell the ports:
 * subscribers that are a little behind still have events in their windows that go for lack of
 * memory. */
static void trim_gathered(struct log *log, struct retention_room *room)
{
    struct range *range = &room->range;
    size_t count = 0;
    for (size_t i = 0; i < range->count; i++)
        trim_seen(log, range, &range->seen[i]);
    while (log->apply.queues[QUEUE_NOTED].count) {
        const struct channel *channel = apply_dequeue(&log->apply, QUEUE_NOTED);
        if (channel)
            room->trims[count++] =
                (struct store_trim){.number = channel_number(channel), .trimmed = channel->trimmed};
    }
    (void)log->store->ops->trim(log->store, room->trims, count);
    range->after = range->seen[range->count - 1].id;
}

/* Trims what was gathered. Whether more must go. */
static bool trim_some(struct log *log, struct retention_room *room)
{
    struct range *range = &room->range;
    log_lock(log);
    if (range->count)
        trim_gathered(log, room);
    range->excess = excess_in_memory(log);
    log_unlock(log);
    return range->excess && range->after < range->upto;
}

static void trim_by_memory(struct log *log, struct retention_room *room)
{
    struct range *range = &room->range;
    uint64_t newest = log_newest(log);
    range->is_counted = true;
    range->upto = newest ? newest - 1 : 0; /* the newest stays, whatever its size */
    range->count = 0;
    while (trim_some(log, room)) {
        range->count = 0;
        /* Trimmed events go first: beside them in a batch no retained one can be freed. */
        if (log->store->ops->drop_trimmed(log->store))
            continue;
        range->most = range->excess < WALK_SLICE ? range->excess : WALK_SLICE;
        int result = log->store->ops->walk(log->store, range->after, range->upto, gather, range);
        if (result || !range->count)
            break;
    }
}

void retention_make_room(struct log *log)
{
    pthread_mutex_lock(&log->size_lock);
    struct retention_room *room = log->room ? log->room : mem_alloc(sizeof(*room));
    log->room = room;
    room->range.after = log->sized;
    if (log->engine->memory)
        trim_by_memory(log, room);
    else
        trim_by_data(log, &room->range);
    log->sized = room->range.after;
    pthread_mutex_unlock(&log->size_lock);
}

/* Reads the clocks even if there are no publishes, and frees expired keys a few at a time. */
static void age(struct log *log)
{
    for (bool more = true; more;) {
        log_lock(log);
        decide_tick(log);
        more = keys_free_expired(&log->apply.keys, KEYS_SLICE);
        log_unlock(log);
    }
}

/* ---- when ------------------------------------------------------------------------------------ */

static bool is_urgent(const struct log *log)
{
    uint64_t max = log->engine->memory ? 0 : log->size_max;
    return log->apply.queues[QUEUE_URGENT].count || (max && size_of(log) > max + max / SIZE_SLACK);
}

void retention_call_if_urgent(struct log *log)
{
    if (log->trim_now || !is_urgent(log))
        return;
    log->trim_now = true;
    pthread_cond_signal(&log->trim_work);
}

void retention_trim(struct log *log, bool urgent)
{
    if (!urgent) {
        age(log);
        trim_by_age(log);
    }
    trim_queue(log, QUEUE_URGENT);
    if (!urgent)
        trim_queue(log, QUEUE_OVER);
    retention_make_room(log);
}

static bool is_past(const struct timespec *when)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec > when->tv_sec ||
           (now.tv_sec == when->tv_sec && now.tv_nsec >= when->tv_nsec);
}

static void *trimmer_main(void *arg)
{
    struct log *log = arg;
    struct timespec until = {0}; /* at once: the settings may have changed since the last run */
    log_lock(log);
    while (!log->trim_stop) {
        bool due = is_past(&until);
        if (!due && !log->trim_now) {
            log_wait(log, &log->trim_work, &until);
            continue;
        }
        log->trim_now = false;
        log_unlock(log);
        retention_trim(log, !due);
        if (due) {
            clock_gettime(CLOCK_MONOTONIC, &until);
            until.tv_sec++;
        }
        log_lock(log);
        log->trim_rounds++;
    }
    log_unlock(log);
    return NULL;
}

int retention_start(struct log *log)
{
    return -pthread_create(&log->trimmer, NULL, trimmer_main, log);
}

void retention_stop(struct log *log)
{
    log_lock(log);
    log->trim_stop = true;
    pthread_cond_signal(&log->trim_work);
    log_unlock(log);
    pthread_join(log->trimmer, NULL);
}
