/* The readers: a small pool of threads for whatever may wait for the disk. */
#include "log/log_internal.h"

#include <stdlib.h>

static struct log_job *take_job(struct log *log)
{
    pthread_mutex_lock(&log->jobs_lock);
    while (!log->jobs && !log->jobs_stop)
        pthread_cond_wait(&log->jobs_work, &log->jobs_lock);
    struct log_job *job = log->jobs;
    if (job) {
        log->jobs = job->next;
        if (!log->jobs)
            log->jobs_last = &log->jobs;
    }
    pthread_mutex_unlock(&log->jobs_lock);
    return job;
}

static void *reader_main(void *arg)
{
    struct log *log = arg;
    for (struct log_job *job; (job = take_job(log));) {
        job->run(job, log);
        mailbox_post(job->reply, &job->mail);
    }
    return NULL;
}

void log_submit(struct log *log, struct log_job *job)
{
    job->next = NULL;
    pthread_mutex_lock(&log->jobs_lock);
    *log->jobs_last = job;
    log->jobs_last = &job->next;
    pthread_cond_signal(&log->jobs_work);
    pthread_mutex_unlock(&log->jobs_lock);
}

int readers_start(struct log *log)
{
    pthread_mutex_init(&log->jobs_lock, NULL);
    pthread_cond_init(&log->jobs_work, NULL);
    log->jobs_last = &log->jobs;
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
