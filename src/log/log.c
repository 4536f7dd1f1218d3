#include "log/log_internal.h"

#include "base/say.h"
#include "log/candidates.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <time.h>

/* The memory of an idempotency key: its entry, its slot in the table, the heap's overhead. */
enum { KEY_BYTES = sizeof(struct keys_entry) + 2 * sizeof(void *) + HEAP_OVERHEAD };

enum {
    LIST_SLICE = 256,
    HIDE_SLICE = 1024,
    PREPARE_FROM = 256, /* an append with more events is prepared */
    PREPARE_SLICE = 128,
    BROADCASTS_AT_ONCE = 256,  /* posted by the writer before it looks for pending appends */
    LEISURE_BYTES = 256 << 10, /* a port at leisure lets so much lie; it keeps the batches alive */
};

/* ---- the lock ------------------------------------------------------------------------------- */

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

/* ---- appends -------------------------------------------------------------------------------- */

struct append *append_new(struct log *log, struct log_port *origin)
{
    unsigned ports = log->ports_count;
    struct append *append = mem_try_alloc(sizeof(*append) + ports * sizeof(struct append_post));
    struct batch *batch = batch_new();
    if (!append || !batch) {
        free(append);
        batch_unref(batch);
        return NULL;
    }
    *append = (struct append){.batch = batch, .origin = origin, .ports_count = ports, .log = log};
    append->last = &append->publishes;
    append->posts = (struct append_post *)(void *)(append + 1);
    return append;
}

void append_add(struct append *append, struct publish *publish)
{
    publish->next = NULL;
    *append->last = publish;
    append->last = &publish->next;
}

void append_discard(struct append *append)
{
    batch_unref(append->batch);
    free(append);
}

static void append_unref(struct append *append)
{
    if (atomic_fetch_sub_explicit(&append->refs, 1, memory_order_acq_rel) == 1)
        append_discard(append);
}

static void open_post(struct mail *mail, void *owner)
{
    struct append_post *post = container_of(mail, struct append_post, mail);
    post->port->on_batch(owner, post->append->batch);
    atomic_fetch_sub_explicit(&post->port->backlog, post->append->bytes, memory_order_relaxed);
    append_unref(post->append);
}

static void open_done(struct mail *mail, void *owner)
{
    (void)owner;
    struct append *append = container_of(mail, struct append, done_mail);
    for (struct publish *publish = append->publishes, *next; publish; publish = next) {
        next = publish->next; /* done() may free `publish` */
        publish->done(publish, append->batch);
    }
    append_unref(append);
}

static void open_missed(struct mail *mail, void *owner)
{
    struct log_port *port = container_of(mail, struct log_port, missed_mail);
    /* In this order: batches that pass by from now on cause another mail. */
    atomic_store(&port->is_missing, false);
    port->on_missed(owner, atomic_load(&port->missed));
}

/* Whether the batch must pass the port by. After a batch that did, the following ones must too
 * until the port has noticed: otherwise they would seem to follow the last one that was
 * delivered. */
static bool is_too_much(struct log_port *port)
{
    return port->backlog_max &&
           (atomic_load(&port->is_missing) ||
            atomic_load_explicit(&port->backlog, memory_order_relaxed) > port->backlog_max);
}

/* Called in the order of the log, by one thread at a time, but for ephemeral events, of which
 * `upto` is 0. */
static void pass_by(struct log_port *port, struct append *append, uint64_t upto)
{
    append_unref(append);
    if (!upto)
        return;
    atomic_store(&port->missed, upto);
    if (atomic_exchange(&port->is_missing, true))
        return;
    port->missed_mail = (struct mail){NULL, open_missed};
    mailbox_post(port->mailbox, &port->missed_mail);
}

/* Posts safe events to every port, then the answers to the publishers, so that a publisher that has
 * its answer finds the event in every mailbox. `deliver` is false if there is nothing to see.
 * `upto` is the newest safe id; 0 for a batch that the store does not have. */
