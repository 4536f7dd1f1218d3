/* The log: one total order of events, decided under a lock, made safe by a writer thread, and
 * delivered to every thread that has a port. */
#pragma once

#include "base/hist.h"
#include "base/list.h"
#include "log/apply.h"
#include "log/store.h"
#include "net/mailbox.h"

enum { LOG_PORTS_MAX = 65, LOG_LIST_MAX = 1001 };

struct log_config {
    bool memory;               /* no folder: events are safe once they are in memory */
    struct store_config store; /* with the clock of the log */
    const struct namespace_config *namespaces;
    size_t namespaces_count;
    uint64_t channels_max;
    unsigned share_percent[MAKER_KINDS]; /* of new channels, see channels_make(); 0 counts as 100 */
    uint64_t keys_max;
    int64_t key_life_us;
    uint64_t bytes_max; /* retention of the whole log: the oldest events beyond this are trimmed. On
                         * disk of data, in memory of what is allocated; 0: no bound */
    size_t resolved_max; /* memory for the channel numbers of selections; 0: no bound */
    unsigned readers;    /* threads that read pages */
};

/* A port: a thread's mailbox, and its callback for safe batches. Set up before any event. */
struct log_port {
    struct mailbox *mailbox;
    /* Called on the port's thread, in log order. The batch is borrowed. It holds APPENDED events,
     * TRIM entries, or EPHEMERAL events; skip anything else in it. */
    void (*on_batch)(void *owner, struct batch *batch);
    _Atomic uint64_t backlog; /* bytes that are posted and not yet opened */
    /* A thread that can read missed events from the store sets both. Beyond `backlog_max` bytes
     * batches pass it by, instead of holding publishers up. `on_missed` then comes in their place:
     * events up to `upto` that were not delivered are in the store, and the next batch follows
     * them. Ephemeral events are lost without notice. */
    uint64_t backlog_max;
    void (*on_missed)(void *owner, uint64_t upto);
    /* Internal: */
    _Atomic uint64_t missed;
    atomic_bool is_missing; /* `missed_mail` is on its way */
    struct mail missed_mail;
};

struct log;

/* Opens the store and starts writer, readers, trimmer and upkeep. Returns 0 or a negative errno of
 * the store; then config->store.trouble says why. */
int log_open(const struct log_config *config, struct log **ret_log);

/* Answers all pending publishes, stops the threads, closes the store. The ports' threads must have
 * ended or no longer open mail. */
void log_close(struct log *log);

/* Registers a port, which must live as long as the log. Before the first append. Returns 0, or
 * -ENOSPC beyond LOG_PORTS_MAX. */
int log_attach(struct log *log, struct log_port *port);

/* The publishes that a thread gathered in a turn, with their events in one batch. */
struct append {
    struct batch *batch;
    struct publish *publishes; /* in order */
    struct publish **last;
    struct log_port *origin; /* the port whose thread gets `done` */
    /* Internal from here. */
    struct append *next;
    struct append *before;
    uint64_t bytes;
    atomic_uint refs;
    unsigned ports_count;
    struct mail done_mail;
    struct append_post {
        struct mail mail;
        struct append *append;
        struct log_port *port;
    } * posts; /* for each port */
    struct log *log;
};

/* An empty append with an empty batch; NULL if there is no memory. */
struct append *append_new(struct log *log, struct log_port *origin);
void append_add(struct append *append, struct publish *publish);
/* Frees an append that was never given to the log. */
void append_discard(struct append *append);

/* Takes the append over and decides its publishes in order. Each publish's `done` is called on the
 * origin's thread, after the safe events were posted to all ports. In memory both are posted before
 * this returns. Call it on any thread with a port. */
void log_append(struct log *log, struct append *append);

/* The seed of event.hash, two words. It stays the same as long as the log is open. Any thread. */
const uint64_t *log_name_seed(const struct log *log);

/* Hands ephemeral events to every port, without the log. In every mailbox they come after all
 * events that log_newest() has reported, for which they may wait a moment. Takes the append over;
 * its publishes are answered as by log_append(). Any thread. */
void log_broadcast(struct log *log, struct append *append);

/* The newest id that is safe. A thread that then empties its mailbox has seen every event up to it.
 * Any thread. */
uint64_t log_newest(const struct log *log);

/* The position up to which the log lacks events that the reader of this position has had: its
 * folder was restored from an older copy. 0: it lacks none. Any thread. */
uint64_t log_lacks_upto(const struct log *log, uint64_t position);

/* Bytes that were given to the log and are not safe yet, and the largest backlog of a port without
 * a bound of its own. */
uint64_t log_pending_bytes(const struct log *log);
uint64_t log_backlog_bytes(const struct log *log);

/* The newest id that is gone, of a channel that the selection has: removed from it (see
 * channels_trimmed), or lost on the disk, whatever channel it was of. Any thread. */
uint64_t log_trimmed(struct log *log, const struct selection *selection);

