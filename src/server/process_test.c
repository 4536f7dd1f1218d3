#include "server/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Whether a child process that has given up its rights does this. Its log lines have the rights
 * that are in force, which `ret_said` gets. */
static bool child_may_beside(const char *data, bool (*try)(void), char *ret_said, size_t size)
{
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (!child) {
        struct config *config = calloc(1, sizeof(*config));
        (void)dup2(ends[1], STDERR_FILENO);
        process_confine(config, data);
        _exit(try());
    }
    close(ends[1]);
    ssize_t len = read(ends[0], ret_said, size - 1);
    ret_said[len > 0 ? len : 0] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static bool child_may(bool (*try)(void), char *ret_said, size_t size)
{
    return child_may_beside(NULL, try, ret_said, size);
}

/* ---- files ----------------------------------------------------------------------------------- */

static char outside[] = "process-test-XXXXXX"; /* in the folder that the test is run in */

static bool try_to_open(void)
{
    int fd = open(outside, O_WRONLY | O_CLOEXEC);
    return fd >= 0;
}

static bool try_to_truncate(void)
{
    return truncate(outside, 0) == 0;
}

static bool try_to_remove(void)
{
    return unlink(outside) == 0;
}

static bool try_to_read(void)
{
    return open(outside, O_RDONLY | O_CLOEXEC) >= 0;
}

/* The folder for passing files is open to the server. */
static bool is_in_passing_folder(void)
{
    char *at = getcwd(NULL, 0);
    bool is = at && (strncmp(at, "/tmp/", 5) == 0 || strncmp(at, "/var/tmp/", 9) == 0);
    free(at);
    return is;
}

static void files_outside_of_its_folders_cannot_be_changed(void **state)
{
    static bool (*const changes[])(void) = {try_to_open, try_to_truncate, try_to_remove};
    char said[500];
    (void)state;
    if (is_in_passing_folder())
        skip();
    int fd = mkstemp(outside);
    assert_true(fd >= 0);
    close(fd);
    assert_true(child_may(try_to_read, said, sizeof(said)));
    const char *version = strstr(said, "landlock=");
    assert_non_null(version);
    long known = strtol(version + strlen("landlock="), NULL, 10);
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
        if (known >= (changes[i] == try_to_truncate ? 3 : 1))
            assert_false(child_may(changes[i], said, sizeof(said)));
    (void)unlink(outside);
}

static bool try_nothing(void)
{
    return true;
}

static void landlock_stays_in_force_without_the_folder_of_the_data(void **state)
{
    char with[500], without[500];
    (void)state;
    assert_true(child_may(try_nothing, with, sizeof(with)));
    assert_true(child_may_beside("/nowhere/at/all", try_nothing, without, sizeof(without)));
    const char *at = strstr(with, "landlock="), *there = strstr(without, "landlock=");
    assert_non_null(at);
    assert_non_null(there);
    assert_int_equal(strtol(at + 9, NULL, 10), strtol(there + 9, NULL, 10));
}

/* ---- another user ---------------------------------------------------------------------------- */

static void a_process_changes_its_user_only_if_it_is_another(void **state)
{
    struct config *config = calloc(1, sizeof(*config));
    char user[20], group[20];
    (void)state;
    assert_false(process_changes_user(config));
    snprintf(user, sizeof(user), "%u", (unsigned)getuid());
    snprintf(group, sizeof(group), "%u", (unsigned)getgid());
    config->user = user;
    config->group = group;
    assert_int_equal(process_changes_user(config), getuid() == 0);
    config->user = NULL;
    config->group = "4242";
    assert_true(process_changes_user(config));
    free(config);
}

/* ---- system calls ---------------------------------------------------------------------------- */

static long call;

/* Without arguments none of them does anything, and another error than EPERM says that the kernel
 * looked at them. */
static bool try_to_call(void)
{
    return syscall(call, 0, 0, 0, 0, 0, 0) != -1 || errno != EPERM;
}

static void calls_that_no_server_makes_fail(void **state)
{
    static const long calls[] = {
        SYS_execve,
        SYS_ptrace,
        SYS_open_tree,
        SYS_move_mount,
        SYS_fsopen,
        SYS_mount_setattr,
        SYS_mount,
        SYS_kcmp,
        SYS_pidfd_getfd,
#if defined(__x86_64__)
        0x40000000 | 520, /* execve */
        0x40000000 | 521, /* ptrace */
        0x40000000 | 165, /* mount */
#endif
    };
    char said[500];
    (void)state;
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        call = calls[i];
        bool may = child_may(try_to_call, said, sizeof(said));
        if (strstr(said, "seccomp=true"))
            assert_false(may);
    }
    call = SYS_getpid;
    assert_true(child_may(try_to_call, said, sizeof(said)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_outside_of_its_folders_cannot_be_changed),
        cmocka_unit_test(landlock_stays_in_force_without_the_folder_of_the_data),
        cmocka_unit_test(a_process_changes_its_user_only_if_it_is_another),
        cmocka_unit_test(calls_that_no_server_makes_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
