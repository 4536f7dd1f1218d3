/* The saver: one thread that writes and reads the courier's tables, so that no delivery waits for
 * the disk. */
#pragma once

#include "webhooks/progress/registry.h"
#include "net/mailbox.h"

struct saver;

/* Work for it, owned by who submits and lent until its mail was opened. */
struct saver_job {
    struct saver_job *next;
    /* On the saver's thread; 0 or a negative errno, which is `result` afterwards. */
    int (*run)(struct saver_job *job, struct registry *registry);
    int result;
    bool looks; /* only reads: what is to be kept goes first, since deliveries wait for that */
    struct mailbox *reply;
    struct mail mail; /* posted to `reply` when it has run */
};

/* The registry is the saver's until saver_stop. 0 or a negative errno. */
int saver_start(struct registry *registry, struct saver **ret_keeper);

/* Runs it behind all that was submitted before, lookers apart. Any thread. */
void saver_submit(struct saver *saver, struct saver_job *job);

/* Runs all that was submitted, and ends the thread. NULL is fine. */
void saver_stop(struct saver *saver);