static void post_all(struct log *log, struct append *append, bool deliver, uint64_t upto)
{
    unsigned ports = deliver ? append->ports_count : 0;
    append->bytes = batch_bytes(append->batch);
    atomic_store_explicit(&append->refs, ports + 1, memory_order_relaxed);
    for (unsigned i = 0; i < ports; i++) {
        struct log_port *port = log->ports[i];
        if (is_too_much(port)) {
            pass_by(port, append, upto);
            continue;
        }
        append->posts[i] = (struct append_post){{NULL, open_post}, append, port};
        uint64_t backlog = append->bytes + atomic_fetch_add_explicit(&port->backlog, append->bytes,
                                                                     memory_order_relaxed);
        if (backlog < LEISURE_BYTES)
            mailbox_leave(port->mailbox, &append->posts[i].mail);
        else
            mailbox_post(port->mailbox, &append->posts[i].mail);
    }
    append->done_mail.open = open_done;
    if (append->publishes)
        mailbox_post(append->origin->mailbox, &append->done_mail);
    else
        append_unref(append);
}

/* Counts the appended events. Returns whether there is anything to deliver. `ret_newest` is
 * unchanged if no event got an id. */
static bool tally(struct log *log, const struct batch *batch, uint64_t *ret_newest)
{
    bool any = false;
    uint64_t events = 0, bytes = 0;
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct event *event = &batch->events[i];
        any = any || event->state == EVENT_APPENDED || event->state == EVENT_EPHEMERAL ||
              (event->state == EVENT_TRIM && event->id);
        if (event->state != EVENT_APPENDED)
            continue;
        *ret_newest = event->id;
        events++;
        bytes += event->data.len;
    }
    atomic_fetch_add_explicit(&log->events, events, memory_order_relaxed);
    atomic_fetch_add_explicit(&log->event_bytes, bytes, memory_order_relaxed);
    return any;
}

static bool has_work(const struct append *append)
{
    for (uint32_t i = 0; i < append->batch->count; i++) {
        enum event_state state = (enum event_state)append->batch->events[i].state;
        if (state == EVENT_APPENDED || state == EVENT_TRIM)
            return true;
    }
    return false;
}

/* ---- broadcasts --------------------------------------------------------------------------------
 *
 * Who subscribes begins behind the newest event, and waits until the event itself has come by mail.
 * An ephemeral event that is published then must come behind it in the mail, since it passes by
 * everybody who waits. But the newest event is known as soon as it is safe, and the thread that
 * posts it may be stopped by the kernel before it has reached every mailbox. A broadcast does not
 * wait for that thread: it is left behind.
 *
 * What was left is posted by one thread at a time, so that it keeps its order: whoever ends the
 * posting, without the log's lock. More may be left meanwhile, by every worker, so the writer does
 * it in pieces, between its commits. */

void log_begin_posting(struct log *log)
{
    pthread_mutex_lock(&log->posting_lock);
    log->posting++;
    pthread_mutex_unlock(&log->posting_lock);
}

/* The first broadcast that was left. NULL without any, or if the next posting has begun, which ends
 * with those that are left: then it is no longer for this thread to post them. */
static struct append *take_broadcast(struct log *log)
{
    pthread_mutex_lock(&log->posting_lock);
    struct append *append = log->posting ? NULL : log->broadcasts;
    if (append)
        log->broadcasts = append->next;
    if (!log->broadcasts)
        log->broadcasts_last = &log->broadcasts;
    log->is_draining = append != NULL;
    pthread_mutex_unlock(&log->posting_lock);
    return append;
}

/* Posts broadcasts that were left, so many at most. True while there may be more, which are for the
 * caller to post. */
