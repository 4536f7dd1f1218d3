/* The saver: one thread that writes and reads the courier's tables, so that no delivery waits for
 * the disk. */
#pragma once

#include "webhooks/progress/registry.h"
#include "net/mailbox.h"

struct saver;

/* Work for the saver. The submitter owns it, and lends it until its mail was opened. */
struct saver_job {
    struct saver_job *next;
    /* On the saver's thread; 0 or a negative errno, which is `result` afterwards. */
    int (*run)(struct saver_job *job, struct registry *registry);
    int result;
    bool looks; /* only reads: what is to be saved goes first, since deliveries wait for that */
    struct mailbox *reply;
    struct mail mail; /* posted to `reply` when it has run */
};

/* A saver without a thread: jobs run within saver_submit(). The registry is its own until
 * saver_free(). */
struct saver *saver_new(struct registry *registry);

/* Gives it a thread, on which jobs run from now on. 0 or a negative errno. */
int saver_start(struct saver *saver);

/* Runs a job behind all that were submitted before, but for those that only look. Any thread. */
void saver_submit(struct saver *saver, struct saver_job *job);

/* Runs all that was submitted, ends the thread and frees the saver. NULL is fine. */
void saver_free(struct saver *saver);
