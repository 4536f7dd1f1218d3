/* The readers: a small pool of threads for work that may wait for the disk.
 *
 * A read of the store can be as long as the log, and every client may ask for one. So a job is done
 * in slices of LOG_SLICE_ROWS rows. After each slice the job goes to the end of a queue:
 *
 *     level 0   new jobs                    taken first
 *     level 1   1 to 7 slices done
 *     level 2   8 to 63
 *     level 3   64 and more                 taken last
 *
 * So a page that needs one slice overtakes every job that needs many, and waits for a slice at
 * most. One take in eight begins with the last level, so that a stream of new jobs cannot keep an
 * old one waiting for ever. These takes get an eighth of the readers' time at most, since the
 * slices of old jobs may be long and the first slices of new jobs short.
 *
 * A job is new, then queued and running by turns, then over. Only a job that is over has its mail
 * posted, once. A job is over when it is done, when its allowance of slices or of time is spent, or
 * when it was cancelled. The thread that opens the mail owns the job. The job's memory stays until
 * then, so that thread may cancel the job at any time and in any state. It may also park a job that
 * is over, to submit it again later; a parked job that is cancelled is over again, and its mail is
 * posted.
 *
 * `jobs_lock` guards the queues and the states. It is never held during a slice. */
#include "log/lock.h"

#include <stdlib.h>

enum { LEVEL_1 = 1, LEVEL_2 = 8, LEVEL_3 = 64, OLDEST_EACH = 8 };
enum { REMEMBERED_NS = 1000000000 };

enum { JOB_NEW, JOB_QUEUED, JOB_RUNNING, JOB_OVER, JOB_PARKED };

static unsigned level_of(const struct log_job *job)
{
    return job->slices < LEVEL_1 ? 0 : job->slices < LEVEL_2 ? 1 : job->slices < LEVEL_3 ? 2 : 3;
}

/* ---- states: all under jobs_lock ------------------------------------------------------------- */

static void queue_at(struct log *log, struct log_job *job, struct list *place)
{
    job->state = JOB_QUEUED;
    list_insert_before(place, &job->node);
    log->jobs_queued++;
    pthread_cond_signal(&log->jobs_work);
}

static void queue(struct log *log, struct log_job *job)
{
    queue_at(log, job, &log->jobs[level_of(job)]);
}

static struct log_job *unqueue(struct log *log, struct list *node)
{
    struct log_job *job = container_of(node, struct log_job, node);
    list_remove(node);
    log->jobs_queued--;
    return job;
}

static int64_t now_ns(const struct log *log)
{
    return clock_now_ns(log->config.store.clock);
}

static void end(struct log *log, struct log_job *job)
{
    job->state = JOB_OVER;
    log->jobs_cancelled += job->cancelled;
    log->jobs_spent += job->spent;
}

static void start(struct log *log, struct log_job *job)
{
    job->state = JOB_RUNNING;
    job->since_ns = now_ns(log);
    log->jobs_running++;
}

/* Records the time of the slice. Older slices count less and less. */
static void stop(struct log *log, const struct log_job *job)
{
    int64_t ns = now_ns(log) - job->since_ns;
    log->jobs_running--;
    log->jobs_ns += ns;
    log->jobs_oldest_ns += job->oldest ? ns : 0;
    if (log->jobs_ns > REMEMBERED_NS) {
        log->jobs_ns /= 2;
        log->jobs_oldest_ns /= 2;
    }
}

static struct log_job *next_job(struct log *log)
{
    bool oldest_first =
        ++log->jobs_taken % OLDEST_EACH == 0 && log->jobs_oldest_ns <= log->jobs_ns / OLDEST_EACH;
    for (unsigned i = 0; i < READERS_LEVELS; i++) {
        struct list *level = &log->jobs[oldest_first ? READERS_LEVELS - 1 - i : i];
        if (list_empty(level))
            continue;
        struct log_job *job = unqueue(log, level->next);
        job->oldest = oldest_first;
        return job;
    }
    return NULL;
}

static bool has_allowance(const struct log_job *job)
{
    if (job->slices_max && job->slices >= job->slices_max)
        return false;
    return !job->clock || clock_now_ns(job->clock) < job->until_ns;
}

/* After a slice: returns whether the job is over. */
static bool settle(struct log *log, struct log_job *job, bool done)
{
    stop(log, job);
    log->jobs_slices++;
    job->slices++;
    job->spent = !done && !job->cancelled && !has_allowance(job);
    job->cancelled = job->cancelled || (log->jobs_stop && !done && !job->spent);
    if (done || job->spent || job->cancelled)
        end(log, job);
    else
        queue(log, job);
    return job->state == JOB_OVER;
}

/* ---- on a reader's thread -------------------------------------------------------------------- */

/* Waits for a job; NULL when the log is closed and no job is left. */
static struct log_job *take_job(struct log *log)
{
    pthread_mutex_lock(&log->jobs_lock);
    while (!log->jobs_queued && !log->jobs_stop)
        pthread_cond_wait(&log->jobs_work, &log->jobs_lock);
    struct log_job *job = next_job(log);
    if (job)
        start(log, job);
    pthread_mutex_unlock(&log->jobs_lock);
    return job;
}

