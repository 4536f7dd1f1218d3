/* The thread that writes presence.db, so that the host never waits for the disk. */
#pragma once

#include "base/job_thread.h"
#include "net/mailbox.h"
#include "presence/store.h"

/* A bundle of changes; one is under way at a time, and the next ones gather meanwhile. */
struct presence_save {
    struct thread_job job;
    struct presence_saver *saver; /* set by presence_saver_submit() */
    struct save_row *rows;        /* NULL once they were written */
    struct save_row *garbage;     /* is freed */
    uint64_t position;
    int result;
    struct mailbox *home;
    struct mail mail; /* posted to `home` when it is done */
};

struct presence_saver;

/* Takes the store over. */
struct presence_saver *presence_saver_new(struct presence_store *store);
/* Starts the thread: 0 or a negative errno. Without it presence_saver_submit() writes at once. */
int presence_saver_start(struct presence_saver *saver);
void presence_saver_submit(struct presence_saver *saver, struct presence_save *save);
/* Ends the thread once it has written what was submitted, and closes the store. NULL is fine. */
void presence_saver_free(struct presence_saver *saver);
