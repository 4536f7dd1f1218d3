#include "server/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int listen_at(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(name);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    memcpy(address.sun_path, name, len);
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    assert_int_equal(bind(fd, (const struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
                     0);
    return fd;
}

static void a_state_arrives_at_a_path_and_at_an_abstract_name(void **state)
{
    char dir[] = "/tmp/freshet-notify-XXXXXX", path[64], abstract[64], got[64];
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/socket", dir);
    snprintf(abstract, sizeof(abstract), "@freshet-notify-%d", getpid());
    const char *names[] = {path, abstract};
    for (int i = 0; i < 2; i++) {
        int fd = listen_at(names[i]);
        setenv("NOTIFY_SOCKET", names[i], 1);
        assert_int_equal(notify_manager("READY=1"), 0);
        assert_int_equal(recv(fd, got, sizeof(got), 0), 7);
        assert_memory_equal(got, "READY=1", 7);
        close(fd);
    }
    unlink(path);
    rmdir(dir);
}

static void without_a_manager_nothing_is_sent(void **state)
{
    (void)state;
    unsetenv("NOTIFY_SOCKET");
    assert_int_equal(notify_manager("READY=1"), 0);
    setenv("NOTIFY_SOCKET", "", 1);
    assert_int_equal(notify_manager("READY=1"), 0);
}

static void a_name_that_cannot_be_is_an_error_and_no_more(void **state)
{
    char longer[200];
    (void)state;
    memset(longer, '/', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    setenv("NOTIFY_SOCKET", "relative", 1);
    assert_int_equal(notify_manager("READY=1"), -EINVAL);
    setenv("NOTIFY_SOCKET", longer, 1);
    assert_int_equal(notify_manager("READY=1"), -EINVAL);
    setenv("NOTIFY_SOCKET", "/nowhere/socket", 1);
    assert_int_equal(notify_manager("READY=1"), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_arrives_at_a_path_and_at_an_abstract_name),
        cmocka_unit_test(without_a_manager_nothing_is_sent),
        cmocka_unit_test(a_name_that_cannot_be_is_an_error_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