/* The job may be freed as soon as its mail is posted, and another reader may take it as soon as it
 * is queued. */
void readers_give(struct log *log, struct log_job *job, bool done)
{
    pthread_mutex_lock(&log->jobs_lock);
    bool over = settle(log, job, done);
    pthread_mutex_unlock(&log->jobs_lock);
    if (over)
        mailbox_post(job->reply, &job->mail);
}

/* Takes jobs of a level that join; looks at `*left` jobs at most in all levels. */
static size_t gather_level(struct log *log, struct list *level, unsigned *left,
                           bool (*joins)(const struct log_job *job, void *context), void *context,
                           struct log_job **out, size_t max)
{
    size_t count = 0;
    list_each (level, node) {
        if (count == max || !*left)
            break;
        --*left;
        if (!joins(container_of(node, struct log_job, node), context))
            continue;
        out[count] = unqueue(log, node);
        out[count]->oldest = false; /* the time counts with the job that it joins */
        start(log, out[count++]);
    }
    return count;
}

size_t readers_gather(struct log *log, bool (*joins)(const struct log_job *job, void *context),
                      void *context, struct log_job **out, size_t max)
{
    size_t count = 0;
    unsigned left = READERS_GATHER_LOOK;
    pthread_mutex_lock(&log->jobs_lock);
    for (unsigned i = 0; i < READERS_LEVELS && left; i++)
        count += gather_level(log, &log->jobs[i], &left, joins, context, out + count, max - count);
    pthread_mutex_unlock(&log->jobs_lock);
    return count;
}

void readers_give_back(struct log *log, struct log_job *job)
{
    pthread_mutex_lock(&log->jobs_lock);
    bool over = job->cancelled;
    stop(log, job);
    if (over)
        end(log, job);
    else
        queue_at(log, job, log->jobs[level_of(job)].next);
    pthread_mutex_unlock(&log->jobs_lock);
    if (over)
        mailbox_post(job->reply, &job->mail);
}

static void *reader_main(void *arg)
{
    struct log *log = arg;
    for (struct log_job *job; (job = take_job(log));)
        readers_give(log, job, job->run(job, log));
    return NULL;
}

/* ---- for the submitters ---------------------------------------------------------------------- */

void log_submit(struct log *log, struct log_job *job)
{
    pthread_mutex_lock(&log->jobs_lock);
    queue(log, job);
    pthread_mutex_unlock(&log->jobs_lock);
}

void log_job_park(struct log *log, struct log_job *job)
{
    pthread_mutex_lock(&log->jobs_lock);
    job->state = JOB_PARKED;
    job->slices -= job->slices > 0; /* the last slice did nothing */
    pthread_mutex_unlock(&log->jobs_lock);
}

void log_job_cancel(struct log *log, struct log_job *job)
{
    bool over = false;
    pthread_mutex_lock(&log->jobs_lock);
    if (job->state != JOB_OVER)
        job->cancelled = true;
    if (job->state == JOB_QUEUED)
        unqueue(log, &job->node);
    if (job->state == JOB_QUEUED || job->state == JOB_PARKED) {
        end(log, job);
        over = true;
    }
    pthread_mutex_unlock(&log->jobs_lock);
    if (over)
        mailbox_post(job->reply, &job->mail);
}

void log_job_hurry(struct log *log, struct log_job *job)
{
    pthread_mutex_lock(&log->jobs_lock);
    if (!job->slices_max || job->slices_max > LOG_LEAVING_SLICES)
        job->slices_max = LOG_LEAVING_SLICES;
    pthread_mutex_unlock(&log->jobs_lock);
}

void readers_stats(struct log *log, struct log_stats *ret_stats)
{
    pthread_mutex_lock(&log->jobs_lock);
    ret_stats->readers.queued = log->jobs_queued;
    ret_stats->readers.running = log->jobs_running;
    ret_stats->readers.slices = log->jobs_slices;
    ret_stats->readers.cancelled = log->jobs_cancelled;
    ret_stats->readers.spent = log->jobs_spent;
    pthread_mutex_unlock(&log->jobs_lock);
    ret_stats->readers.rows = atomic_load_explicit(&log->rows, memory_order_relaxed);
}

int readers_start(struct log *log)
{
    pthread_mutex_init(&log->jobs_lock, NULL);
    pthread_cond_init(&log->jobs_work, NULL);
    for (unsigned i = 0; i < READERS_LEVELS; i++)
        list_init(&log->jobs[i]);
    log->readers = mem_alloc(log->config.readers * sizeof(pthread_t));
    for (unsigned i = 0; i < log->config.readers; i++) {
        int error = pthread_create(&log->readers[i], NULL, reader_main, log);
        if (error)
            return -error;
    }
    return 0;
}

void readers_stop(struct log *log)
{
    pthread_mutex_lock(&log->jobs_lock);
    log->jobs_stop = true;
    pthread_cond_broadcast(&log->jobs_work);
    pthread_mutex_unlock(&log->jobs_lock);
    for (unsigned i = 0; i < log->config.readers; i++)
        pthread_join(log->readers[i], NULL);
    free(log->readers);
    pthread_mutex_destroy(&log->jobs_lock);
    pthread_cond_destroy(&log->jobs_work);
}
