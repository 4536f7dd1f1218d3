#include "log/log_internal.h"

#include "base/bisect.h"
#include "base/say.h"
#include "log/candidates.h"
#include "log/engine/disk.h"
#include "log/engine/memory.h"
#include "log/lock.h"
#include "log/retention.h"
#include "log/upkeep.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    LIST_SLICE = 256,
    HIDE_SLICE = 1024,
};

/* ---- opening and closing -------------------------------------------------------------------- */

/* A trim of forgotten channels is stored under the name of their namespace behind a '*', which is
 * no channel's name. */
static int load_channel(void *context, const struct store_channel *stored)
{
    struct log *log = context;
    struct channels *channels = &log->apply.channels;
    if (stored->name.len && stored->name.at[0] == '*') {
        struct namespace *namespace = channels_namespace(channels, str_skip(stored->name, 1));
        if (stored->trimmed > namespace->forgotten_trimmed)
        namespace->forgotten_trimmed = stored->trimmed;
        if (namespace->forgotten_trimmed > namespace->trimmed_max)
        namespace->trimmed_max = namespace->forgotten_trimmed;
        return 0;
    }
    struct channel *channel;
    int result = channels_load(channels, stored->name, stored->number, &channel);
    if (result)
        return result;
    channel->last = stored->last;
    channels_trim(channels, channel, stored->trimmed);
    apply_count_in(&log->apply, channel, stored->count, stored->bytes);
    apply_note(&log->apply, channel); /* the settings may have changed since the last run */
    return 0;
}

static void expect_channels(void *context, uint64_t count)
{
    channels_expect(&((struct log *)context)->apply.channels, count);
}

static int load_key(void *context, const struct event_key *key, uint64_t id, int64_t time_us)
{
    struct log *log = context;
    return keys_load(&log->apply.keys, key, id, time_us, &log->keys_dropped);
}

/* Warns of keys and channels that exceed the current limits, since earlier ones were larger. */
static void tell_overfull(const struct log *log)
{
    const struct channels *channels = &log->apply.channels;
    if (log->keys_dropped)
        say(SAY_WARN, "keys_dropped", "count=%llu oldest_first=true keys_max=%llu",
            (unsigned long long)log->keys_dropped, (unsigned long long)log->config.keys_max);
    if (channels->by_name.count > channels->count_max)
        say(SAY_WARN, "channels_over_limit", "count=%zu channels_max=%llu new_channels=refused",
            channels->by_name.count, (unsigned long long)channels->count_max);
}

/* The position below the first id of an empty log. It is never 0, so that a cursor of 0 can mean
 * the beginning, and limited, so that a clock that is centuries ahead does not use up the ids. */
static uint64_t first_base(int64_t now_us)
{
    if (now_us <= 1)
        return 1;
    return (uint64_t)now_us < EVENT_ID_MAX / 2 ? (uint64_t)now_us - 1 : EVENT_ID_MAX / 2;
}

/* Corrects the counts of a channel. Only the counts of events up to `last` were wrong, which may
 * all have been trimmed since. */
static void on_recounted(void *context, uint32_t number, uint64_t last, int64_t count,
                         int64_t bytes)
{
    struct log *log = context;
    log_lock(log);
    struct channel *channel = channels_by_number(&log->apply.channels, number);
    if (channel && apply_trimmed(&log->apply, channel) < last &&
        (count >= 0 || channel->count >= (uint64_t)-count) &&
        (bytes >= 0 || channel->bytes >= (uint64_t)-bytes)) {
        apply_count_in(&log->apply, channel, (uint64_t)count, (uint64_t)bytes);
        apply_note(&log->apply, channel);
    }
    log_unlock(log);
}

static void on_unused(void *context, uint32_t number)
{
    struct channels *channels = &((struct log *)context)->apply.channels;
    if (number > channels->number_last)
        channels->number_last = number;
    channels_release(channels, number);
}

/* Views look again for gaps once `trims` has risen. */
static void on_lost(void *context, uint64_t upto)
{
    struct log *log = context;
    log_lock(log);
    if (upto > atomic_load(&log->lost)) {
        atomic_store(&log->lost, upto);
        channels_note_trim(&log->apply.channels);
    }
    log_unlock(log);
}

static void on_released(void *context, uint32_t number)
{
    upkeep_note_freed(context, number);
}

/* The highest position that earlier runs can have told readers, as far as the store knows. */
static uint64_t highest_told(const struct store_newest *newest)
{
    uint64_t begun = newest->pauses ? newest->pause[newest->pauses - 1].upto : 0;
    return begun > newest->id ? begun : newest->id;
}

