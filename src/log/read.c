/* The translation of a selection into a read of the store.
 *
 * The store knows channels by number. Few channels are read by its index, at a cost that grows with
 * their events. Many channels are read by a scan in id order, at a cost that grows with all events.
 * A pattern counts as few if it has at most 32 channels, or at most a thousand and an eighth of
 * all: merging a thousand lines is slower than scanning rows of which most are wanted.
 *
 * A selection keeps the numbers of the channels that its patterns match (selection->resolved). They
 * are brought up to date before each read, within a bound for all selections together
 * (log/resolved.h). A read works on a copy, so that neither the log's lock nor the selection's is
 * held while it waits for the disk. */
#include "log/read.h"

#include "log/candidates.h"
#include "log/lock.h"

#include <errno.h>
#include <stdlib.h>

enum { NAMES_BY_INDEX_MAX = 32, FEW_SHARE = 8, ROWS_LEAST = 128 };

static size_t resolve_names(struct log *log, const struct selection *selection, uint32_t *numbers)
{
    size_t count = 0;
    log_lock(log);
    for (uint32_t i = 0; i < selection->names_count; i++) {
        const struct channel *channel = channels_find(&log->apply.channels, selection->names[i]);
        if (channel && selection_has_channel(selection, selection->names[i]))
            numbers[count++] = channel_number(channel);
    }
    log_unlock(log);
    return count;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static bool look_for_numbers(struct log *log, struct channels_resolve *resolve)
{
    log_lock(log);
    bool more = channels_resolve_look(resolve);
    log_unlock(log);
    return more;
}

/* Resolves until the steps are spent; then returns -EAGAIN, and the next slice continues. Under the
 * lock of the selection's numbers. */
static int resolve_some(struct log *log, struct selection *selection, uint64_t *steps)
{
    struct channels_resolve resolve;
    int result = 0;
    log_lock(log);
    channels_resolve_begin(&resolve, &log->apply.channels, selection);
    log_unlock(log);
    while (!result && look_for_numbers(log, &resolve)) {
        if (!channels_resolve_judge(&resolve))
            return -ENOMEM;
        if (resolve.steps >= *steps)
            result = channels_resolve_stop(&resolve) ? -EAGAIN : -ENOMEM;
    }
    *steps -= resolve.steps < *steps ? resolve.steps : *steps;
    return result;
}

bool selection_may_scan(const struct selection *selection)
{
    return selection->patterns_count || selection->names_count > NAMES_BY_INDEX_MAX;
}

/* ---- sets ------------------------------------------------------------------------------------ */

static size_t few_of(struct log *log)
{
    log_lock(log);
    size_t few = log->apply.channels.by_name.count / FEW_SHARE;
    log_unlock(log);
    few = few < CHANNEL_SET_FEW ? few : CHANNEL_SET_FEW;
    return few > NAMES_BY_INDEX_MAX ? few : NAMES_BY_INDEX_MAX;
}

static int add_bitmap(struct channel_set *set, const struct resolved *resolved)
{
    size_t size = (resolved->bits + 7) / 8, have = (set->bits + 7) / 8;
    if (size > have) {
        uint8_t *bitmap = mem_try_realloc(set->bitmap, size);
        if (!bitmap)
            return -ENOMEM;
        memset(bitmap + have, 0, size - have);
        set->bitmap = bitmap;
        set->bits = resolved->bits;
    }
    number_set_mark(&resolved->set, set->bitmap, size * 8);
    return 0;
}

/* Adds the numbers of a selection. Under the selection's lock. */
static int add_resolved(struct channel_set *set, struct resolved *resolved, size_t few)
{
    bool scans = set->scans;
    size_t count;
    if (number_set_copy(&resolved->set, set->numbers, few, &count)) {
        set->count = count;
        return scans;
    }
    set->scans = true;
    int result = add_bitmap(set, resolved);
    resolved->holds += !result;
    return result;
}

/* Resolves within the room for numbers. Under the selection's lock. A search that finds the room
 * full waits: its reader comes back with the next slice. */
static int resolve_in_room(struct log *log, struct selection *selection, struct resolved *resolved,
                           uint64_t *steps)
{
    if (!resolved_keep(resolved, &log->resolved))
        return -EAGAIN;
    int result = resolve_some(log, selection, steps);
    return resolved_keep(resolved, &log->resolved) ? result : -EAGAIN;
}

int channel_set_add(struct channel_set *set, struct log *log, struct selection *selection,
                    uint64_t *steps)
{
    if (!set->newest)
        set->newest = log_newest(log);
    if (!selection_may_scan(selection)) {
        set->count = resolve_names(log, selection, set->numbers);
        qsort(set->numbers, set->count, sizeof(*set->numbers), by_number);
        return set->scans;
    }
    size_t few = few_of(log);
    struct resolved *resolved = selection_resolved(selection);
    if (!resolved)
        return -ENOMEM;
    pthread_mutex_lock(&resolved->lock);
    int result = resolve_in_room(log, selection, resolved, steps);
    result = result ? result : add_resolved(set, resolved, few);
    pthread_mutex_unlock(&resolved->lock);
    return result;
}

void channel_set_let_go(struct selection *selection)
{
    struct resolved *resolved = selection_resolved(selection);
    pthread_mutex_lock(&resolved->lock);
    resolved->holds--;
    pthread_mutex_unlock(&resolved->lock);
}

void channel_set_deinit(struct channel_set *set)
{
    free(set->bitmap);
}

/* ---- reads ----------------------------------------------------------------------------------- */

/* The rows of a slice. The store opens a line of each channel in each file, at the cost of some
 * rows. A slice with many lines gets fewer rows, so that it takes no longer. */
static uint64_t rows_of(const struct channel_set *set, uint64_t rows, bool brief)
{
    if (set->scans && brief)
        return rows < ROWS_BRIEF ? rows : ROWS_BRIEF;
    uint64_t fewer = rows * NAMES_BY_INDEX_MAX / (set->count ? set->count : 1);
    if (set->scans || set->count <= NAMES_BY_INDEX_MAX || rows <= ROWS_LEAST)
        return rows;
    return fewer > ROWS_LEAST ? fewer : ROWS_LEAST;
}

/* The position at which a read of few channels begins. The store learns of trims later than the
 * log's table. Without this, a read would find trimmed events, and fill page after page with
 * nothing to show. */
static uint64_t after_of(struct log *log, const struct store_query *query,
                         const struct channel_set *set)
{
    if (set->scans)
        return query->after;
    uint64_t dead = log_least_trimmed(log, set->numbers, set->count);
    dead = dead < query->upto ? dead : query->upto;
    return dead > query->after ? dead : query->after;
}

int log_read_set(struct log *log, struct store_query *query, const struct channel_set *set,
                 struct batch **ret_batch, uint64_t *ret_through)
{
    uint64_t looked = 0, *ret_looked = query->looked, rows = query->rows, after = query->after;
    if (query->upto > set->newest)
        query->upto = set->newest;
    query->after = after_of(log, query, set);
    query->numbers = set->scans ? NULL : set->numbers;
    query->numbers_count = set->count;
    query->bitmap = set->bitmap;
    query->bitmap_bits = set->bits;
    query->looked = &looked;
    query->rows = rows_of(set, rows, query->brief);
    int result = log->store->ops->read(log->store, query, ret_batch, ret_through);
    query->looked = ret_looked;
    query->rows = rows;
    query->after = after;
    if (ret_looked)
        *ret_looked += looked;
    atomic_fetch_add_explicit(&log->rows, looked, memory_order_relaxed);
    if (!result)
        log_hide_trimmed(log, *ret_batch);
    return result;
}

int log_read(struct log *log, struct store_query *query, struct selection *selection,
             struct batch **ret_batch, uint64_t *ret_through)
{
    struct channel_set set = {0};
    uint64_t steps = query->brief ? RESOLVE_BRIEF : RESOLVE_STEPS;
    int result = channel_set_add(&set, log, selection, &steps);
    query->selection = selection;
    if (!result && set.scans)
        channel_set_let_go(selection); /* the set has copied the numbers */
    result = result ? result : log_read_set(log, query, &set, ret_batch, ret_through);
    channel_set_deinit(&set);
    return result;
}