static bool post_broadcasts(struct log *log, unsigned most)
{
    struct append *append = NULL;
    while (most-- && (append = take_broadcast(log))) {
        atomic_fetch_sub_explicit(&log->pending_bytes, batch_bytes(append->batch),
                                  memory_order_relaxed);
        post_all(log, append, true, 0);
    }
    return append != NULL;
}

/* Ends one posting. True if what was left meanwhile is for the caller to post. */
static bool end_posting(struct log *log)
{
    pthread_mutex_lock(&log->posting_lock);
    log->posting--;
    bool mine = !log->posting && !log->is_draining && log->broadcasts;
    log->is_draining = log->is_draining || mine;
    pthread_mutex_unlock(&log->posting_lock);
    return mine;
}

void log_end_posting(struct log *log)
{
    if (end_posting(log))
        (void)post_broadcasts(log, UINT_MAX);
}

static bool leave_broadcast(struct log *log, struct append *append)
{
    pthread_mutex_lock(&log->posting_lock);
    bool left = log->posting || log->is_draining;
    if (left) {
        atomic_fetch_add_explicit(&log->pending_bytes, batch_bytes(append->batch),
                                  memory_order_relaxed);
        append->next = NULL;
        *log->broadcasts_last = append;
        log->broadcasts_last = &append->next;
    }
    pthread_mutex_unlock(&log->posting_lock);
    return left;
}

void log_broadcast(struct log *log, struct append *append)
{
    if (!leave_broadcast(log, append))
        post_all(log, append, true, 0);
}

/* Within a posting. */
static void publish_safe(struct log *log, struct append *append)
{
    uint64_t newest = 0;
    bool any = tally(log, append->batch, &newest);
    if (newest)
        atomic_store(&log->newest, newest);
    post_all(log, append, any, atomic_load(&log->newest));
}

/* Takes back what was decided, refusals too: they were decided on what is taken back (the newest
 * event of a channel, a key), and as long as the fate of an earlier attempt is unknown no refusal
 * of the same is final. */
static void undo(struct log *log, struct append *append, enum publish_verdict verdict)
{
    /* The list is singly linked and short; undoing needs the reverse order. */
    struct publish *reverse = NULL;
    for (struct publish *publish = append->publishes, *next; publish; publish = next) {
        next = publish->next;
        publish->next = reverse;
        reverse = publish;
    }
    append->publishes = NULL;
    for (struct publish *publish = reverse, *next; publish; publish = next) {
        next = publish->next;
        if (!publish->verdict)
            apply_undo(&log->apply, publish, append->batch, verdict);
        publish->verdict = verdict;
        publish->next = append->publishes;
        append->publishes = publish;
    }
}

static enum publish_verdict verdict_of(int error)
{
    if (error == STORE_E_FATE_UNKNOWN)
        return PUBLISH_E_FATE_UNKNOWN;
    return error == -ENOSPC ? PUBLISH_E_NO_SPACE : PUBLISH_E_UNAVAILABLE;
}

static void note_commit(struct log *log, int result)
{
    bool was = atomic_exchange(&log->writable, result == 0);
    atomic_fetch_add_explicit(result ? &log->failures : &log->commits, 1, memory_order_relaxed);
    int error = result == STORE_E_FATE_UNKNOWN ? EIO : -result;
    if (result && was)
        say(SAY_ERROR, "store_failed", "error=%d detail=\"%s\" publishes=refused reads=served",
            error, strerror(error));
    if (!result && !was)
        say(SAY_INFO, "store_recovered", "publishes=accepted");
}

/* A log in memory is safe at once, and posts under the lock, so that mail keeps the log's order. */
static void append_in_memory(struct log *log, struct append *append)
{
    int result = has_work(append) ? log->store->ops->append(log->store, &append->batch, 1) : 0;
    if (result)
        undo(log, append, verdict_of(result));
    else
        apply_settle(&log->apply, append->batch);
    note_commit(log, result);
    publish_safe(log, append);
}

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

