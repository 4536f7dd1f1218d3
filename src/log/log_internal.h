/* The log's inside, shared by log.c, readers.c, retention.c, janitor.c and their tests. */
#pragma once

#include "log/log.h"

#include <pthread.h>
#include <time.h>

/* The queues of jobs, see readers.c. */
enum { READERS_LEVELS = 4 };

/* readers_gather() looks at so many jobs at most, since the lock of the queues is held over it. */
enum { READERS_GATHER_LOOK = 1024 };

struct log {
    struct log_config config;
    struct store *store;
    uint64_t floor;
    struct resolved_room resolved; /* what selections keep of the table */
    uint64_t keys_dropped;         /* while it was opened: there were more than may be */

    pthread_mutex_t mutex; /* guards all up to the ports; taken by log_lock() alone */
    pthread_mutex_t turn;  /* held by the first of those who wait for the mutex */
    int64_t locked_ns;     /* when it was taken */
    struct hist lock_ns;   /* for how long it was held, each time */
    pthread_cond_t work;
    struct apply apply;
    struct append *pending; /* decided, not safe */
    struct append *pending_end;
    struct append *committing; /* the same, of which the writer has taken charge */
    struct append *committing_end;
    /* No more events than that, nor bytes of them, are in either list. */
    struct unsafe {
        uint64_t events;
        uint64_t bytes;
    } pending_sum, committing_sum;
    /* The writer takes back what a commit that failed leaves, in slices. What would be decided
     * meanwhile would stand on it, so appends wait, and the writer decides them in the end. */
    bool is_undoing;
    struct append *undecided;
    struct append **undecided_last;
    bool stopping;
    pthread_cond_t trim_work;
    bool trim_stop;
    bool trim_now;        /* there is something that must not wait for the next second */
    uint64_t trim_rounds; /* ended by the trimmer, who then has no numbers of channels in hand */

    struct log_port *ports[LOG_PORTS_MAX];
    unsigned ports_count;

    _Atomic uint64_t newest;
    /* While what became safe is being posted, `newest` is already known and not in every mailbox
     * yet. Broadcasts wait here meanwhile. */
    pthread_mutex_t posting_lock;
    bool is_posting;
    struct append *broadcasts;
    struct append **broadcasts_last;
    atomic_bool scarce; /* channels are, as of the last append */
    _Atomic uint64_t pending_bytes;

    pthread_t writer;
    uint64_t since_house; /* bytes committed since the writer last called the janitor */

    pthread_mutex_t jobs_lock;
    pthread_cond_t jobs_work;
    struct list jobs[READERS_LEVELS]; /* by the slices that they have had */
    uint64_t jobs_taken;
    int64_t jobs_ns;        /* that slices took, of late */
    int64_t jobs_oldest_ns; /* of them, slices of jobs that were taken before newer ones */
    uint64_t jobs_queued;
    uint64_t jobs_running;
    uint64_t jobs_slices;
    uint64_t jobs_cancelled;
    uint64_t jobs_spent;
    bool jobs_stop;
    pthread_t *readers;
    _Atomic uint64_t rows; /* looked at by reads */

    pthread_mutex_t janitor_lock;
    pthread_cond_t janitor_work;
    pthread_t trimmer;
    uint64_t sized; /* the trimmer's: all up to this id went by the size of the whole */
    pthread_t janitor;
    bool tended; /* trimmer and janitor have been started */
    bool janitor_stop;
    bool janitor_now;
    int64_t keep_after_ns; /* the janitor gives trims to the store no sooner */
    uint32_t forget_from;  /* the janitor's: the number of a channel at which its last turn ended */
    /* The janitor's: numbers of forgotten channels that the store does not refer to any more. They
     * are released once the trimmer has ended a round that it may have begun before. */
    struct numbers freed;
    struct numbers resting;
    uint64_t resting_since; /* trim_rounds when those came to rest */

    _Atomic uint64_t events;
    _Atomic uint64_t event_bytes;
    _Atomic uint64_t commits;
    _Atomic uint64_t failures;
    atomic_bool writable;
    struct hist commit_ns;
};

/* Take and give back the log's lock, and note for how long it was held. */
void log_lock(struct log *log);
void log_unlock(struct log *log);

/* Gives the lock away to somebody who waits for it, if anybody does, and takes it again. */
void log_give_way(struct log *log);

/* Waits for `cond`, until a time by the monotonic clock if `until` is not NULL. The lock, which the
 * caller holds, is free meanwhile. */
void log_wait(struct log *log, pthread_cond_t *cond, const struct timespec *until);

/* The writer gives the lock away after so many events that it settles, takes back or decides. */
enum { LOG_SETTLE_SLICE = 512 };

/* Around the posting of what has become safe, which begins with a new `newest`: broadcasts wait
 * until its end, and are posted by it. One thread at a time. */
void log_begin_posting(struct log *log);
void log_end_posting(struct log *log);

/* What a channel takes: a name of some length, its places in the tables, what the heap adds. */
enum { CHANNEL_BYTES = sizeof(struct channel) + 88 };

static inline uint64_t log_channels_bytes(const struct log *log)
{
    return log->apply.channels.by_name.count * (uint64_t)CHANNEL_BYTES;
}

/* The lowest `trimmed` of the channels with these numbers: all that they have up to there is gone.
 * UINT64_MAX when they were all forgotten. Any thread; holds the lock in slices. */
uint64_t log_least_trimmed(struct log *log, const uint32_t *numbers, size_t count);

int readers_start(struct log *log);
void readers_stop(struct log *log);

/* Takes further jobs out of the queues, which the job that is being run does a slice of along with
 * its own: those for which `joins` says yes, at most `max`. Each is then given back, by one of the
 * two calls below. On a reader's thread. */
size_t readers_gather(struct log *log, bool (*joins)(const struct log_job *job, void *context),
                      void *context, struct log_job **out, size_t max);
/* A slice of it was done. */
void readers_give(struct log *log, struct log_job *job, bool done);
/* Nothing was done of it: it keeps its turn. */
void readers_give_back(struct log *log, struct log_job *job);

void readers_stats(struct log *log, struct log_stats *ret_stats);

/* A condition whose timed waits go by the monotonic clock. */
void cond_init_monotonic(pthread_cond_t *cond);

/* ---- retention.c: what is trimmed, in memory and at once ------------------------------------- */

int trimmer_start(struct log *log);
void trimmer_stop(struct log *log);

/* Whether something is so far beyond what it may have that the trimmer is to come at once. Under
 * the lock. */
bool retention_is_urgent(const struct log *log);

/* Trims what is past its retention. `urgent`: only what cannot wait. Trimmer's thread, or that of a
 * test whose log has none; as those below. */
void retention_trim(struct log *log, bool urgent);

/* ---- janitor.c: what follows from it on the disk --------------------------------------------- */

int janitor_start(struct log *log);
void janitor_stop(struct log *log);

/* Gives the store what was trimmed, to be kept for good: many channels a commit. Janitor's thread;
 * with a store in memory the trimmer's. */
void janitor_keep_trims(struct log *log);

/* A number of a forgotten channel that nothing in the store refers to. Janitor's thread. */
void janitor_note_freed(struct log *log, uint32_t number);

/* Forgets channels if there are too many, and lets the store tidy up. */
void janitor_turn(struct log *log);

/* As log_open(), but nobody trims or tidies up by himself: for tests, which do it by the functions
 * above. */
int log_open_untended(const struct log_config *config, struct log **ret_log);