static void add_pause(struct log *log, struct store_pause pause)
{
    if (log->pauses == STORE_PAUSES) {
        log->pauses--;
        memmove(log->pause, log->pause + 1, log->pauses * sizeof(*log->pause));
    }
    log->pause[log->pauses++] = pause;
}

/* Readers have positions of events, and the one at which a run began. So a position between what
 * the store knows of earlier runs and the beginning of this one belongs to a run that the store
 * knows nothing of: the folder is an older copy. A store that knows of no run before says nothing
 * of that. */
static void add_pause_before(struct log *log, const struct store_newest *newest)
{
    struct store_pause pause = {.after = log->apply.last, .upto = log->apply.last};
    if (newest->pauses)
        pause.after = highest_told(newest);
    log->pauses = newest->pauses;
    memcpy(log->pause, newest->pause, newest->pauses * sizeof(*newest->pause));
    add_pause(log, pause);
}

/* Readers are told of the beginning only once it is noted: else the next run would take their
 * position for one of a lost event. The writer tries again before the first append. */
static void begin(struct log *log, const struct store_newest *newest)
{
    add_pause_before(log, newest);
    (void)log_note_begin(log);
    atomic_store(&log->newest, log->is_begun ? log->apply.last : highest_told(newest));
}

static int open_store(struct log *log)
{
    struct clock *clock = log->config.store.clock;
    struct store_newest newest = {0};
    int64_t now = clock_wall_us(clock);
    struct store_loader loader = {load_channel, load_key,       log, now - log->config.key_life_us,
                                  on_unused,    expect_channels};
    log->config.store.released = on_released;
    log->config.store.recounted = on_recounted;
    log->config.store.lost = on_lost;
    log->config.store.context = log;
    int result = log->engine->open(log, &loader, &newest);
    log->config.store.progress = NULL; /* which are the caller's, for the time of the opening */
    log->config.store.trouble = NULL;
    result = result ? result : channels_index(&log->apply.channels);
    if (result)
        return result < 0 ? result : -EIO; /* the user is shown an errno */
    tell_overfull(log);
    uint64_t base = first_base(now), told = highest_told(&newest);
    log->apply.last = told > base ? told : base; /* the clock may have been set back */
    log_time_init(&log->time, clock, newest.time_us);
    if (newest.number > log->apply.channels.number_last)
        log->apply.channels.number_last = newest.number;
    log->trimmed_at_start = log->engine->is_volatile ? log->apply.last : 0;
    on_lost(log, newest.lost);
    begin(log, &newest);
    return 0;
}

static int start_threads(struct log *log)
{
    int result = readers_start(log);
    return result ? result : log->engine->start(log);
}

static int start_tending(struct log *log)
{
    log->tended = true;
    int result = retention_start(log);
    return result ? result : upkeep_start(log);
}

static void free_log(struct log *log)
{
    if (log->store)
        log->store->ops->close(log->store);
    apply_deinit(&log->apply);
    resolved_room_deinit(&log->resolved);
    free(log->room);
    numbers_deinit(&log->freed);
    numbers_deinit(&log->resting);
    pthread_mutex_destroy(&log->mutex);
    pthread_mutex_destroy(&log->turn);
    pthread_mutex_destroy(&log->posting_lock);
    pthread_mutex_destroy(&log->size_lock);
    pthread_cond_destroy(&log->work);
    pthread_cond_destroy(&log->trim_work);
    pthread_mutex_destroy(&log->upkeep_lock);
    pthread_cond_destroy(&log->upkeep_work);
    free(log);
}

int log_open_untended(const struct log_config *config, struct log **ret_log)
{
    struct log *log = mem_alloc(sizeof(*log));
    log->config = *config;
    log->engine = config->memory ? &engine_memory : &engine_disk;
    apply_init(&log->apply);
    log->undecided_last = &log->undecided;
    atomic_init(&log->writable, true);
    pthread_mutex_init(&log->mutex, NULL);
    pthread_mutex_init(&log->turn, NULL);
    pthread_mutex_init(&log->posting_lock, NULL);
    pthread_mutex_init(&log->size_lock, NULL);
    log->broadcasts_last = &log->broadcasts;
    pthread_cond_init(&log->work, NULL);
    cond_init_monotonic(&log->trim_work);
    pthread_mutex_init(&log->upkeep_lock, NULL);
    cond_init_monotonic(&log->upkeep_work);
    channels_init(&log->apply.channels, config->namespaces, config->namespaces_count,
                  config->channels_max);
    for (int kind = 0; kind < MAKER_KINDS; kind++)
        if (config->share_percent[kind])
            log->apply.channels.share_percent[kind] = config->share_percent[kind];
    keys_init(&log->apply.keys, config->keys_max);
    resolved_room_init(&log->resolved, config->resolved_max ? config->resolved_max : SIZE_MAX);
    int result = open_store(log);
    if (result) {
        free_log(log);
        return result;
    }
    result = start_threads(log);
    if (result)
        abort(); /* no threads at the start: there is nothing worth cleaning up */
    *ret_log = log;
    return 0;
}

