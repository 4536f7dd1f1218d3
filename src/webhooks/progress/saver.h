/* The keeper: one thread that writes and reads the courier's tables, so that no delivery waits for
 * the disk. */
#pragma once

#include "webhooks/progress/registry.h"
#include "net/mailbox.h"

struct keeper;

/* Work for it, owned by who submits and lent until its mail was opened. */
struct keeper_job {
    struct keeper_job *next;
    /* On the keeper's thread; 0 or a negative errno, which is `result` afterwards. */
    int (*run)(struct keeper_job *job, struct registry *registry);
    int result;
    bool looks; /* only reads: what is to be kept goes first, since deliveries wait for that */
    struct mailbox *reply;
    struct mail mail; /* posted to `reply` when it has run */
};

/* The registry is the keeper's until keeper_stop. 0 or a negative errno. */
int keeper_start(struct registry *registry, struct keeper **ret_keeper);

/* Runs it behind all that was submitted before, lookers apart. Any thread. */
void keeper_submit(struct keeper *keeper, struct keeper_job *job);

/* Runs all that was submitted, and ends the thread. NULL is fine. */
void keeper_stop(struct keeper *keeper);