/* Under the lock. */
static void call_trimmer_if_urgent(struct log *log)
{
    if (log->trim_now || !retention_is_urgent(log))
        return;
    log->trim_now = true;
    pthread_cond_signal(&log->trim_work);
}

/* Under the lock, like the functions below. Makes the channels of a large batch in slices, so that
 * the verdicts find them. */
static void prepare(struct log *log, struct batch *batch)
{
    for (uint32_t from = 0; from < batch->count; from += PREPARE_SLICE) {
        uint32_t left = batch->count - from;
        apply_prepare(&log->apply, &batch->events[from],
                      left < PREPARE_SLICE ? left : PREPARE_SLICE, batch->count);
        log_give_way(log);
    }
}

static bool is_large(const struct append *append)
{
    return append->batch->count > PREPARE_FROM;
}

static void decide(struct log *log, struct append *append)
{
    if (!is_large(append))
        apply_look_up(&log->apply, append->batch->events, append->batch->count);
    apply_tick(&log->apply);
    for (struct publish *publish = append->publishes; publish; publish = publish->next)
        apply_publish(&log->apply, publish, append->batch);
    if (is_large(append))
        apply_end_prepared(&log->apply, append->batch);
    atomic_store_explicit(&log->scarce, channels_are_scarce(&log->apply.channels),
                          memory_order_relaxed);
}

static void drop_unclaimed(struct log *log)
{
    while (apply_drop_unclaimed(&log->apply, PREPARE_SLICE))
        log_give_way(log);
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
    decide(log, append);
    append_pending(log, append);
}

void log_append(struct log *log, struct append *append)
{
    bool large = is_large(append); /* read now: the append may be freed below */
    log_lock(log);
    if (large)
        prepare(log, append->batch);
    if (log->config.memory) {
        decide(log, append);
        log_begin_posting(log);
        append_in_memory(log, append);
        call_trimmer_if_urgent(log);
    } else {
        append_on_disk(log, append);
    }
    if (large)
        drop_unclaimed(log);
    log_unlock(log);
    if (log->config.memory)
        log_end_posting(log);
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

static bool has_events(const struct batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++)
        if (batch->events[i].state == EVENT_APPENDED)
            return true;
    return false;
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
        if (!has_work(append))
            continue;
        events = events || has_events(append->batch);
        batches[count++] = append->batch;
    }
    int64_t start = clock_now_ns(log->config.store.clock);
    /* After a failure the store is asked without events, too: a refusal is not final while an
     * earlier attempt at the same may be there. */
    bool ask = count || !atomic_load(&log->writable);
    int result = ask ? log->store->ops->append(log->store, batches, count) : 0;
    hist_add(&log->commit_ns, (uint64_t)(clock_now_ns(log->config.store.clock) - start),
             count ? 1 : 0);
    free(batches);
    if (events || result)
        note_commit(log, result);
    return result;
}

/* Calls for upkeep before its next turn, since a file may fill faster than that. */
static void call_janitor_if_due(struct log *log, const struct append *append)
{
    log->since_house += batch_bytes(append->batch);
    if (log->since_house < log->config.store.roll_bytes)
        return;
    log->since_house = 0;
    log_keep_house(log);
}

static bool is_delete(const struct publish *publish, const struct batch *batch)
{
    for (uint32_t i = 0; i < publish->count; i++)
        if (batch->events[publish->first + i].state != EVENT_TRIM)
            return false;
    return publish->verdict == PUBLISH_E_NO_SPACE && publish->count;
}

/* ---- the writer's work in slices; the lock is held, and free between them
 * ------------------------ */

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
        undo(log, append, verdict_of(error));
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
        decide(log, append);
        append_pending(log, append);
        pace(log, append, &events);
    }
    drop_unclaimed(log);
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
    call_trimmer_if_urgent(log);
    return first;
}

