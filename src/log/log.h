/* The log: one total order of events, decided under one lock, made safe by one writer, handed to
 * every thread that has a port. */
#pragma once

#include "base/hist.h"
#include "base/list.h"
#include "log/apply.h"
#include "log/store.h"
#include "net/mailbox.h"

enum { LOG_PORTS_MAX = 65, LOG_LIST_MAX = 1001 };

struct log_config {
    bool memory;               /* no folder: safe means in memory */
    struct store_config store; /* `clock` too */
    const struct space_config *spaces;
    size_t spaces_count;
    uint64_t channels_max;
    unsigned share_percent[MAKER_KINDS]; /* of new channels, see channels_make(); 0 as 100 */
    uint64_t keys_max;
    int64_t key_life_us;
    uint64_t bytes_max;  /* retention for the whole log: the oldest go beyond it; 0 for no bound */
    size_t resolved_max; /* what selections keep of the numbers of their channels; 0: no bound */
    unsigned readers;    /* threads that read pages */
};

/* Where safe batches go: a thread's mailbox and what it does with them. Set up before any event. */
struct log_port {
    struct mailbox *mailbox;
    /* On the port's thread, in log order. The batch is borrowed. It holds APPENDED events, or marks
     * of TRIM, or EPHEMERAL events; anything else in it is to be skipped. */
    void (*on_batch)(void *owner, struct batch *batch);
    _Atomic uint64_t backlog; /* bytes posted and not opened yet */
    /* A thread that can read from the store what it missed sets both. Beyond `backlog_max` bytes
     * batches pass it by, instead of holding up those that publish. `on_missed` comes in their
     * place: events up to `upto` that were not seen are in the store, and the next batch goes on
     * behind them. Ephemeral events are missed without a word. */
    uint64_t backlog_max;
    void (*on_missed)(void *owner, uint64_t upto);
    /* The log's own: */
    _Atomic uint64_t missed;
    atomic_bool is_missing; /* `missed_mail` is on its way */
    struct mail missed_mail;
};

struct log;

/* Opens the store and starts writer, readers, trimmer and janitor. -EBUSY when another process has
 * the folder; other negative errnos from the store. */
int log_open(const struct log_config *config, struct log **ret_log);

/* Answers all that is pending, stops the threads, closes the store. The ports' threads have ended
 * or no longer open mail. */
void log_close(struct log *log);

/* Registers a port, which must live as long as the log. Before the first append. -ENOSPC beyond
 * LOG_PORTS_MAX. */
int log_attach(struct log *log, struct log_port *port);

/* Publishes that a thread gathered in one turn, with their events in one batch. */
struct append {
    struct batch *batch;
    struct publish *publishes; /* in order */
    struct publish **last;
    struct log_port *origin; /* whose thread gets `done` */
    /* The log's own from here. */
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
    } * posts; /* one a port */
    struct log *log;
};

/* An empty append with an empty batch; NULL when there is no memory. */
struct append *append_new(struct log *log, struct log_port *origin);
void append_add(struct append *append, struct publish *publish);
/* Frees one that was never given to the log. */
void append_discard(struct append *append);

/* Decides everything in the append, in order, and takes it over. Each publish's `done` follows on
 * the origin's thread: after all ports were posted what became safe. In memory that is before this
 * returns (as mail). Any thread that has a port. */
void log_append(struct log *log, struct append *append);

/* Hands the batch to every port now, past the log: ephemeral events. In every mailbox it is behind
 * all events that log_newest() has told of. Takes the append over; publishes in it are answered
 * like in log_append. Any thread. */
void log_broadcast(struct log *log, struct append *append);

/* The newest id that is safe. A thread that has emptied its mailbox has seen every event up to what
 * this said before. Any thread. */
uint64_t log_newest(const struct log *log);

/* The position below which an in-memory log knows nothing: cursors of a former life. 0 on disk. */
uint64_t log_floor(const struct log *log);

/* Bytes given to the log that are not safe yet, and the largest backlog of a port that has no bound
 * of its own. */
uint64_t log_pending_bytes(const struct log *log);
uint64_t log_backlog_bytes(const struct log *log);

/* The newest id removed from a channel that the selection has (see channels_trimmed). Any thread.
 */
uint64_t log_trimmed(struct log *log, const struct selection *selection);

/* A number, never 0, that stays as it is while log_trimmed() answers every selection as before.
 * Take it first, then ask. Any thread. */
uint64_t log_trims(const struct log *log);

/* Whether publishes are to name the makers of new channels, since those are scarce. A hint, so that
 * nobody asks for an address in vain. Any thread. */
bool log_wants_makers(const struct log *log);

/* Whether events of this channel are ephemeral by their namespace. Any thread. */
bool log_is_ephemeral(const struct log *log, struct str channel);

/* Reads from the store: query->selection decides; numbers and bitmap are filled in here. What was
 * trimmed meanwhile is left out. As store_ops.read otherwise. -EAGAIN when a slice's time went into
 * finding out which channels the patterns have: it goes on with that in the next slice. For reader
 * threads: it may wait for the disk. */
