#include "webhooks/progress/saver.h"

#include "base/mem.h"

#include <stdlib.h>

struct saver {
    struct registry *registry;
    struct job_thread thread;
};

static void run(struct thread_job *base)
{
    struct saver_job *job = container_of(base, struct saver_job, base);
    job->result = job->run(job, job->saver->registry);
    mailbox_post(job->reply, &job->mail);
}

struct saver *saver_new(struct registry *registry)
{
    struct saver *saver = mem_alloc(sizeof(*saver));
    saver->registry = registry;
    job_thread_init(&saver->thread);
    return saver;
}

int saver_start(struct saver *saver)
{
    return job_thread_start(&saver->thread);
}

void saver_submit(struct saver *saver, struct saver_job *job)
{
    job->base.run = run;
    job->saver = saver;
    job_thread_submit(&saver->thread, &job->base, !job->looks);
}

void saver_free(struct saver *saver)
{
    if (!saver)
        return;
    job_thread_deinit(&saver->thread);
    free(saver);
}