/* The same for a consumer who begins at `cursor` and claims to have seen nothing. Removed events
 * are no gap to such a consumer. Lost ones among the retained events behind the cursor are: then
 * the result is below log_trimmed(), and that difference is the gap. */
uint64_t log_trimmed_from(struct log *log, const struct selection *selection, uint64_t cursor);

/* Events up to this id were lost on the disk, 0 for none: a file of the log is missing, or rows are
 * damaged. Nobody knows of which channels they were. Any thread. */
uint64_t log_lost(const struct log *log);

/* Why events up to `upto`, an answer of log_trimmed(), are gone: as consumers are told. */
const char *log_gap_reason(const struct log *log, uint64_t upto);

/* A number, never 0, that stays the same while log_trimmed() gives the same answers. Read it first,
 * then call log_trimmed(). Any thread. */
uint64_t log_trims(const struct log *log);

/* Whether publishes should name the makers of new channels, because channels are scarce. A hint
 * that saves looking up addresses in vain. Any thread. */
bool log_wants_makers(const struct log *log);

/* Whether the namespace of this channel makes its events ephemeral. Any thread. */
bool log_is_ephemeral(const struct log *log, struct str channel);

/* Whether all channels that the selection can match are of namespaces that set `compress`. Any
 * thread. */
bool log_may_compress(const struct log *log, const struct selection *selection);

/* Reads from the store the events of query->selection; fills in numbers and bitmap. Events that
 * were trimmed meanwhile are left out. Otherwise like store_ops.read. Returns -EAGAIN if the
 * slice's time went into finding the channels of the patterns: the next slice continues with that.
 * For reader threads, since it may wait for the disk. */
int log_read(struct log *log, struct store_query *query, struct selection *selection,
             struct batch **ret_batch, uint64_t *ret_through);

/* Marks the events that were trimmed since the batch was read as PROPOSED, which are never shown.
 * The batch must be the caller's alone. Any thread. */
void log_hide_trimmed(struct log *log, struct batch *batch);

/* See store_ops.find_time. For reader threads. */
int log_find_time(struct log *log, int64_t time_us, uint64_t *ret_id);

/* A line of the list of channels. */
struct log_channel {
    char name[NAME_MAX_BYTES];
    uint8_t name_len;
    uint64_t last;
    uint64_t trimmed;
    uint64_t count;
    uint64_t bytes;
};

/* A list of channels that is made in slices. */
struct log_list {
    struct str prefix;
    struct log_channel *out;
    size_t limit; /* at most LOG_LIST_MAX */
    size_t count;
    size_t seen_len;
    char seen[NAME_MAX_BYTES]; /* names up to this one were looked at */
};

/* Begins a list in `out` of at most `limit` channels with the prefix, by name after `after` (empty:
 * from the start). The prefix is borrowed until the last slice. */
void log_list_begin(struct log_list *list, struct str prefix, struct str after, size_t limit,
                    struct log_channel *out);

/* Looks at 256 more channels and adds those that have had an event. Returns false at the end. Any
 * thread; holds the lock meanwhile. */
bool log_list_some(struct log *log, struct log_list *list);

/* Looks up a channel; returns false if the log does not know it. Any thread. */
bool log_channel(struct log *log, struct str name, struct log_channel *ret_channel);

struct log_stats {
    uint64_t events; /* appended since the start */
    uint64_t event_bytes;
    uint64_t retained; /* events in the log now */
    uint64_t retained_bytes;
    uint64_t channels;
    uint64_t keys;
    uint64_t newest;
    uint64_t oldest;
    uint64_t store_bytes;
    struct store_memory store_memory;
    struct store_losses losses;
    uint64_t channels_bytes; /* of the table of channels */
    uint64_t keys_bytes;     /* of idempotency keys, approximately */
    uint64_t resolved;       /* bytes of the channel numbers that selections keep */
    uint64_t commits;
    uint64_t failures; /* failed commits */
    bool writable;     /* the last commit succeeded */
    struct {
        uint64_t queued;    /* jobs that wait for a slice */
        uint64_t running;   /* jobs whose slice is running */
        uint64_t slices;    /* slices done since the start */
        uint64_t rows;      /* rows looked at */
        uint64_t cancelled; /* jobs dropped because their result was no longer wanted */
        uint64_t spent;     /* jobs that have spent their allowance */
    } readers;
};
void log_stats(struct log *log, struct log_stats *ret_stats);

/* Durations of commits in ns. */
const struct hist *log_commit_hist(const struct log *log);

/* Durations in ns for which the log's lock was held. The rule is 1 ms at most, whatever the size of
 * the log: long work is cut into slices, done outside the lock, or kept up to date with each
 * change. */
const struct hist *log_lock_hist(const struct log *log);

/* Wakes the upkeep thread for a turn now, after a DELETE: trimmed events then leave the disk. */
void log_upkeep(struct log *log);
