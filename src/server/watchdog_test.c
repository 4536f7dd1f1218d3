#include "server/watchdog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* A watchdog of two workers, whose mailboxes the test opens in their place. */
struct kennel {
    struct watchdog watchdog;
    struct mailbox workers[2];
};

static void kennel_init(struct kennel *kennel, const char *us)
{
    setenv("WATCHDOG_USEC", us, 1);
    watchdog_init(&kennel->watchdog);
    unsetenv("WATCHDOG_USEC");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(mailbox_init(&kennel->workers[i], NULL), 0);
        watchdog_add(&kennel->watchdog, &kennel->workers[i]);
    }
}

static void kennel_deinit(struct kennel *kennel)
{
    for (int i = 0; i < 2; i++) {
        (void)mailbox_empty(&kennel->workers[i]);
        mailbox_deinit(&kennel->workers[i]);
    }
}

static void the_manager_is_told_while_all_workers_open_their_mail(void **state)
{
    struct kennel kennel;
    (void)state;
    kennel_init(&kennel, "2000000");
    assert_int_equal(kennel.watchdog.every_ms, 1000);
    assert_true(watchdog_beat(&kennel.watchdog));
    (void)mailbox_empty(&kennel.workers[0]);
    (void)mailbox_empty(&kennel.workers[1]);
    assert_true(watchdog_beat(&kennel.watchdog));
    kennel_deinit(&kennel);
}

static void a_worker_that_hangs_silences_the_watchdog_until_it_goes_on(void **state)
{
    struct kennel kennel;
    (void)state;
    kennel_init(&kennel, "2000000");
    assert_true(watchdog_beat(&kennel.watchdog));
    for (int i = 0; i < 3; i++) {
        (void)mailbox_empty(&kennel.workers[0]);
        assert_false(watchdog_beat(&kennel.watchdog));
    }
    (void)mailbox_empty(&kennel.workers[0]);
    (void)mailbox_empty(&kennel.workers[1]);
    assert_true(watchdog_beat(&kennel.watchdog));
    kennel_deinit(&kennel);
}

static void without_a_time_or_for_another_process_nothing_is_watched(void **state)
{
    struct watchdog watchdog;
    (void)state;
    watchdog_init(&watchdog);
    assert_int_equal(watchdog.every_ms, 0);
    setenv("WATCHDOG_USEC", "5000000", 1);
    setenv("WATCHDOG_PID", "1", 1);
    watchdog_init(&watchdog);
    assert_int_equal(watchdog.every_ms, 0);
    assert_int_equal(watchdog_start(&watchdog), 0);
    watchdog_let_go(&watchdog);
    watchdog_stop(&watchdog);
    unsetenv("WATCHDOG_PID");
    setenv("WATCHDOG_USEC", "-5", 1);
    watchdog_init(&watchdog);
    assert_int_equal(watchdog.every_ms, 0);
    setenv("WATCHDOG_USEC", "1", 1);
    watchdog_init(&watchdog);
    assert_int_equal(watchdog.every_ms, 1);
    unsetenv("WATCHDOG_USEC");
}

static void a_watchdog_that_was_let_go_tells_without_asking(void **state)
{
    char name[64], got[32] = "";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct kennel kennel;
    (void)state;
    snprintf(name, sizeof(name), "@freshet-watchdog-%d", (int)getpid());
    memcpy(address.sun_path + 1, name + 1, strlen(name) - 1);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    setenv("NOTIFY_SOCKET", name, 1);
    kennel_init(&kennel, "2000");
    watchdog_let_go(&kennel.watchdog);
    assert_int_equal(watchdog_start(&kennel.watchdog), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(recv(fd, got, sizeof(got), 0), strlen("WATCHDOG=1"));
    assert_string_equal(got, "WATCHDOG=1");
    watchdog_stop(&kennel.watchdog);
    kennel_deinit(&kennel);
    unsetenv("NOTIFY_SOCKET");
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_manager_is_told_while_all_workers_open_their_mail),
        cmocka_unit_test(a_worker_that_hangs_silences_the_watchdog_until_it_goes_on),
        cmocka_unit_test(without_a_time_or_for_another_process_nothing_is_watched),
        cmocka_unit_test(a_watchdog_that_was_let_go_tells_without_asking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
