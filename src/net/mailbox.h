/* Messages between threads: mail is posted from anywhere and opened by the thread that owns the
 * mailbox. */
#pragma once

#include "base/clock.h"
#include "base/hist.h"

#include <stdatomic.h>
#include <stdbool.h>

/* Mail, embedded in the message; the sender keeps it alive until it was opened. */
struct mail {
    struct mail *next;
    /* Called once on the owner's thread, in the order of posting. May free the structure that
     * embeds the mail. */
    void (*open)(struct mail *mail, void *owner);
};

struct mailbox {
    _Atomic(struct mail *) newest; /* a stack; reversed when it is emptied */
    atomic_bool awake;             /* the owner will look by itself: no wake needed */
    atomic_bool at_leisure;        /* mail of mailbox_leave() may wait until the owner looks */
    int wake_fd;                   /* an eventfd, written to when there may be mail */
    void *owner;
    struct clock *clock;       /* for `wait_ns`; NULL: waits are not measured */
    struct hist *wait_ns;      /* the wait of the oldest mail until it was opened */
    _Atomic int64_t oldest_ns; /* when the mailbox last stopped being empty; 0: unknown */
};

/* Returns 0, or a negative errno if there is no eventfd. The owner counts as awake. */
int mailbox_init(struct mailbox *mailbox, void *owner);
void mailbox_deinit(struct mailbox *mailbox);

/* From now on, records how long mail waits in `wait_ns`, which belongs to the owner's thread. Call
 * it before anybody posts. */
void mailbox_measure(struct mailbox *mailbox, struct clock *clock, struct hist *wait_ns);

/* Any thread. Wakes the owner only if it sleeps, so a hundred posts cost one system call. */
void mailbox_post(struct mailbox *mailbox, struct mail *mail);

/* Like mailbox_post(), but does not wake an owner that is at leisure. Any thread. */
void mailbox_leave(struct mailbox *mailbox, struct mail *mail);

/* Owner's thread, before it empties the mailbox and sleeps: sets whether mail of mailbox_leave()
 * may wait. */
void mailbox_set_leisure(struct mailbox *mailbox, bool at_leisure);

/* Any thread. */
bool mailbox_is_at_leisure(const struct mailbox *mailbox);

/* Owner's thread: opens all mail. Returns how many were opened. */
unsigned mailbox_empty(struct mailbox *mailbox);

/* Owner's thread, before it waits. Returns false if there is mail: then the owner must not wait. */
bool mailbox_sleep(struct mailbox *mailbox);

/* Owner's thread, after it waited. The count of the eventfd is never read: the owner waits for an
 * edge, and each write is one. */
void mailbox_wake(struct mailbox *mailbox);
