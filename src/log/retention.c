/* The janitor: once a second it trims what is past its retention, then lets the store tidy up.
 *
 * A trim is made in memory first, so that readers are told of the gap at once, then kept by the
 * store, then told to every port. A crash between undoes it, which is harmless: the events are
 * still there. The log's lock is never held while the store is asked something. */
#include "log/log_internal.h"

#include "base/say.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

enum { WALK_SLICE = 4096, TRIM_SLICE = 256, EVENT_OVERHEAD = 128 };

struct seen {
    uint32_t number;
    uint64_t id;
    size_t bytes;
};

struct slice {
    struct seen seen[WALK_SLICE];
    size_t count;
};

static bool gather(void *context, uint32_t number, uint64_t id, size_t bytes)
{
    struct slice *slice = context;
    slice->seen[slice->count++] = (struct seen){number, id, bytes};
    return slice->count < WALK_SLICE;
}

/* ---- keeping trims for good ----------------------------------------------------------------- */

static void tell_ports(struct log *log, const struct store_trim *trims, size_t count)
{
    struct append *append = append_new(log, NULL);
    for (size_t i = 0; append && i < count; i++) {
        struct event *event = batch_add(append->batch);
        struct str name = batch_copy(append->batch, trims[i].name);
        if (!event || !name.at)
            break; /* a window shows a trimmed event a little longer */
        event->state = EVENT_TRIM;
        event->id = trims[i].trimmed;
        event->number = trims[i].number;
        event->channel = name;
    }
    if (append)
        log_broadcast(log, append);
}

static int keep(struct log *log, const struct store_trim *trims, size_t count)
{
    int result = count ? log->store->ops->trim(log->store, trims, count) : 0;
    if (result)
        say(SAY_WARN, "trim_not_kept", "error=%d", -result);
    else if (count)
        tell_ports(log, trims, count);
    return result;
}

/* The names belong to channels, which only this thread removes. */
static struct store_trim trim_of(const struct channel *channel)
{
    return (struct store_trim){channel->number, channel_name(channel), channel->last,
                               channel->trimmed};
}

static void note_trim(struct store_trim *trims, size_t *count, const struct channel *channel)
{
    for (size_t i = *count; i-- > 0;) {
        if (trims[i].number == channel->number) {
            trims[i] = trim_of(channel);
            return;
        }
    }
    trims[(*count)++] = trim_of(channel);
}

/* ---- retention by age ----------------------------------------------------------------------- */

/* Trims the slice's events in channels of `space` (NULL: all). Returns how many were looked at. */
static size_t trim_slice(struct log *log, const struct slice *slice, const struct space *space)
{
    struct store_trim trims[TRIM_SLICE];
    size_t count = 0, i = 0;
    pthread_mutex_lock(&log->lock);
    struct channels *channels = &log->apply.channels;
    for (; i < slice->count && count < TRIM_SLICE; i++) {
        const struct seen *seen = &slice->seen[i];
        struct channel *channel = channels_by_number(channels, seen->number);
        if (!channel || seen->id <= channel->trimmed ||
            (space && &channels->spaces[channel->space] != space))
            continue;
        channels_trim(channels, channel, seen->id);
        channel->count--;
        channel->bytes -= seen->bytes;
        note_trim(trims, &count, channel);
    }
    pthread_mutex_unlock(&log->lock);
    return keep(log, trims, count) ? 0 : i;
}

/* Trims all up to `upto`; the position reached, which is `upto` unless the store failed. */
static uint64_t trim_range(struct log *log, const struct space *space, uint64_t after,
                           uint64_t upto)
{
    struct slice *slice = mem_alloc(sizeof(*slice));
    while (after < upto) {
        slice->count = 0;
        if (log->store->ops->walk(log->store, after, upto, gather, slice))
            break;
        size_t done = trim_slice(log, slice, space);
        if (done < slice->count) {
            if (!done)
                break;
            after = slice->seen[done - 1].id;
            continue;
        }
        after = slice->count == WALK_SLICE ? slice->seen[WALK_SLICE - 1].id : upto;
    }
    free(slice);
    return after;
}

static void trim_by_age(struct log *log)
{
    int64_t now = clock_wall_us(log->config.store.clock);
    for (size_t i = 0; i < log->apply.channels.spaces_count; i++) {
        struct space *space = &log->apply.channels.spaces[i];
        uint64_t upto = 0;
        if (!space->config.age_us)
            continue;
        if (log->store->ops->find_time(log->store, now - space->config.age_us, &upto) ||
            upto <= space->aged)
            continue;
        space->aged = trim_range(log, space, space->aged, upto);
    }
}

