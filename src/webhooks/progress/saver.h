/* The saver: one thread that writes and reads the courier's tables, so that no delivery waits for
 * the disk. */
#pragma once

#include "base/job_thread.h"
#include "net/mailbox.h"
#include "webhooks/progress/registry.h"

struct saver;

/* Work for the saver. The submitter owns it, and lends it until its mail is opened. */
struct saver_job {
    struct thread_job base;
    struct saver *saver; /* set by saver_submit() */
    /* On the saver's thread; 0 or a negative errno, which is `result` afterwards. */
    int (*run)(struct saver_job *job, struct registry *registry);
    int result;
    bool looks; /* only reads: jobs that write go first, since deliveries wait for them */
    struct mailbox *reply;
    struct mail mail; /* posted to `reply` when the job has run */
};

/* Makes a saver without a thread: jobs run within saver_submit(). The saver owns the registry's use
 * until saver_free(). */
struct saver *saver_new(struct registry *registry);

/* Starts the thread, which runs all further jobs. 0 or a negative errno. */
int saver_start(struct saver *saver);

/* Queues a job behind all that were submitted before; jobs that only read come last. Any thread. */
void saver_submit(struct saver *saver, struct saver_job *job);

/* Runs all queued jobs, ends the thread and frees the saver. NULL is allowed. */
void saver_free(struct saver *saver);
