#include "webhooks/progress/saver.h"

#include "base/mem.h"

#include <pthread.h>
#include <stdlib.h>

struct jobs {
    struct keeper_job *first;
    struct keeper_job **last;
};

struct keeper {
    struct registry *registry;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct jobs jobs[2]; /* jobs that write, and jobs that only read */
    bool stopping;
    pthread_t thread;
};

static struct keeper_job *next_job(struct keeper *keeper)
{
    pthread_mutex_lock(&keeper->lock);
    while (!keeper->jobs[0].first && !keeper->jobs[1].first && !keeper->stopping)
        pthread_cond_wait(&keeper->more, &keeper->lock);
    struct jobs *jobs = &keeper->jobs[!keeper->jobs[0].first];
    struct keeper_job *job = jobs->first;
    if (job) {
        jobs->first = job->next;
        if (!jobs->first)
            jobs->last = &jobs->first;
    }
    pthread_mutex_unlock(&keeper->lock);
    return job;
}

static void *keeper_main(void *arg)
{
    struct keeper *keeper = arg;
    for (struct keeper_job *job; (job = next_job(keeper));) {
        job->result = job->run(job, keeper->registry);
        mailbox_post(job->reply, &job->mail);
    }
    return NULL;
}

int keeper_start(struct registry *registry, struct keeper **ret_keeper)
{
    struct keeper *keeper = mem_alloc(sizeof(*keeper));
    keeper->registry = registry;
    for (int i = 0; i < 2; i++)
        keeper->jobs[i].last = &keeper->jobs[i].first;
    pthread_mutex_init(&keeper->lock, NULL);
    pthread_cond_init(&keeper->more, NULL);
    int result = -pthread_create(&keeper->thread, NULL, keeper_main, keeper);
    if (result) {
        free(keeper);
        return result;
    }
    *ret_keeper = keeper;
    return 0;
}

void keeper_submit(struct keeper *keeper, struct keeper_job *job)
{
    job->next = NULL;
    pthread_mutex_lock(&keeper->lock);
    struct jobs *jobs = &keeper->jobs[job->looks];
    *jobs->last = job;
    jobs->last = &job->next;
    pthread_cond_signal(&keeper->more);
    pthread_mutex_unlock(&keeper->lock);
}

void keeper_stop(struct keeper *keeper)
{
    if (!keeper)
        return;
    pthread_mutex_lock(&keeper->lock);
    keeper->stopping = true;
    pthread_cond_signal(&keeper->more);
    pthread_mutex_unlock(&keeper->lock);
    pthread_join(keeper->thread, NULL);
    pthread_mutex_destroy(&keeper->lock);
    pthread_cond_destroy(&keeper->more);
    free(keeper);
}
