/* A publish is decided at once, under the log's lock, and waits in the list of pending appends. The
 * writer's thread takes the whole list and commits it in one transaction, while the next one
 * gathers:
 *
 *     pending      decided, in the order of the log; more come meanwhile
 *     committing   taken by the writer; the lock is free during the commit
 *     posted       safe, or refused, and on the way to the ports and the publishers
 *
 * A commit that fails takes back all that was decided, the pending appends as well, since they
 * build on it. That is done in slices with the lock given away between them; appends that come
 * meanwhile wait undecided, and are decided by the writer at the end. */
#include "log/engine/disk.h"

#include "log/decide.h"
#include "log/lock.h"
#include "log/posting.h"
#include "log/retention.h"
#include "log/upkeep.h"

#include <errno.h>
#include <stdlib.h>

/* Broadcasts that the writer posts before it looks for what is pending. */
enum { BROADCASTS_AT_ONCE = 256 };

/* ---- submitting ------------------------------------------------------------------------------ */

static void append_pending(struct log *log, struct append *append)
{
    log->pending_sum.events += append->batch->count;
    log->pending_sum.bytes += batch_bytes(append->batch);
    append->next = NULL;
    append->before = log->pending ? log->pending_end : NULL;
    *(log->pending ? &log->pending_end->next : &log->pending) = append;
    log->pending_end = append;
    if (log->pending == append)
        pthread_cond_signal(&log->work);
}

static void leave_undecided(struct log *log, struct append *append)
{
    append->next = NULL;
    *log->undecided_last = append;
    log->undecided_last = &append->next;
}

static void append_on_disk(struct log *log, struct append *append)
{
    atomic_fetch_add_explicit(&log->pending_bytes, batch_bytes(append->batch),
                              memory_order_relaxed);
    if (log->is_undoing) {
        leave_undecided(log, append);
        return;
    }
    decide_append(log, append);
    append_pending(log, append);
}

/* ---- the writer ----------------------------------------------------------------------------- */

/* Puts pending appends behind those that are being committed. Under the lock. */
static void take_pending(struct log *log)
{
    if (!log->pending)
        return;
    log->pending->before = log->committing ? log->committing_end : NULL;
    *(log->committing ? &log->committing_end->next : &log->committing) = log->pending;
    log->committing_end = log->pending_end;
    log->pending = NULL;
    log->committing_sum.events += log->pending_sum.events;
    log->committing_sum.bytes += log->pending_sum.bytes;
    log->pending_sum = (struct unsafe){0};
}

static size_t count_appends(const struct append *append)
{
    size_t count = 0;
    for (; append; append = append->next)
        count++;
    return count;
}

/* Commits appends. Only a commit with events shows whether the store is writable: a full disk takes
 * TRIM entries a little longer. */
static int commit(struct log *log, struct append *first)
{
    struct batch **batches = mem_try_alloc(count_appends(first) * sizeof(struct batch *));
    if (!batches)
        return STORE_E_FATE_UNKNOWN; /* an earlier failure may be among them, whose fate only the
                                      * store can decide */
    size_t count = 0;
    bool events = false;
    for (struct append *append = first; append; append = append->next) {
        if (!decide_has_work(append))
            continue;
        events = events || batch_has_appended(append->batch);
        batches[count++] = append->batch;
    }
    int64_t start = clock_now_ns(log->config.store.clock);
    /* After a failure the store is asked without events, too: a refusal is not final while an
     * earlier attempt at the same may be there. */
    bool ask = count || !atomic_load(&log->writable);
    int result = log_note_begin(log);
    if (!result && ask)
        result = log->store->ops->append(log->store, batches, count);
    hist_add(&log->commit_ns, (uint64_t)(clock_now_ns(log->config.store.clock) - start),
             count ? 1 : 0);
    free(batches);
    if (events || result)
        decide_note_commit(log, result);
    return result;
}

/* Calls for upkeep before its next turn, since a file may fill faster than that. */
static void call_upkeep_if_due(struct log *log, const struct append *append)
{
    log->since_upkeep += batch_bytes(append->batch);
    if (log->since_upkeep < log->config.store.roll_bytes)
        return;
    log->since_upkeep = 0;
    log_upkeep(log);
}

static bool is_delete(const struct publish *publish, const struct batch *batch)
{
    for (uint32_t i = 0; i < publish->count; i++)
        if (batch->events[publish->first + i].state != EVENT_TRIM)
            return false;
    return publish->verdict == PUBLISH_E_NO_SPACE && publish->count;
}

/* ---- the writer's work in slices; the lock is held, and free between them -------------------- */

/* Counts an append that was handled, and gives the lock away after many. */
static void pace(struct log *log, const struct append *append, uint32_t *events)
{
    *events += append->batch->count + 1;
    if (*events < LOG_SETTLE_SLICE)
        return;
    log_give_way(log);
    *events = 0;
}

/* Undoes everything that was decided, the newest first, after a commit has failed: later decisions
 * build on earlier ones. If the fate of the commit is unknown, so is that of later publishes: they
 * may repeat publishes that come back after a crash. */
