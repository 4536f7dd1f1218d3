#include "net/mailbox.h"

#include "base/mem.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cmocka.h>

enum { THREADS = 4, LETTERS = 20000 };

struct owner {
    struct mailbox mailbox;
    int epoll_fd; /* reports each wake once */
    unsigned opened;
    int next[THREADS];
    struct letter *more; /* posted from within an opening */
};

struct letter {
    struct mail mail;
    int from;
    int number;
};

static void open_letter(struct mail *mail, void *owner_)
{
    struct owner *owner = owner_;
    const struct letter *letter = container_of(mail, struct letter, mail);
    assert_int_equal(letter->number, owner->next[letter->from]);
    owner->next[letter->from]++;
    owner->opened++;
    if (owner->more)
        mailbox_post(&owner->mailbox, &owner->more->mail);
    owner->more = NULL;
}

static void open_and_free(struct mail *mail, void *owner)
{
    ((struct owner *)owner)->opened++;
    free(container_of(mail, struct letter, mail));
}

static struct letter letter(int number)
{
    return (struct letter){.mail = {NULL, open_letter}, .number = number};
}

/* Waits for a wake as a loop does; returns whether there was one. */
static bool woken(struct owner *owner, int wait_ms)
{
    struct epoll_event event;
    int count = epoll_wait(owner->epoll_fd, &event, 1, wait_ms);
    assert_true(count >= 0);
    return count == 1;
}

static struct owner *owner_new(void)
{
    struct owner *owner = mem_alloc(sizeof(*owner));
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    assert_int_equal(mailbox_init(&owner->mailbox, owner), 0);
    owner->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    assert_int_equal(epoll_ctl(owner->epoll_fd, EPOLL_CTL_ADD, owner->mailbox.wake_fd, &event), 0);
    return owner;
}

static void owner_free(struct owner *owner)
{
    mailbox_deinit(&owner->mailbox);
    close(owner->epoll_fd);
    free(owner);
}

static void mail_is_opened_in_the_order_of_posting(void **state)
{
    (void)state;
    struct owner *owner = owner_new();
    struct letter letters[100];
    assert_int_equal(mailbox_empty(&owner->mailbox), 0);
    for (int i = 0; i < 100; i++) {
        letters[i] = letter(i);
        mailbox_post(&owner->mailbox, &letters[i].mail);
    }
    assert_int_equal(mailbox_empty(&owner->mailbox), 100);
    assert_int_equal(mailbox_empty(&owner->mailbox), 0);
    assert_int_equal(owner->opened, 100);
    owner_free(owner);
}

static void mail_may_be_freed_by_its_opening(void **state)
{
    (void)state;
    struct owner *owner = owner_new();
    for (int i = 0; i < 10; i++) {
        struct letter *one = mem_alloc(sizeof(*one));
        one->mail.open = open_and_free;
        mailbox_post(&owner->mailbox, &one->mail);
    }
    assert_int_equal(mailbox_empty(&owner->mailbox), 10);
    owner_free(owner);
}

static void mail_posted_while_mail_is_opened_waits_for_the_next_time(void **state)
{
    (void)state;
    struct owner *owner = owner_new();
    struct letter one = letter(0), two = letter(1);
    owner->more = &two;
    mailbox_post(&owner->mailbox, &one.mail);
    assert_int_equal(mailbox_empty(&owner->mailbox), 1);
    assert_int_equal(mailbox_empty(&owner->mailbox), 1);
    owner_free(owner);
}

static void an_owner_that_is_awake_is_not_woken(void **state)
{
    (void)state;
    struct owner *owner = owner_new();
    struct letter one = letter(0);
    mailbox_post(&owner->mailbox, &one.mail);
    assert_false(woken(owner, 0));
    assert_false(mailbox_sleep(&owner->mailbox));
    mailbox_empty(&owner->mailbox);
    owner_free(owner);
}

static void many_posts_wake_a_sleeper_once(void **state)
{
    (void)state;
    struct owner *owner = owner_new();
    struct letter letters[100];
    assert_true(mailbox_sleep(&owner->mailbox));
    for (int i = 0; i < 100; i++) {
        letters[i] = letter(i);
        mailbox_post(&owner->mailbox, &letters[i].mail);
    }
    uint64_t writes = 0;
    assert_int_equal(read(owner->mailbox.wake_fd, &writes, sizeof(writes)), sizeof(writes));
    assert_int_equal(writes, 1);
    mailbox_wake(&owner->mailbox);
    assert_int_equal(mailbox_empty(&owner->mailbox), 100);
    assert_true(mailbox_sleep(&owner->mailbox));
    mailbox_wake(&owner->mailbox);
    owner_free(owner);
}

static void every_sleep_ends_by_one_wake(void **state)
{
    (void)state;
    struct owner *owner = owner_new();
    struct letter letters[3];
    for (int i = 0; i < 3; i++) {
        letters[i] = letter(i);
        assert_true(mailbox_sleep(&owner->mailbox));
        mailbox_post(&owner->mailbox, &letters[i].mail);
        assert_true(woken(owner, 0));
        assert_false(woken(owner, 0));
        mailbox_wake(&owner->mailbox);
        assert_int_equal(mailbox_empty(&owner->mailbox), 1);
    }
    owner_free(owner);
}

