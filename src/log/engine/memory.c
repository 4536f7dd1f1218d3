#include "log/engine/memory.h"

#include "log/decide.h"
#include "log/lock.h"
#include "log/posting.h"
#include "log/retention.h"

/* The memory that the names of channels may take is one in CHANNELS_SHARE of the bound. */
enum { CHANNELS_SHARE = 4, TRIMS_AT_ONCE = 64 };

/* Events as they are allocated and their index; also the names of channels and the keys, but for
 * half of the bound at most: they are freed later, and events would go for nothing meanwhile. */
static uint64_t memory_used(const struct log *log)
{
    uint64_t beside = log_channels_bytes(log) + log_keys_bytes(log), half = log->size_max / 2;
    return log->store->ops->bytes(log->store) + (beside < half ? beside : half);
}

static int memory_open(struct log *log, const struct store_loader *loader,
                       struct store_newest *ret_newest)
{
    (void)loader;
    (void)ret_newest;
    log->size_max = log->config.bytes_max;
    log->channels_bytes_max = log->config.bytes_max / CHANNELS_SHARE;
    return store_memory_open(&log->config.store, &log->store);
}

static int memory_start(struct log *log)
{
    (void)log;
    return 0;
}

static void memory_stop(struct log *log)
{
    (void)log;
}

/* Stores and posts under the lock, so that mail keeps the log's order. */
static void store_and_post(struct log *log, struct append *append)
{
    int result =
        decide_has_work(append) ? log->store->ops->append(log->store, &append->batch, 1) : 0;
    if (result)
        decide_undo(log, append, result);
    else
        apply_settle(&log->apply, append->batch);
    decide_note_commit(log, result);
    posting_safe(log, append);
}

static void memory_submit(struct log *log, struct append *append)
{
    log_lock(log);
    decide_prepare(log, append);
    decide_append(log, append);
    posting_begin(log);
    store_and_post(log, append);
    retention_call_if_urgent(log);
    decide_drop_unclaimed(log);
    bool is_full = log->size_max && memory_used(log) > log->size_max;
    log_unlock(log);
    posting_end_all(log);
    /* The thread that fills the memory makes room in it, or events would come faster than they go.
     */
    if (is_full)
        retention_make_room(log);
}

/* Frees the trimmed events. That takes no memory: events that are hidden and not freed would stay
 * until their channel is trimmed again. */
static void memory_trim(struct log *log, struct batch *trims)
{
    struct store_trim some[TRIMS_AT_ONCE];
    for (uint32_t i = 0; i < trims->count;) {
        size_t count = 0;
        for (; i < trims->count && count < TRIMS_AT_ONCE; i++)
            some[count++] = (struct store_trim){.number = trims->events[i].number,
                                                .trimmed = trims->events[i].id};
        (void)log->store->ops->trim(log->store, some, count);
    }
}

const struct engine engine_memory = {
    .is_volatile = true,
    .open = memory_open,
    .start = memory_start,
    .stop = memory_stop,
    .submit = memory_submit,
    .trim = memory_trim,
    .memory = memory_used,
};