static void undo_all(struct log *log, int error)
{
    uint32_t events = 0;
    for (struct append *append = log->committing_end; append; append = append->before) {
        decide_undo(log, append, error);
        pace(log, append, &events);
    }
}

static bool decide_deletes_of(struct log *log, struct append *append)
{
    bool any = false;
    for (struct publish *publish = append->publishes; publish; publish = publish->next) {
        if (!is_delete(publish, append->batch))
            continue;
        publish->verdict = PUBLISH_OK;
        apply_publish(&log->apply, publish, append->batch);
        any = true;
    }
    return any;
}

/* Decides the DELETEs again, without the other publishes, after all were refused because the disk
 * is full: the store keeps room for DELETEs. Returns whether there are any. */
static bool decide_deletes(struct log *log)
{
    bool any = false;
    uint32_t events = 0;
    for (struct append *append = log->committing; append; append = append->next) {
        any = decide_deletes_of(log, append) || any;
        pace(log, append, &events);
    }
    return any;
}

static void decide_undecided(struct log *log)
{
    uint32_t events = 0;
    while (log->undecided) {
        struct append *append = log->undecided;
        log->undecided = append->next;
        if (!log->undecided)
            log->undecided_last = &log->undecided;
        decide_append(log, append);
        append_pending(log, append);
        pace(log, append, &events);
    }
    decide_drop_unclaimed(log);
}

/* Shows the DELETEs to readers. */
static void settle(struct log *log, const struct append *append)
{
    uint32_t events = 0;
    for (; append && log->apply.deletions.count; append = append->next) {
        apply_settle(&log->apply, append->batch);
        pace(log, append, &events);
    }
}

/* Commits what the writer has taken. The lock is held before and after, and free meanwhile. */
static int commit_unlocked(struct log *log)
{
    log_unlock(log);
    int result = commit(log, log->committing);
    log_lock(log);
    return result;
}

/* Refuses everything that the writer has taken, and all that was decided since. Appends that come
 * meanwhile wait until that is done. */
static int refuse_all(struct log *log, int error)
{
    log->is_undoing = true;
    take_pending(log);
    undo_all(log, error);
    if (error != -ENOSPC || !decide_deletes(log))
        return error;
    int result = commit_unlocked(log);
    if (result)
        undo_all(log, result);
    return result;
}

/* Commits or refuses the pending appends; returns them, to be answered. The lock is held before and
 * after; it is free during the commit and between slices. */
static struct append *settle_pending(struct log *log)
{
    take_pending(log);
    struct append *first = log->committing;
    int result = commit_unlocked(log);
    result = result ? refuse_all(log, result) : 0;
    log->committing = NULL;
    if (!result)
        settle(log, first);
    decide_undecided(log);
    log->is_undoing = false;
    retention_call_if_urgent(log);
    return first;
}

static void tell_settled(struct log *log, struct append *first)
{
    for (struct append *append = first, *next; append; append = next) {
        next = append->next;
        atomic_fetch_sub_explicit(&log->pending_bytes, batch_bytes(append->batch),
                                  memory_order_relaxed);
        call_upkeep_if_due(log, append);
        posting_safe(log, append);
    }
}

/* The turn of the writer, with the lock held before and after. True while broadcasts are left for
 * it to post. */
static bool commit_and_tell(struct log *log, bool left)
{
    struct append *first = settle_pending(log);
    log->committing_sum = (struct unsafe){0};
    /* Begun under the lock: a thread that finds there that all is safe posts behind this. */
    posting_begin(log);
    log_unlock(log);
    tell_settled(log, first);
    left = posting_end(log) || left;
    left = left && posting_broadcasts(log, BROADCASTS_AT_ONCE);
    log_lock(log);
    return left;
}

static bool go_on_posting(struct log *log)
{
    log_unlock(log);
    bool left = posting_broadcasts(log, BROADCASTS_AT_ONCE);
    log_lock(log);
    return left;
}

static void *writer_main(void *arg)
{
    struct log *log = arg;
    bool left = false;
    log_lock(log);
    while (log->pending || left || !log->stopping) {
        if (log->pending)
            left = commit_and_tell(log, left);
        else if (left)
            left = go_on_posting(log);
        else
            log_wait(log, &log->work, NULL);
    }
    log_unlock(log);
    return NULL;
}

/* ---- the engine ------------------------------------------------------------------------------ */

static int disk_open(struct log *log, const struct store_loader *loader,
                     struct store_newest *ret_newest)
{
    log->size_max = log->config.bytes_max;
    return store_sqlite_open(&log->config.store, loader, &log->store, ret_newest);
}

static int disk_start(struct log *log)
{
    return -pthread_create(&log->writer, NULL, writer_main, log);
}

static void disk_stop(struct log *log)
{
    log_lock(log);
    log->stopping = true;
    pthread_cond_signal(&log->work);
    log_unlock(log);
    pthread_join(log->writer, NULL);
}

static void disk_submit(struct log *log, struct append *append)
{
    log_lock(log);
    decide_prepare(log, append);
    append_on_disk(log, append);
    decide_drop_unclaimed(log);
    log_unlock(log);
}

const struct engine engine_disk = {
    .open = disk_open,
    .start = disk_start,
    .stop = disk_stop,
    .submit = disk_submit,
};