static void mail_left_for_an_owner_at_leisure_does_not_wake_it(void **state)
{
    (void)state;
    struct owner *owner = owner_new();
    struct letter left = letter(0), posted = letter(1);
    mailbox_set_leisure(&owner->mailbox, true);
    assert_true(mailbox_sleep(&owner->mailbox));
    mailbox_leave(&owner->mailbox, &left.mail);
    assert_false(woken(owner, 0));
    mailbox_post(&owner->mailbox, &posted.mail);
    assert_true(woken(owner, 0));
    mailbox_wake(&owner->mailbox);
    assert_int_equal(mailbox_empty(&owner->mailbox), 2);
    owner_free(owner);
}

static void mail_left_for_an_owner_without_leisure_wakes_it(void **state)
{
    (void)state;
    struct owner *owner = owner_new();
    struct letter before = letter(0), after = letter(1);
    mailbox_set_leisure(&owner->mailbox, true);
    mailbox_leave(&owner->mailbox, &before.mail);
    mailbox_set_leisure(&owner->mailbox, false);
    assert_false(mailbox_sleep(&owner->mailbox));
    assert_int_equal(mailbox_empty(&owner->mailbox), 1);
    assert_true(mailbox_sleep(&owner->mailbox));
    mailbox_leave(&owner->mailbox, &after.mail);
    assert_true(woken(owner, 0));
    mailbox_wake(&owner->mailbox);
    assert_int_equal(mailbox_empty(&owner->mailbox), 1);
    owner_free(owner);
}

struct poster {
    pthread_t thread;
    struct mailbox *mailbox;
    struct letter *letters;
};

static void *post_all(void *arg)
{
    struct poster *poster = arg;
    for (int i = 0; i < LETTERS; i++)
        mailbox_post(poster->mailbox, &poster->letters[i].mail);
    return NULL;
}

/* Sleeps as a loop does; if a wake is lost, it sleeps until CTest ends it. */
static void empty_until(struct owner *owner, unsigned count)
{
    while (owner->opened < count) {
        if (!mailbox_empty(&owner->mailbox) && mailbox_sleep(&owner->mailbox)) {
            assert_true(woken(owner, -1));
            mailbox_wake(&owner->mailbox);
        }
    }
}

static void many_threads_lose_nothing_and_each_keeps_its_order(void **state)
{
    (void)state;
    struct owner *owner = owner_new();
    struct poster posters[THREADS];
    for (int t = 0; t < THREADS; t++) {
        posters[t] = (struct poster){.mailbox = &owner->mailbox,
                                     .letters = mem_alloc(LETTERS * sizeof(struct letter))};
        for (int i = 0; i < LETTERS; i++)
            posters[t].letters[i] =
                (struct letter){.mail = {NULL, open_letter}, .from = t, .number = i};
    }
    for (int t = 0; t < THREADS; t++)
        assert_int_equal(pthread_create(&posters[t].thread, NULL, post_all, &posters[t]), 0);
    empty_until(owner, THREADS * LETTERS);
    for (int t = 0; t < THREADS; t++) {
        pthread_join(posters[t].thread, NULL);
        assert_int_equal(owner->next[t], LETTERS);
        free(posters[t].letters);
    }
    owner_free(owner);
}

static void a_mailbox_measures_how_long_its_oldest_mail_waited(void **state)
{
    (void)state;
    struct clock_fake fake;
    struct hist wait_ns = {0};
    struct owner *owner = owner_new();
    struct letter letters[3] = {letter(0), letter(1), letter(2)};
    clock_fake_init(&fake, 0);
    clock_fake_advance(&fake, 1);
    mailbox_measure(&owner->mailbox, &fake.clock, &wait_ns);
    mailbox_post(&owner->mailbox, &letters[0].mail);
    clock_fake_advance(&fake, 7);
    mailbox_leave(&owner->mailbox, &letters[1].mail);
    clock_fake_advance(&fake, 2);
    mailbox_empty(&owner->mailbox);
    assert_int_equal(wait_ns.count, 1);
    assert_int_equal(wait_ns.max, 9000);
    mailbox_empty(&owner->mailbox);
    assert_int_equal(wait_ns.count, 1);
    mailbox_post(&owner->mailbox, &letters[2].mail);
    mailbox_empty(&owner->mailbox);
    assert_int_equal(wait_ns.count, 2);
    owner_free(owner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mail_is_opened_in_the_order_of_posting),
        cmocka_unit_test(mail_may_be_freed_by_its_opening),
        cmocka_unit_test(mail_posted_while_mail_is_opened_waits_for_the_next_time),
        cmocka_unit_test(an_owner_that_is_awake_is_not_woken),
        cmocka_unit_test(many_posts_wake_a_sleeper_once),
        cmocka_unit_test(every_sleep_ends_by_one_wake),
        cmocka_unit_test(mail_left_for_an_owner_at_leisure_does_not_wake_it),
        cmocka_unit_test(mail_left_for_an_owner_without_leisure_wakes_it),
        cmocka_unit_test(a_mailbox_measures_how_long_its_oldest_mail_waited),
        cmocka_unit_test(many_threads_lose_nothing_and_each_keeps_its_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
