/* A thread that runs jobs, one after the other, so that the threads that submit them never wait:
 * for the disk, say. */
#pragma once

#include <pthread.h>
#include <stdbool.h>

/* The submitter owns the job, and lends it until `run` has told otherwise, by mail for example. */
struct thread_job {
    struct thread_job *next;
    void (*run)(struct thread_job *job); /* on the thread; may end the loan */
};

struct thread_jobs {
    struct thread_job *first;
    struct thread_job **last;
};

/* Embedded by its owner. */
struct job_thread {
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct thread_jobs jobs[2]; /* urgent ones, and those that come last */
    bool stopping;
    bool has_thread; /* written once */
    pthread_t thread;
};

/* Without a thread: until job_thread_start() jobs run within job_thread_submit(). */
void job_thread_init(struct job_thread *thread);

/* Starts the thread, which runs all further jobs. Returns 0 or a negative errno. */
int job_thread_start(struct job_thread *thread);

/* Queues a job behind all that were submitted before. A job that is not urgent goes once no urgent
 * one is left. Any thread. */
void job_thread_submit(struct job_thread *thread, struct thread_job *job, bool is_urgent);

/* Runs all queued jobs and ends the thread. No job may come any more. */
void job_thread_deinit(struct job_thread *thread);
