#include "log/posting.h"

#include "log/lock.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

/* A port at leisure may have this many bytes unread; they keep their batches in memory. */
enum { LEISURE_BYTES = 256 << 10 };

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
static void pass_by(struct log_port *port, uint64_t upto)
{
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
    unsigned ports = deliver ? append->ports_count : 0, passed = 0;
    append->bytes = batch_bytes(append->batch);
    atomic_store_explicit(&append->refs, ports + 1, memory_order_relaxed);
    for (unsigned i = 0; i < ports; i++) {
        struct log_port *port = log->ports[i];
        if (is_too_much(port)) {
            pass_by(port, upto);
            passed++;
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
    /* A reference is left for what follows. */
    atomic_fetch_sub_explicit(&append->refs, passed, memory_order_relaxed);
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

void posting_begin(struct log *log)
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

bool posting_broadcasts(struct log *log, unsigned most)
{
    struct append *append = NULL;
    while (most-- && (append = take_broadcast(log))) {
        atomic_fetch_sub_explicit(&log->pending_bytes, batch_bytes(append->batch),
                                  memory_order_relaxed);
        post_all(log, append, true, 0);
    }
    return append != NULL;
}

bool posting_end(struct log *log)
{
    pthread_mutex_lock(&log->posting_lock);
    log->posting--;
    bool mine = !log->posting && !log->is_draining && log->broadcasts;
    log->is_draining = log->is_draining || mine;
    pthread_mutex_unlock(&log->posting_lock);
    return mine;
}

void posting_end_all(struct log *log)
{
    if (posting_end(log))
        (void)posting_broadcasts(log, UINT_MAX);
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
    batch_hash_names(append->batch, log_name_seed(log));
    if (!leave_broadcast(log, append))
        post_all(log, append, true, 0);
}

void posting_safe(struct log *log, struct append *append)
{
    uint64_t newest = 0;
    bool any = tally(log, append->batch, &newest);
    if (newest)
        atomic_store(&log->newest, newest);
    post_all(log, append, any, atomic_load(&log->newest));
}

/* ---- ports ---------------------------------------------------------------------------------- */

int log_attach(struct log *log, struct log_port *port)
{
    if (log->ports_count == LOG_PORTS_MAX)
        return -ENOSPC;
    log_lock(log); /* the trimmer is already running */
    log->ports[log->ports_count++] = port;
    log_unlock(log);
    return 0;
}

const uint64_t *log_name_seed(const struct log *log)
{
    return log->apply.channels.by_name.seed;
}

uint64_t log_newest(const struct log *log)
{
    return atomic_load(&log->newest);
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