int log_open(const struct log_config *config, struct log **ret_log)
{
    int result = log_open_untended(config, ret_log);
    if (!result && start_tending(*ret_log))
        abort();
    return result;
}

void log_close(struct log *log)
{
    if (log->tended) {
        retention_stop(log);
        upkeep_stop(log);
    }
    log->engine->stop(log);
    readers_stop(log);
    upkeep_store_trims(log);
    free_log(log);
}

void log_append(struct log *log, struct append *append)
{
    batch_hash_names(append->batch, log_name_seed(log));
    log->engine->submit(log, append);
}

/* ---- looking -------------------------------------------------------------------------------- */

static bool look_for_trimmed(struct log *log, struct channels_trimmed *trimmed)
{
    log_lock(log);
    bool more = channels_trimmed_look(trimmed);
    log_unlock(log);
    return more;
}

uint64_t log_lacks_upto(const struct log *log, uint64_t position)
{
    size_t low = 0, high = log->pauses;
    BISECT(low, high, middle, log->pause[middle].upto <= position);
    return low < log->pauses && position > log->pause[low].after ? log->pause[low].upto : 0;
}

/* The newest id removed from the selection's channels. */
static uint64_t removed_from(struct log *log, const struct selection *selection)
{
    struct channels_trimmed trimmed;
    channels_trimmed_prepare(&trimmed, &log->apply.channels, selection);
    log_lock(log);
    channels_trimmed_begin(&trimmed, &log->apply.channels, selection);
    log_unlock(log);
    while (look_for_trimmed(log, &trimmed))
        channels_trimmed_judge(&trimmed);
    return trimmed.highest > log->trimmed_at_start ? trimmed.highest : log->trimmed_at_start;
}

uint64_t log_trimmed(struct log *log, const struct selection *selection)
{
    uint64_t removed = removed_from(log, selection), lost = log_lost(log);
    return removed > lost ? removed : lost;
}

/* Whether each channel that the selection names has had all removed up to there, so that nothing
 * that was lost before would have been retained. */
static bool is_removed_upto(struct log *log, const struct selection *selection, uint64_t upto)
{
    bool is = !selection->patterns_count;
    log_lock(log);
    for (uint32_t i = 0; is && i < selection->names_count; i++) {
        const struct channel *channel = channels_find(&log->apply.channels, selection->names[i]);
        is = channel && channel->trimmed >= upto;
    }
    log_unlock(log);
    return is;
}

uint64_t log_trimmed_from(struct log *log, const struct selection *selection, uint64_t cursor)
{
    uint64_t removed = removed_from(log, selection), lost = log_lost(log);
    if (lost <= cursor)
        return removed > lost ? removed : lost;
    uint64_t oldest = log->store->ops->oldest(log->store);
    if ((oldest && lost < oldest) || is_removed_upto(log, selection, lost))
        return removed > lost ? removed : lost;
    return removed < lost ? removed : lost - 1;
}

uint64_t log_lost(const struct log *log)
{
    return atomic_load_explicit(&log->lost, memory_order_acquire);
}

const char *log_gap_reason(const struct log *log, uint64_t upto)
{
    return upto && upto == log_lost(log) ? "lost" : "trimmed";
}

uint64_t log_trims(const struct log *log)
{
    return 1 + atomic_load_explicit(&log->apply.channels.trims, memory_order_acquire);
}

bool log_wants_makers(const struct log *log)
{
    return atomic_load_explicit(&log->scarce, memory_order_relaxed);
}

bool log_is_ephemeral(const struct log *log, struct str channel)
{
    return channels_namespace(&log->apply.channels, channel)->config.ephemeral;
}

bool log_may_compress(const struct log *log, const struct selection *selection)
{
    return channels_may_compress(&log->apply.channels, selection);
}

/* Hides events that were trimmed. An unknown channel was forgotten: none of its events is
 * retained. */
static void hide_some(struct log *log, struct batch *batch, uint32_t from, uint32_t end)
{
    log_lock(log);
    for (uint32_t i = from; i < end; i++) {
        const struct channel *channel =
            channels_by_number(&log->apply.channels, batch->events[i].number);
        if (!channel || batch->events[i].id <= channel->trimmed)
            batch->events[i].state = EVENT_PROPOSED;
    }
    log_unlock(log);
}

