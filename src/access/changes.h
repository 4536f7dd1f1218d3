/* Changes of keys and revocations: each is saved by a thread of its own, and then takes effect for
 * all threads.
 *
 *     handler ── change ──▶ queue ──▶ saved ──▶ tables ──▶ listeners look again at who is live
 *        ▲                                        │
 *        └───────────────── mail ─────────────────┘
 *
 * A worker must not wait for the disk, so it hands a change over and gets mail. One thread does all
 * changes, one after the other; their order is that of the queue. A change that takes something
 * away is told to the listeners (workers, the courier), which hold their live callers against the
 * tables: so a change that was told twice, or late, does no harm. */
#pragma once

#include "access/key_table.h"
#include "access/revocations.h"
#include "base/clock.h"
#include "net/mailbox.h"

enum change_op {
    CHANGE_ADD_KEY,
    CHANGE_REMOVE_KEY,
    CHANGE_ADD_REVOCATION,
    CHANGE_REMOVE_REVOCATION,
};

/* Results beside 0 and negative errnos. */
enum {
    CHANGE_E_MISSING = 1,  /* there is nothing of this id */
    CHANGE_E_MANY,         /* KEYS_MAX or REVOCATIONS_MAX */
    CHANGE_E_CONFIGURED,   /* the configuration has this key */
    CHANGE_E_FATE_UNKNOWN, /* the disk failed: it is in effect, and may be gone after a crash */
};

enum { CHANGE_ID_MAX = 16 + REVOKED_NAME_MAX };

/* The submitter owns it, and lends it until its mail was opened. */
struct change {
    struct change *next;
    enum change_op op;
    struct api_key *key;           /* to be added; taken over */
    struct revocation *revocation; /* to be added; taken over */
    char id[CHANGE_ID_MAX];        /* of what is to be removed; else the submitter's own */
    size_t id_len;
    int result;
    struct mailbox *reply;
    struct mail mail; /* posted to `reply` when it is done */
};

/* A thread that has live callers. Embedded by its owner, which lives as long as the changes. */
struct change_listener {
    struct change_listener *next;
    struct mailbox *mailbox;
    /* On the thread of the mailbox, some time after a key was removed or something was revoked. */
    void (*look)(struct change_listener *listener);
    atomic_bool is_posted;
    struct mail mail;
};

struct changes_config {
    const char *dir; /* the folder of the log; NULL: nothing outlives the process */
    struct clock *clock;
    struct key_table *keys;
    struct revocations *revocations;
};

struct changes;

/* Opens the store and puts what it has into the tables. 0 or a negative errno. */
int changes_open(const struct changes_config *config, struct changes **ret_changes);

/* Before changes_start(). */
void changes_listen(struct changes *changes, struct change_listener *listener);

/* Starts the thread. 0 or a negative errno. Without it, changes run within changes_submit(). */
int changes_start(struct changes *changes);

/* Any thread. */
void changes_submit(struct changes *changes, struct change *change);

/* Does what is due by the clock: saves when keys were used, forgets revocations that have ended.
 * For the thread, and for tests that have none. The first does all of it, the second a bundle, and
 * returns whether more is left: a revocation must not wait for thousands of others to be forgotten.
 */
void changes_tick(struct changes *changes);
bool changes_tick_some(struct changes *changes);

/* Runs what was submitted, ends the thread, and closes the store. NULL is fine. */
void changes_close(struct changes *changes);