/* ---- retention by count and bytes of a channel ---------------------------------------------- */

struct over {
    uint32_t number;
    uint64_t trimmed;
    uint64_t count;
    struct space_config keep;
};

/* The next channel after `*number` that has too much; false at the end. */
static bool next_over(struct log *log, uint32_t *number, struct over *ret_over)
{
    bool found = false;
    pthread_mutex_lock(&log->lock);
    struct channels *channels = &log->apply.channels;
    while (!found && log->apply.over && *number < channels->number_last) {
        struct channel *channel = channels_by_number(channels, ++*number);
        if (!channel || !channel->over)
            continue;
        channel->over = false;
        log->apply.over--;
        *ret_over = (struct over){channel->number, channel->trimmed, channel->count,
                                  channels->spaces[channel->space].config};
        found = true;
    }
    pthread_mutex_unlock(&log->lock);
    return found;
}

static uint64_t bound_of(struct log *log, const struct over *over)
{
    const struct store_ops *ops = log->store->ops;
    uint64_t by_count = 0, by_bytes = 0;
    if (over->keep.count)
        (void)ops->find_nth(log->store, over->number, over->trimmed, over->keep.count + 1, 0,
                            &by_count);
    if (over->keep.bytes)
        (void)ops->find_nth(log->store, over->number, over->trimmed, 0, over->keep.bytes,
                            &by_bytes);
    return by_count > by_bytes ? by_count : by_bytes;
}

/* Counts what stands in the channel between `after` and `upto`. */
static int measure(struct log *log, uint32_t number, uint64_t after, uint64_t upto,
                   uint64_t *ret_count, uint64_t *ret_bytes)
{
    struct selection all = {0};
    *ret_count = *ret_bytes = 0;
    while (after < upto) {
        struct store_query query = {.selection = &all,
                                    .numbers = &number,
                                    .numbers_count = 1,
                                    .after = after,
                                    .upto = upto,
                                    .limit = WALK_SLICE,
                                    .bytes = 1 << 20,
                                    .rows = WALK_SLICE};
        struct batch *batch;
        int result = log->store->ops->read(log->store, &query, &batch, &after);
        if (result)
            return result;
        for (uint32_t i = 0; i < batch->count; i++)
            *ret_bytes += batch->events[i].data.len;
        *ret_count += batch->count;
        batch_unref(batch);
    }
    return 0;
}

static void trim_over(struct log *log, const struct over *over)
{
    uint64_t upto = bound_of(log, over), count, bytes;
    if (upto <= over->trimmed || measure(log, over->number, over->trimmed, upto, &count, &bytes))
        return;
    struct store_trim trim = {0};
    pthread_mutex_lock(&log->lock);
    struct channel *channel = channels_by_number(&log->apply.channels, over->number);
    /* A DELETE may have come between, and then nothing of this is left to do. */
    if (channel && channel->trimmed == over->trimmed) {
        channels_trim(&log->apply.channels, channel, upto);
        channel->count -= count < channel->count ? count : channel->count;
        channel->bytes -= bytes < channel->bytes ? bytes : channel->bytes;
        trim = trim_of(channel);
    }
    pthread_mutex_unlock(&log->lock);
    (void)keep(log, &trim, trim.number ? 1 : 0);
}

static void trim_by_count(struct log *log)
{
    struct over over;
    for (uint32_t number = 0; next_over(log, &number, &over);)
        trim_over(log, &over);
}

/* ---- retention by the size of the whole ------------------------------------------------------ */

static uint64_t retained_bytes(struct log *log)
{
    uint64_t bytes = 0;
    pthread_mutex_lock(&log->lock);
    for (uint32_t n = 1; n <= log->apply.channels.number_last; n++) {
        const struct channel *channel = channels_by_number(&log->apply.channels, n);
        if (channel)
            bytes += channel->bytes + channel->count * EVENT_OVERHEAD;
    }
    pthread_mutex_unlock(&log->lock);
    return bytes;
}

static void trim_by_size(struct log *log)
{
    uint64_t max = log->config.bytes_max, have = max ? retained_bytes(log) : 0;
    if (have <= max)
        return;
    uint64_t excess = have - max, after = 0;
    struct slice *slice = mem_alloc(sizeof(*slice));
    while (excess) {
        slice->count = 0;
        if (log->store->ops->walk(log->store, after, log_newest(log), gather, slice) ||
            !slice->count)
            break;
        size_t i = 0;
        for (; i < slice->count && excess; i++) {
            uint64_t bytes = slice->seen[i].bytes + EVENT_OVERHEAD;
            excess -= bytes < excess ? bytes : excess;
        }
        uint64_t upto = slice->seen[i - 1].id;
        if (trim_range(log, NULL, after, upto) < upto)
            break;
        after = upto;
    }
    free(slice);
}

