#include "base/job_thread.h"

#include <stddef.h>

static struct thread_job *next_job(struct job_thread *thread)
{
    pthread_mutex_lock(&thread->lock);
    while (!thread->jobs[0].first && !thread->jobs[1].first && !thread->stopping)
        pthread_cond_wait(&thread->more, &thread->lock);
    struct thread_jobs *jobs = &thread->jobs[!thread->jobs[0].first];
    struct thread_job *job = jobs->first;
    if (job) {
        jobs->first = job->next;
        if (!jobs->first)
            jobs->last = &jobs->first;
    }
    pthread_mutex_unlock(&thread->lock);
    return job;
}

static void *run_jobs(void *arg)
{
    for (struct thread_job *job; (job = next_job(arg));)
        job->run(job);
    return NULL;
}

void job_thread_init(struct job_thread *thread)
{
    *thread = (struct job_thread){.stopping = false};
    for (int i = 0; i < 2; i++)
        thread->jobs[i].last = &thread->jobs[i].first;
    pthread_mutex_init(&thread->lock, NULL);
    pthread_cond_init(&thread->more, NULL);
}

int job_thread_start(struct job_thread *thread)
{
    int result = -pthread_create(&thread->thread, NULL, run_jobs, thread);
    thread->has_thread = !result;
    return result;
}

void job_thread_submit(struct job_thread *thread, struct thread_job *job, bool is_urgent)
{
    if (!thread->has_thread) {
        job->run(job);
        return;
    }
    job->next = NULL;
    pthread_mutex_lock(&thread->lock);
    struct thread_jobs *jobs = &thread->jobs[!is_urgent];
    *jobs->last = job;
    jobs->last = &job->next;
    pthread_cond_signal(&thread->more);
    pthread_mutex_unlock(&thread->lock);
}

void job_thread_deinit(struct job_thread *thread)
{
    if (thread->has_thread) {
        pthread_mutex_lock(&thread->lock);
        thread->stopping = true;
        pthread_cond_signal(&thread->more);
        pthread_mutex_unlock(&thread->lock);
        pthread_join(thread->thread, NULL);
    }
    pthread_mutex_destroy(&thread->lock);
    pthread_cond_destroy(&thread->more);
}
