#include "presence/saver.h"

#include <pthread.h>
#include <stdlib.h>

struct presence_saver {
    struct presence_store *store;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct presence_save *save; /* to be written; NULL: none */
    bool stopping;
    bool has_thread; /* written once */
    pthread_t thread;
};

static void run(struct presence_saver *saver, struct presence_save *save)
{
    save->result = presence_store_write(saver->store, save->rows, save->position);
    mailbox_post(save->home, &save->mail);
}

static struct presence_save *next_save(struct presence_saver *saver)
{
    pthread_mutex_lock(&saver->lock);
    while (!saver->save && !saver->stopping)
        pthread_cond_wait(&saver->more, &saver->lock);
    struct presence_save *save = saver->save;
    saver->save = NULL;
    pthread_mutex_unlock(&saver->lock);
    return save;
}

static void *saver_main(void *arg)
{
    struct presence_saver *saver = arg;
    for (struct presence_save *save; (save = next_save(saver));)
        run(saver, save);
    return NULL;
}

struct presence_saver *presence_saver_new(struct presence_store *store)
{
    struct presence_saver *saver = mem_alloc(sizeof(*saver));
    saver->store = store;
    pthread_mutex_init(&saver->lock, NULL);
    pthread_cond_init(&saver->more, NULL);
    return saver;
}

int presence_saver_start(struct presence_saver *saver)
{
    int result = -pthread_create(&saver->thread, NULL, saver_main, saver);
    saver->has_thread = !result;
    return result;
}

void presence_saver_submit(struct presence_saver *saver, struct presence_save *save)
{
    if (!saver->has_thread) {
        run(saver, save);
        return;
    }
    pthread_mutex_lock(&saver->lock);
    saver->save = save;
    pthread_cond_signal(&saver->more);
    pthread_mutex_unlock(&saver->lock);
}

static void end_thread(struct presence_saver *saver)
{
    pthread_mutex_lock(&saver->lock);
    saver->stopping = true;
    pthread_cond_signal(&saver->more);
    pthread_mutex_unlock(&saver->lock);
    pthread_join(saver->thread, NULL);
}

void presence_saver_free(struct presence_saver *saver)
{
    if (!saver)
        return;
    if (saver->has_thread)
        end_thread(saver);
    presence_store_close(saver->store);
    pthread_mutex_destroy(&saver->lock);
    pthread_cond_destroy(&saver->more);
    free(saver);
}
