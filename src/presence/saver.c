#include "presence/saver.h"

#include <stdlib.h>

struct presence_saver {
    struct presence_store *store;
    struct job_thread thread;
};

static void run(struct thread_job *job)
{
    struct presence_save *save = container_of(job, struct presence_save, job);
    save->result = presence_store_write(save->saver->store, save->rows, save->position);
    save_rows_free(save->garbage);
    if (!save->result) {
        save_rows_free(save->rows); /* there may be very many: not on the host's thread */
        save->rows = NULL;
    }
    mailbox_post(save->home, &save->mail);
}

struct presence_saver *presence_saver_new(struct presence_store *store)
{
    struct presence_saver *saver = mem_alloc(sizeof(*saver));
    saver->store = store;
    job_thread_init(&saver->thread);
    return saver;
}

int presence_saver_start(struct presence_saver *saver)
{
    return job_thread_start(&saver->thread);
}

void presence_saver_submit(struct presence_saver *saver, struct presence_save *save)
{
    save->job.run = run;
    save->saver = saver;
    job_thread_submit(&saver->thread, &save->job, true);
}

void presence_saver_free(struct presence_saver *saver)
{
    if (!saver)
        return;
    job_thread_deinit(&saver->thread);
    presence_store_close(saver->store);
    free(saver);
}
