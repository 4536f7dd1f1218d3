#include "client/lib/interrupt.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int come_by_signal(int signal_number)
{
    struct interrupt interrupt;
    if (interrupt_init(&interrupt) || interrupt_came(&interrupt))
        return 1;
    raise(signal_number);
    if (!interrupt_came(&interrupt) || !interrupt_came(&interrupt))
        return 2;
    if (interrupt_wait(&interrupt, -1, 0, -1) != WAKE_INTERRUPT)
        return 3;
    interrupt_deinit(&interrupt);
    return 0;
}

/* The process of a test is not to block signals, so another one does. */
static void a_signal_is_an_interrupt_that_stays(void **state)
{
    (void)state;
    static const int signals[] = {SIGINT, SIGTERM};
    for (int i = 0; i < 2; i++) {
        int status = 0;
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            _exit(come_by_signal(signals[i]));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
    }
}

static void a_wait_says_which_came_first(void **state)
{
    (void)state;
    struct interrupt interrupt;
    int pipes[2], own[2];
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(pipe(own), 0);
    interrupt.fd = own[0];
    assert_int_equal(interrupt_wait(&interrupt, pipes[0], POLLIN, 0), WAKE_TIMEOUT);
    assert_int_equal(interrupt_wait(&interrupt, pipes[1], POLLOUT, -1), WAKE_READY);
    assert_int_equal(write(pipes[1], "x", 1), 1);
    assert_int_equal(interrupt_wait(&interrupt, pipes[0], POLLIN, -1), WAKE_READY);
    assert_int_equal(write(own[1], "x", 1), 1);
    assert_int_equal(interrupt_wait(&interrupt, pipes[0], POLLIN, -1), WAKE_INTERRUPT);
    close(own[0]);
    close(own[1]);
    interrupt.fd = -1;
    assert_false(interrupt_came(&interrupt));
    assert_int_equal(interrupt_wait(&interrupt, pipes[0], POLLIN, -1), WAKE_READY);
    close(pipes[0]);
    close(pipes[1]);
}

static void a_pipe_without_a_reader_is_seen(void **state)
{
    (void)state;
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    assert_false(interrupt_is_unread(pipes[1]));
    assert_false(interrupt_is_unread(-1));
    close(pipes[0]);
    assert_true(interrupt_is_unread(pipes[1]));
    close(pipes[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signal_is_an_interrupt_that_stays),
        cmocka_unit_test(a_wait_says_which_came_first),
        cmocka_unit_test(a_pipe_without_a_reader_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
