#include "webhooks/progress/saver.h"

#include "base/mem.h"

#include <pthread.h>
#include <stdlib.h>

struct jobs {
    struct saver_job *first;
    struct saver_job **last;
};

struct saver {
    struct registry *registry;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct jobs jobs[2]; /* jobs that write, and jobs that only read */
    bool stopping;
    bool has_thread; /* written once */
    pthread_t thread;
};

static struct saver_job *next_job(struct saver *saver)
{
    pthread_mutex_lock(&saver->lock);
    while (!saver->jobs[0].first && !saver->jobs[1].first && !saver->stopping)
        pthread_cond_wait(&saver->more, &saver->lock);
    struct jobs *jobs = &saver->jobs[!saver->jobs[0].first];
    struct saver_job *job = jobs->first;
    if (job) {
        jobs->first = job->next;
        if (!jobs->first)
            jobs->last = &jobs->first;
    }
    pthread_mutex_unlock(&saver->lock);
    return job;
}

static void run(struct saver *saver, struct saver_job *job)
{
    job->result = job->run(job, saver->registry);
    mailbox_post(job->reply, &job->mail);
}

static void *saver_main(void *arg)
{
    struct saver *saver = arg;
    for (struct saver_job *job; (job = next_job(saver));)
        run(saver, job);
    return NULL;
}

struct saver *saver_new(struct registry *registry)
{
    struct saver *saver = mem_alloc(sizeof(*saver));
    saver->registry = registry;
    for (int i = 0; i < 2; i++)
        saver->jobs[i].last = &saver->jobs[i].first;
    pthread_mutex_init(&saver->lock, NULL);
    pthread_cond_init(&saver->more, NULL);
    return saver;
}

int saver_start(struct saver *saver)
{
    int result = -pthread_create(&saver->thread, NULL, saver_main, saver);
    saver->has_thread = !result;
    return result;
}

void saver_submit(struct saver *saver, struct saver_job *job)
{
    if (!saver->has_thread) {
        run(saver, job);
        return;
    }
    job->next = NULL;
    pthread_mutex_lock(&saver->lock);
    struct jobs *jobs = &saver->jobs[job->looks];
    *jobs->last = job;
    jobs->last = &job->next;
    pthread_cond_signal(&saver->more);
    pthread_mutex_unlock(&saver->lock);
}

static void end_thread(struct saver *saver)
{
    pthread_mutex_lock(&saver->lock);
    saver->stopping = true;
    pthread_cond_signal(&saver->more);
    pthread_mutex_unlock(&saver->lock);
    pthread_join(saver->thread, NULL);
}

void saver_free(struct saver *saver)
{
    if (!saver)
        return;
    if (saver->has_thread)
        end_thread(saver);
    pthread_mutex_destroy(&saver->lock);
    pthread_cond_destroy(&saver->more);
    free(saver);
}