static void tell_settled(struct log *log, struct append *first)
{
    for (struct append *append = first, *next; append; append = next) {
        next = append->next;
        atomic_fetch_sub_explicit(&log->pending_bytes, batch_bytes(append->batch),
                                  memory_order_relaxed);
        call_janitor_if_due(log, append);
        publish_safe(log, append);
    }
}

/* The turn of the writer, with the lock held before and after. True while broadcasts are left for
 * it to post. */
static bool commit_and_tell(struct log *log, bool left)
{
    struct append *first = settle_pending(log);
    log->committing_sum = (struct unsafe){0};
    /* Begun under the lock: a thread that finds there that all is safe posts behind this. */
    log_begin_posting(log);
    log_unlock(log);
    tell_settled(log, first);
    left = end_posting(log) || left;
    left = left && post_broadcasts(log, BROADCASTS_AT_ONCE);
    log_lock(log);
    return left;
}

static bool go_on_posting(struct log *log)
{
    log_unlock(log);
    bool left = post_broadcasts(log, BROADCASTS_AT_ONCE);
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

/* ---- opening and closing -------------------------------------------------------------------- */

/* A trim of forgotten channels is stored under the name of their namespace behind a '*', which is
 * no channel's name. */
static int load_channel(void *context, const struct store_channel *stored)
{
    struct log *log = context;
    struct channels *channels = &log->apply.channels;
    if (stored->name.len && stored->name.at[0] == '*') {
        struct space *space = channels_space(channels, str_skip(stored->name, 1));
        if (stored->trimmed > space->folded)
            space->folded = stored->trimmed;
        if (space->folded > space->trimmed_max)
            space->trimmed_max = space->folded;
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

static void on_evicted(void *context, uint32_t number, uint64_t id, size_t bytes)
{
    struct log *log = context;
    struct channel *channel = channels_by_number(&log->apply.channels, number);
    if (!channel || id <= channel->trimmed)
        return;
    apply_trim(&log->apply, channel, id, 1, bytes);
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

static uint64_t beside(void *context)
{
    const struct log *log = context;
    return log_channels_bytes(log) + log->apply.keys.map.count * KEY_BYTES;
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
    janitor_note_freed(context, number);
}

static int open_store(struct log *log)
{
    struct clock *clock = log->config.store.clock;
    struct store_newest newest = {0};
    int64_t now = clock_wall_us(clock);
    struct store_loader loader = {load_channel, load_key,       log, now - log->config.key_life_us,
                                  on_unused,    expect_channels};
    log->config.store.released = on_released;
    log->config.store.evicted = on_evicted;
    log->config.store.recounted = on_recounted;
    log->config.store.beside = beside;
    log->config.store.lost = on_lost;
    log->config.store.context = log;
    int result = log->config.memory
                     ? store_memory_open(&log->config.store, &log->store)
                     : store_sqlite_open(&log->config.store, &loader, &log->store, &newest);
    log->config.store.progress = NULL; /* which are the caller's, for the time of the opening */
    log->config.store.trouble = NULL;
    result = result ? result : channels_index(&log->apply.channels);
    if (result)
        return result < 0 ? result : -EIO; /* the user is shown an errno */
    tell_overfull(log);
    uint64_t base = first_base(now);
    log->apply.last = newest.id > base ? newest.id : base;
    log_time_init(&log->apply.time, clock, newest.time_us);
    if (newest.number > log->apply.channels.number_last)
        log->apply.channels.number_last = newest.number;
    log->floor = log->config.memory ? log->apply.last : 0;
    on_lost(log, newest.lost);
    atomic_store(&log->newest, log->apply.last);
    return 0;
}

static int start_threads(struct log *log)
{
    int result = readers_start(log);
    if (!result && !log->config.memory)
        result = -pthread_create(&log->writer, NULL, writer_main, log);
    return result;
}

static int start_tending(struct log *log)
{
    log->tended = true;
    int result = trimmer_start(log);
    return result ? result : janitor_start(log);
}

void cond_init_monotonic(pthread_cond_t *cond)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static void free_log(struct log *log)
{
    if (log->store)
        log->store->ops->close(log->store);
    apply_deinit(&log->apply);
    resolved_room_deinit(&log->resolved);
    numbers_deinit(&log->freed);
    numbers_deinit(&log->resting);
    pthread_mutex_destroy(&log->mutex);
    pthread_mutex_destroy(&log->turn);
    pthread_mutex_destroy(&log->posting_lock);
    pthread_cond_destroy(&log->work);
    pthread_cond_destroy(&log->trim_work);
    pthread_mutex_destroy(&log->janitor_lock);
    pthread_cond_destroy(&log->janitor_work);
    free(log);
}

int log_open_untended(const struct log_config *config, struct log **ret_log)
{
    struct log *log = mem_alloc(sizeof(*log));
    log->config = *config;
    apply_init(&log->apply, config->store.clock, config->key_life_us);
    log->undecided_last = &log->undecided;
    atomic_init(&log->writable, true);
    pthread_mutex_init(&log->mutex, NULL);
    pthread_mutex_init(&log->turn, NULL);
    pthread_mutex_init(&log->posting_lock, NULL);
    log->broadcasts_last = &log->broadcasts;
    pthread_cond_init(&log->work, NULL);
    cond_init_monotonic(&log->trim_work);
    pthread_mutex_init(&log->janitor_lock, NULL);
    cond_init_monotonic(&log->janitor_work);
    channels_init(&log->apply.channels, config->spaces, config->spaces_count, config->channels_max);
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
        trimmer_stop(log);
        janitor_stop(log);
    }
    log_lock(log);
    log->stopping = true;
    pthread_cond_signal(&log->work);
    log_unlock(log);
    if (!log->config.memory)
        pthread_join(log->writer, NULL);
    readers_stop(log);
    janitor_keep_trims(log);
    free_log(log);
}

int log_attach(struct log *log, struct log_port *port)
{
    if (log->ports_count == LOG_PORTS_MAX)
        return -ENOSPC;
    log_lock(log); /* the trimmer is already running */
    log->ports[log->ports_count++] = port;
    log_unlock(log);
    return 0;
}

/* ---- looking -------------------------------------------------------------------------------- */

uint64_t log_newest(const struct log *log)
{
    return atomic_load(&log->newest);
}

uint64_t log_floor(const struct log *log)
{
    return log->floor;
}

uint64_t log_pending_bytes(const struct log *log)
{
    return atomic_load_explicit(&log->pending_bytes, memory_order_relaxed);
}

uint64_t log_backlog_bytes(const struct log *log)
{
    uint64_t most = 0;
    for (unsigned i = 0; i < log->ports_count; i++) {
        const struct log_port *port = log->ports[i];
        uint64_t bytes = atomic_load_explicit(&port->backlog, memory_order_relaxed);
        if (port->backlog_max || (bytes < LEISURE_BYTES && mailbox_is_at_leisure(port->mailbox)))
            continue; /* the port skips batches beyond its bound, or is not behind and was just not
                       * woken */
        most = bytes > most ? bytes : most;
    }
    return most;
}

static bool look_for_trimmed(struct log *log, struct channels_trimmed *trimmed)
{
    log_lock(log);
    bool more = channels_trimmed_look(trimmed);
    log_unlock(log);
    return more;
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
    return trimmed.highest > log->floor ? trimmed.highest : log->floor;
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
    return channels_space(&log->apply.channels, channel)->config.ephemeral;
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

size_t log_list(struct log *log, struct str prefix, struct str after, size_t limit,
                struct log_channel *out)
{
    struct log_list list;
    log_list_begin(&list, prefix, after, limit, out);
    while (log_list_some(log, &list))
        ;
    return list.count;
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
    ret_stats->keys_bytes = log->apply.keys.map.count * KEY_BYTES;
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