/* ---- forgetting channels --------------------------------------------------------------------- */

/* A channel that holds nothing is kept as long as there is room, since what is known of it keeps
 * `prev` and gaps exact; beyond half the table it is folded into its namespace. */
static size_t gather_empty(struct log *log, uint32_t *number, uint32_t *numbers,
                           struct space **space)
{
    size_t count = 0;
    struct channels *channels = &log->apply.channels;
    for (; *number <= channels->number_last && count < TRIM_SLICE; ++*number) {
        struct channel *channel = channels_by_number(channels, *number);
        if (!channel || channel->count || channel->last > channel->trimmed)
            continue;
        struct space *home = &channels->spaces[channel->space];
        if (*space && *space != home)
            break;
        *space = home;
        if (channel->trimmed > home->folded)
            home->folded = channel->trimmed;
        numbers[count++] = channel->number;
        channels_remove(channels, channel);
    }
    return count;
}

static void forget_empty(struct log *log)
{
    uint32_t numbers[TRIM_SLICE], number = 1;
    for (;;) {
        struct space *space = NULL;
        pthread_mutex_lock(&log->lock);
        bool crowded = log->apply.channels.by_name.count > log->apply.channels.count_max / 2;
        size_t count = crowded ? gather_empty(log, &number, numbers, &space) : 0;
        struct store_trim folded = {.trimmed = space ? space->folded : 0};
        pthread_mutex_unlock(&log->lock);
        if (!count)
            break;
        struct buf name = {0};
        buf_add_char(&name, '*');
        buf_add_str(&name, space->config.prefix);
        folded.name = buf_str(&name);
        if (!buf_failed(&name))
            (void)log->store->ops->forget(log->store, &folded, numbers, count);
        buf_free(&name);
    }
}

/* ---- the thread ------------------------------------------------------------------------------ */

static uint64_t trimmed_of(void *context, uint32_t number)
{
    struct log *log = context;
    pthread_mutex_lock(&log->lock);
    const struct channel *channel = channels_by_number(&log->apply.channels, number);
    /* A forgotten channel has nothing left that anybody may see. */
    uint64_t trimmed = channel ? channel->trimmed : EVENT_ID_MAX;
    pthread_mutex_unlock(&log->lock);
    return trimmed;
}

void retention_turn(struct log *log)
{
    trim_by_age(log);
    trim_by_count(log);
    if (!log->config.memory)
        trim_by_size(log);
    forget_empty(log);
    int result = log->store->ops->keep_house(log->store, trimmed_of, log);
    if (result)
        say(SAY_WARN, "housekeeping_failed", "error=%d", -result);
}

static void wait_a_second(struct log *log)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec++;
    while (!log->janitor_stop && !log->janitor_now &&
           pthread_cond_timedwait(&log->janitor_work, &log->janitor_lock, &until) != ETIMEDOUT)
        ;
    log->janitor_now = false;
}

static void *janitor_main(void *arg)
{
    struct log *log = arg;
    pthread_mutex_lock(&log->janitor_lock);
    while (!log->janitor_stop) {
        wait_a_second(log);
        if (log->janitor_stop)
            break;
        pthread_mutex_unlock(&log->janitor_lock);
        retention_turn(log);
        pthread_mutex_lock(&log->janitor_lock);
    }
    pthread_mutex_unlock(&log->janitor_lock);
    return NULL;
}

void log_keep_house(struct log *log)
{
    pthread_mutex_lock(&log->janitor_lock);
    log->janitor_now = true;
    pthread_cond_signal(&log->janitor_work);
    pthread_mutex_unlock(&log->janitor_lock);
}

int janitor_start(struct log *log)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&log->janitor_work, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&log->janitor_lock, NULL);
    return -pthread_create(&log->janitor, NULL, janitor_main, log);
}

void janitor_stop(struct log *log)
{
    pthread_mutex_lock(&log->janitor_lock);
    log->janitor_stop = true;
    pthread_cond_signal(&log->janitor_work);
    pthread_mutex_unlock(&log->janitor_lock);
    pthread_join(log->janitor, NULL);
    pthread_cond_destroy(&log->janitor_work);
    pthread_mutex_destroy(&log->janitor_lock);
}