int log_read(struct log *log, struct store_query *query, struct selection *selection,
             struct batch **ret_batch, uint64_t *ret_through);

/* Marks as PROPOSED, which nobody shows, what was trimmed since the batch was read. The batch is
 * the caller's alone. Any thread. */
void log_hide_trimmed(struct log *log, struct batch *batch);

/* As store_ops.find_time. For reader threads. */
int log_find_time(struct log *log, int64_t time_us, uint64_t *ret_id);

/* One line of the list of channels. */
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
    size_t limit; /* <= LOG_LIST_MAX */
    size_t count;
    size_t seen_len;
    char seen[NAME_MAX_BYTES]; /* the name up to which all was looked at */
};

/* Begins a list of at most `limit` channels with the prefix into `out`, by name after `after`
 * (empty for the start). The prefix is borrowed until the last slice. */
void log_list_begin(struct log_list *list, struct str prefix, struct str after, size_t limit,
                    struct log_channel *out);

/* Looks at 256 channels more and adds those that have had an event. False at the end. Any thread;
 * holds the lock for that long. */
bool log_list_some(struct log *log, struct log_list *list);

/* All slices at once; returns how many channels there are. */
size_t log_list(struct log *log, struct str prefix, struct str after, size_t limit,
                struct log_channel *out);

/* One channel; false when the log does not know it. Any thread. */
bool log_channel(struct log *log, struct str name, struct log_channel *ret_channel);

struct log_stats {
    uint64_t events; /* appended since the start */
    uint64_t event_bytes;
    uint64_t retained; /* that are in the log now */
    uint64_t retained_bytes;
    uint64_t channels;
    uint64_t keys;
    uint64_t newest;
    uint64_t oldest;
    uint64_t store_bytes;
    struct store_memory store_memory;
    uint64_t channels_bytes; /* of the table of channels */
    uint64_t keys_bytes;     /* of idempotency keys, about */
    uint64_t resolved;       /* bytes that selections keep of the numbers of their channels */
    uint64_t commits;
    uint64_t failures; /* commits that failed */
    bool writable;     /* the last commit succeeded */
    struct {
        uint64_t queued;    /* jobs that wait for a slice */
        uint64_t running;   /* jobs of which a slice is being done */
        uint64_t slices;    /* done since the start */
        uint64_t rows;      /* looked at */
        uint64_t cancelled; /* jobs dropped because nobody wanted the result any more */
        uint64_t spent;     /* jobs whose allowance ran out */
    } readers;
};
void log_stats(struct log *log, struct log_stats *ret_stats);

/* Durations of commits in ns. */
const struct hist *log_commit_hist(const struct log *log);

/* Durations in ns for which the log's lock was held. The rule is 1 ms at most, whatever is in the
 * log: long work is cut in slices, done outside, or kept up to date with each change. */
const struct hist *log_lock_hist(const struct log *log);

/* ---- the readers' pool ----------------------------------------------------------------------- */

enum {
    LOG_SLICE_ROWS = 1024,     /* a job looks at so many rows before others have their turn */
    LOG_REQUEST_SLICES = 1024, /* the allowance of a job that one request causes: a million rows */
    LOG_LEAVING_SLICES = 64,   /* the same once the client has finished sending and may be gone */
};

/* Work that may wait for the disk, done in slices so that a long job cannot hold up a short one.
 * The submitter sets the first fields, zeroes the others, and keeps the job until its mail was
 * opened. */
struct log_job {
    /* Does one slice on a reader's thread: LOG_SLICE_ROWS rows at most. True when the job is done.
     */
    bool (*run)(struct log_job *job, struct log *log);
    struct mailbox *reply; /* gets `mail` once the job has ended, however it ended */
    struct mail mail;
    uint32_t slices_max; /* the allowance; 0 for a job that bounds itself */
    struct clock *clock; /* the allowance in time; NULL for none. After a slice that ends at */
    int64_t until_ns;    /* `until_ns` or later by this clock, no further one is done. */
    /* For the one who opens the mail: */
    bool spent;     /* the allowance ran out before the job was done */
    bool cancelled; /* by log_job_cancel(), or because the log was closed */
    /* The pool's own: */
    uint8_t state;
    bool oldest;      /* it was taken before newer ones */
    uint32_t slices;  /* done so far */
    int64_t since_ns; /* the slice that is being done */
    struct list node;
};

/* Submits a job. Any thread. */
void log_submit(struct log *log, struct log_job *job);

/* The job's mail is opened, and it is to be submitted once more: its last slice did nothing, and
 * does not count. On the thread that opens the job's mail. */
void log_job_park(struct log *log, struct log_job *job);

/* Drops a job whose result nobody wants any more: no further slice is done. Its mail comes all the
 * same, and does nothing but free. Harmless for a job that has ended. On the thread that opens the
 * job's mail. */
void log_job_cancel(struct log *log, struct log_job *job);

/* Lowers the allowance to LOG_LEAVING_SLICES. As log_job_cancel(). */
void log_job_hurry(struct log *log, struct log_job *job);

/* Wakes the janitor for a turn now: what was trimmed leaves the disk. After a DELETE. */
void log_keep_house(struct log *log);
