#include "net/mailbox.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

int mailbox_init(struct mailbox *mailbox, void *owner)
{
    *mailbox = (struct mailbox){.owner = owner};
    atomic_init(&mailbox->newest, NULL);
    atomic_init(&mailbox->awake, true);
    atomic_init(&mailbox->at_leisure, false);
    mailbox->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return mailbox->wake_fd < 0 ? -errno : 0;
}

void mailbox_deinit(struct mailbox *mailbox)
{
    close(mailbox->wake_fd);
    mailbox->wake_fd = -1;
}

void mailbox_measure(struct mailbox *mailbox, struct clock *clock, struct hist *wait_ns)
{
    mailbox->clock = clock;
    mailbox->wait_ns = wait_ns;
}

/* Stamps an empty mailbox before the push. Two threads may both do so; their stamps are equally
 * good. Kept out of push(), which must stay small to be inlined. */
__attribute__((noinline, cold)) static void stamp(struct mailbox *mailbox)
{
    atomic_store_explicit(&mailbox->oldest_ns, clock_now_ns(mailbox->clock), memory_order_relaxed);
}

static void note_wait(struct mailbox *mailbox)
{
    if (!mailbox->clock)
        return;
    int64_t since_ns = atomic_exchange_explicit(&mailbox->oldest_ns, 0, memory_order_relaxed);
    int64_t ns = since_ns ? clock_now_ns(mailbox->clock) - since_ns : -1;
    if (ns >= 0)
        hist_add(mailbox->wait_ns, (uint64_t)ns, 1);
}

static inline void push(struct mailbox *mailbox, struct mail *mail)
{
    struct mail *newest = atomic_load_explicit(&mailbox->newest, memory_order_relaxed);
    if (__builtin_expect(!newest, 0) && mailbox->clock)
        stamp(mailbox);
    do {
        mail->next = newest;
    } while (!atomic_compare_exchange_weak(&mailbox->newest, &newest, mail));
}

/* A function of its own: its local variable, whose address is passed, would give every post a check
 * of the stack. */
static __attribute__((noinline)) void write_to(int wake_fd)
{
    uint64_t one = 1;
    /* The write cannot fail: EAGAIN would mean that the counter is full, after 2^64 wakes. */
    ssize_t ignored = write(wake_fd, &one, sizeof(one));
    (void)ignored;
}

static void wake(struct mailbox *mailbox)
{
    /* The push before this and the owner's `awake = false` are both sequentially consistent: either
     * the owner sees the mail before it sleeps, or this thread sees that it sleeps. */
    if (atomic_load(&mailbox->awake) || atomic_exchange(&mailbox->awake, true))
        return;
    write_to(mailbox->wake_fd);
}

void mailbox_post(struct mailbox *mailbox, struct mail *mail)
{
    push(mailbox, mail);
    wake(mailbox);
}

void mailbox_leave(struct mailbox *mailbox, struct mail *mail)
{
    /* Push first, for the same reason: an owner whose leisure has ended looks at the mailbox once
     * more. */
    push(mailbox, mail);
    if (!atomic_load(&mailbox->at_leisure))
        wake(mailbox);
}

void mailbox_set_leisure(struct mailbox *mailbox, bool at_leisure)
{
    atomic_store(&mailbox->at_leisure, at_leisure);
}

bool mailbox_is_at_leisure(const struct mailbox *mailbox)
{
    return atomic_load(&mailbox->at_leisure);
}

unsigned mailbox_empty(struct mailbox *mailbox)
{
    /* The mailbox is mostly empty, and a load is cheaper than an exchange. */
    if (!atomic_load_explicit(&mailbox->newest, memory_order_acquire))
        return 0;
    note_wait(mailbox);
    struct mail *mail = atomic_exchange(&mailbox->newest, NULL);
    struct mail *oldest = NULL;
    unsigned count = 0;
    while (mail) {
        struct mail *older = mail->next;
        mail->next = oldest;
        oldest = mail;
        mail = older;
    }
    while (oldest) {
        struct mail *next = oldest->next;
        oldest->open(oldest, mailbox->owner);
        oldest = next;
        count++;
    }
    return count;
}

bool mailbox_sleep(struct mailbox *mailbox)
{
    atomic_store(&mailbox->awake, false);
    if (!atomic_load(&mailbox->newest))
        return true;
    atomic_store(&mailbox->awake, true);
    return false;
}

void mailbox_wake(struct mailbox *mailbox)
{
    atomic_store(&mailbox->awake, true);
}