void log_hide_trimmed(struct log *log, struct batch *batch)
{
    for (uint32_t from = 0; from < batch->count; from += HIDE_SLICE) {
        uint32_t left = batch->count - from;
        hide_some(log, batch, from, from + (left < HIDE_SLICE ? left : HIDE_SLICE));
    }
}

static uint64_t least_trimmed(struct log *log, const uint32_t *numbers, size_t count)
{
    uint64_t least = UINT64_MAX;
    log_lock(log);
    for (size_t i = 0; i < count; i++) {
        const struct channel *channel = channels_by_number(&log->apply.channels, numbers[i]);
        least = channel && channel->trimmed < least ? channel->trimmed : least;
    }
    log_unlock(log);
    return least;
}

uint64_t log_least_trimmed(struct log *log, const uint32_t *numbers, size_t count)
{
    uint64_t least = UINT64_MAX;
    for (size_t from = 0; from < count && least; from += HIDE_SLICE) {
        size_t left = count - from;
        uint64_t some = least_trimmed(log, numbers + from, left < HIDE_SLICE ? left : HIDE_SLICE);
        least = some < least ? some : least;
    }
    return least;
}

int log_find_time(struct log *log, int64_t time_us, uint64_t *ret_id)
{
    return log->store->ops->find_time(log->store, time_us, ret_id);
}

/* Describes a channel. An id that is not safe must not be seen, since it may be given again; the
 * newest safe id stands in for it. */
static void describe(const struct log *log, const struct channel *channel, struct log_channel *ret)
{
    uint64_t newest = log_newest(log);
    memcpy(ret->name, channel->name, channel->name_len);
    ret->name_len = channel->name_len;
    ret->last = channel->last < newest ? channel->last : newest;
    ret->trimmed = channel->trimmed;
    ret->count = channel->count;
    ret->bytes = channel->bytes;
}

static void note_seen(struct log_list *list, struct str name)
{
    if (name.len)
        memcpy(list->seen, name.at, name.len);
    list->seen_len = name.len;
}

void log_list_begin(struct log_list *list, struct str prefix, struct str after, size_t limit,
                    struct log_channel *out)
{
    list->prefix = prefix;
    list->out = out;
    list->limit = limit;
    list->count = 0;
    /* No name is longer than this; cut, a longer text sorts before the names that begin with it. */
    note_seen(list,
              (struct str){after.at, after.len < NAME_MAX_BYTES ? after.len : NAME_MAX_BYTES});
}

bool log_list_some(struct log *log, struct log_list *list)
{
    struct channels_walk walk;
    unsigned looked = 0;
    log_lock(log);
    struct channel *channel = channels_first(&walk, &log->apply.channels, list->prefix,
                                             (struct str){list->seen, list->seen_len});
    for (; channel && list->count < list->limit && looked < LIST_SLICE; looked++) {
        if (channel->last)
            describe(log, channel, &list->out[list->count++]);
        note_seen(list, channel_name(channel));
        channel = channels_next(&walk);
    }
    log_unlock(log);
    return channel && list->count < list->limit;
}

bool log_channel(struct log *log, struct str name, struct log_channel *ret_channel)
{
    log_lock(log);
    const struct channel *channel = channels_find(&log->apply.channels, name);
    bool known = channel && channel->last;
    if (known)
        describe(log, channel, ret_channel);
    log_unlock(log);
    return known;
}

void log_stats(struct log *log, struct log_stats *ret_stats)
{
    *ret_stats = (struct log_stats){
        .events = atomic_load(&log->events),
        .event_bytes = atomic_load(&log->event_bytes),
        .newest = log_newest(log),
        .oldest = log->store->ops->oldest(log->store),
        .store_bytes = log->store->ops->bytes(log->store),
        .commits = atomic_load(&log->commits),
        .failures = atomic_load(&log->failures),
        .writable = atomic_load(&log->writable),
        .resolved = atomic_load_explicit(&log->resolved.bytes, memory_order_relaxed),
    };
    if (log->store->ops->memory)
        ret_stats->store_memory = log->store->ops->memory(log->store);
    if (log->store->ops->losses)
        ret_stats->losses = log->store->ops->losses(log->store);
    log_lock(log);
    ret_stats->channels = channels_count(&log->apply.channels);
    ret_stats->retained = log->apply.count;
    ret_stats->retained_bytes = log->apply.bytes;
    ret_stats->channels_bytes = channels_bytes(&log->apply.channels);
    ret_stats->keys = log->apply.keys.map.count;
    ret_stats->keys_bytes = log_keys_bytes(log);
    log_unlock(log);
    readers_stats(log, ret_stats);
}

const struct hist *log_commit_hist(const struct log *log)
{
    return &log->commit_ns;
}

const struct hist *log_lock_hist(const struct log *log)
{
    return &log->lock_ns;
}
