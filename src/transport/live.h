/* The table of a worker's streams, WebSockets and polls that have a caller. They must end when the
 * caller's credential expires or is revoked, or when somebody disconnects the caller.
 *
 * - exchange_pull() and exchange_wait() call live_add(); live_remove() follows when the pull or the
 *   exchange is freed.
 * - A revocation (by mail) or an expiry (by the timer) calls live_look(); live_check_some() then
 *   checks all entries in slices, over several turns.
 *
 * The table lies beside the connections, so that an anonymous subscriber costs nothing here. The
 * key of an entry is the address of its pull or exchange (the owner), because every protocol tells
 * these when they end. The table belongs to the thread of the worker. */
#pragma once

#include "access/caller.h"
#include "base/list.h"
#include "base/map.h"
#include "net/loop.h"
#include "transport/ending.h"

struct worker;

struct live_ops {
    /* Ends the owner, soon and as politely as its protocol can. The owner may be freed within the
     * call. False if the owner was about to end anyway. */
    bool (*end)(void *owner, enum ending why);
    bool is_part; /* the owner is part of another one, and only that one counts for the subject */
    /* Whether the owner reads the channel, or a pattern that matches it. */
    bool (*reads)(const void *owner, struct str channel);
};

/* Embedded in the worker. */
struct live_table {
    struct map map;             /* by owner */
    struct list checked;        /* entries, in no order */
    struct list unchecked;      /* entries that are still to be held against the caller's rights */
    struct list disconnections; /* struct live_disconnection, the first that began first */
    struct timer timer;         /* rings when the first credential expires, or might */
    int64_t next_expiry_us;     /* at most the least of all entries; INT64_MAX: none expires */
};

void live_init(struct worker *worker);
void live_deinit(struct worker *worker);

/* Adds an owner; takes a reference to the caller, which is not NULL. Returns 0, -EDQUOT if its
 * subject has as many as it may have (subject_connections_max), or -ENOMEM: then the owner must
 * end. */
int live_add(struct worker *worker, void *owner, struct caller *caller, const struct live_ops *ops);
/* Puts an owner under another caller. The results are those of live_add(), and after a failure
 * nothing has changed. */
int live_change(struct worker *worker, void *owner, struct caller *caller,
                const struct live_ops *ops);
/* The owner has ended. Fine if it was never added. */
void live_remove(struct worker *worker, const void *owner);

/* The caller of an owner, borrowed; NULL for anybody. */
struct caller *live_caller(const struct worker *worker, const void *owner);

/* Has all entries checked, in slices. */
void live_look(struct worker *worker);
/* Checks some, and ends those whose caller has no rights any more. */
void live_check_some(struct worker *worker);
/* Whether some are left for the next turn. */
bool live_is_busy(const struct worker *worker);

/* A request to end all owners of a subject, carried out in slices as well. `mark` is put behind the
 * entries that are unchecked when the request begins: once it has come to the front, each of these
 * was checked. */
struct live_disconnection {
    struct list node; /* in live_table.disconnections */
    struct list mark;
    struct str subject, channel;                    /* borrowed; no channel: any */
    unsigned ended;                                 /* how many it has ended so far */
    void (*done)(struct live_disconnection *ended); /* on the worker's thread; may free it */
};

/* Ends all owners of the subject; with a channel, only those that read it. `done` is called in a
 * later turn, or at once if the worker has ended. */
void live_disconnect(struct worker *worker, struct live_disconnection *disconnection);

/* How many disconnections are under way. */
unsigned live_disconnections(const struct worker *worker);

/* Ends the disconnections of a worker that has ended, since no entry is left for them. */
void live_give_up(struct worker *worker);
