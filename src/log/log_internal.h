/* The internals of the log, shared by the files that work on them. */
#pragma once

#include "log/log_time.h"
#include "log/readers.h"

#include <pthread.h>
#include <time.h>

/* The queues of jobs, see readers.c. */
enum { READERS_LEVELS = 4 };

/* The most jobs that readers_gather() looks at, since it holds the lock of the queues. */
enum { READERS_GATHER_LOOK = 1024 };

struct engine;
struct retention_room;

struct log {
    struct log_config config;
    const struct engine *engine;
    struct store *store;
    uint64_t size_max;           /* of the log, as the engine measures it; 0: no bound */
    uint64_t channels_bytes_max; /* channels without events are forgotten beyond it; 0: no bound */
    size_t pauses;               /* before the latest runs, this one among them: oldest first, */
    struct store_pause pause[STORE_PAUSES]; /* and unchanged while the log is open */
    uint64_t trimmed_at_start; /* without a disk, all that earlier processes published is gone */
    struct resolved_room resolved; /* the channel numbers that selections keep */
    uint64_t keys_dropped;         /* keys that exceeded the limit when the log was opened */

    pthread_mutex_t mutex; /* guards all fields up to the ports; only log_lock() takes it */
    pthread_mutex_t turn;  /* held by the first thread that waits for the mutex */
    int64_t locked_ns;     /* when it was taken */
    struct hist lock_ns;   /* durations for which it was held */
    pthread_cond_t work;
    struct apply apply;
    struct log_time time;
    struct append *pending; /* decided, not safe */
    struct append *pending_end;
    struct append *committing; /* the same, taken by the writer */
    struct append *committing_end;
    /* Upper bounds of the events in each list, and of their bytes. */
    struct unsafe {
        uint64_t events;
        uint64_t bytes;
    } pending_sum, committing_sum;
    /* The writer is undoing, in slices, what a failed commit leaves. Decisions made meanwhile would
     * build on it, so appends wait, and the writer decides them at the end. */
    bool is_undoing;
    struct append *undecided;
    struct append **undecided_last;
    bool stopping;
    pthread_cond_t trim_work;
    bool trim_stop;
    bool trim_now;        /* a trim must not wait for the next second */
    uint64_t trim_rounds; /* rounds that the trimmer has ended; between rounds it holds no channel
                           * numbers */

    struct log_port *ports[LOG_PORTS_MAX];
    unsigned ports_count;

    _Atomic uint64_t newest;
    _Atomic uint64_t lost; /* see log_lost(); raised under the lock */
    /* While safe events are posted, `newest` includes them although they are not in every mailbox
     * yet. Broadcasts are queued meanwhile. */
    pthread_mutex_t posting_lock;
    unsigned posting; /* threads that post what became safe */
    bool is_draining; /* a thread posts what was left */
    struct append *broadcasts;
    struct append **broadcasts_last;
    atomic_bool scarce; /* whether channels were scarce at the last append */
    _Atomic uint64_t pending_bytes;

    pthread_t writer;
    bool is_begun; /* the beginning of this run is noted; the writer's, once it has started */
    uint64_t since_upkeep; /* bytes committed since the writer last called for upkeep */

    pthread_mutex_t jobs_lock;
    pthread_cond_t jobs_work;
    struct list jobs[READERS_LEVELS]; /* jobs by the number of their slices */
    uint64_t jobs_taken;
    int64_t jobs_ns;        /* recent time that slices took */
    int64_t jobs_oldest_ns; /* the part of it in slices of jobs that were taken before newer ones */
    uint64_t jobs_queued;
    uint64_t jobs_running;
    uint64_t jobs_slices;
    uint64_t jobs_cancelled;
    uint64_t jobs_spent;
    bool jobs_stop;
    pthread_t *readers;
    _Atomic uint64_t rows; /* rows that reads have looked at */

    pthread_mutex_t upkeep_lock;
    pthread_cond_t upkeep_work;
    pthread_t trimmer;
    pthread_mutex_t size_lock; /* for one thread at a time that trims because of the log's size */
    uint64_t sized;            /* events up to this id are gone because of that */
    struct retention_room *room;
    pthread_t upkeep;
    bool tended; /* trimmer and upkeep are running */
    bool upkeep_stop;
    bool upkeep_now;
    int64_t keep_after_ns; /* upkeep's: no trims are stored before this time */
    uint32_t forget_from;  /* upkeep's: number of the channel at which its last turn ended */
    /* Upkeep's: numbers of forgotten channels that the store no longer refers to. They are released
     * once the trimmer has ended the round that may have begun before. */
    struct numbers freed;
    struct numbers resting;
    uint64_t resting_since; /* trim_rounds when `resting` was filled */

    _Atomic uint64_t events;
    _Atomic uint64_t event_bytes;
    _Atomic uint64_t commits;
    _Atomic uint64_t failures;
    atomic_bool writable;
    struct hist commit_ns;
};

/* Events that the writer settles, undoes or decides before it gives the lock away. */
enum { LOG_SETTLE_SLICE = 512 };

/* Notes where this run begins, unless that is done. Before the first append, which must not take
 * place if this fails. Returns like store_ops.begin; the thread that opens the log, then the
 * writer. */
static inline int log_note_begin(struct log *log)
{
    const struct store *store = log->store;
    if (log->is_begun)
        return 0;
    int result =
        store->ops->begin ? store->ops->begin(log->store, &log->pause[log->pauses - 1]) : 0;
    log->is_begun = !result;
    return result;
}

/* The memory of a channel: a name of average length, its slots in the tables, the heap's
 * overhead. */
enum { CHANNEL_BYTES = sizeof(struct channel) + 88 };

static inline uint64_t log_channels_bytes(const struct log *log)
{
    return log->apply.channels.by_name.count * (uint64_t)CHANNEL_BYTES;
}

/* The memory of an idempotency key: its entry, its slot in the table, the heap's overhead. */
enum { KEY_BYTES = sizeof(struct keys_entry) + 2 * sizeof(void *) + HEAP_OVERHEAD };

static inline uint64_t log_keys_bytes(const struct log *log)
{
    return log->apply.keys.map.count * (uint64_t)KEY_BYTES;
}

/* The lowest `trimmed` of the channels with these numbers: they have no events up to there.
 * UINT64_MAX if all are forgotten. Any thread; holds the lock in slices. */
uint64_t log_least_trimmed(struct log *log, const uint32_t *numbers, size_t count);

/* Starts the threads of readers. Returns 0 or a negative errno. readers_stop() ends and joins them.
 */
int readers_start(struct log *log);
void readers_stop(struct log *log);

/* Takes up to `max` further jobs out of the queues, those for which `joins` returns true; the
 * running job does a slice of them along with its own. Each must be returned by one of the two
 * calls below. On a reader's thread. */
size_t readers_gather(struct log *log, bool (*joins)(const struct log_job *job, void *context),
                      void *context, struct log_job **out, size_t max);
/* Returns a job of which a slice was done. */
void readers_give(struct log *log, struct log_job *job, bool done);
/* Returns a job that got nothing: it keeps its turn. */
void readers_give_back(struct log *log, struct log_job *job);

void readers_stats(struct log *log, struct log_stats *ret_stats);

/* log_open() without trimmer and upkeep, for tests that call the functions above themselves. */
int log_open_untended(const struct log_config *config, struct log **ret_log);
