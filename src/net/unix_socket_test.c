#include "net/unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct world {
    char dir[40];
    char path[60];
    struct sockaddr_storage address;
    struct unix_place place;
};

static int set_up(void **state)
{
    static struct world world;
    socklen_t size;
    strcpy(world.dir, "/tmp/freshet-unix-XXXXXX");
    assert_non_null(mkdtemp(world.dir));
    snprintf(world.path, sizeof(world.path), "%s/s", world.dir);
    assert_int_equal(unix_address(world.path, &world.address, &size), 0);
    world.place = (struct unix_place){.mode = 0640, .group = (gid_t)-1};
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    (void)unlink(world->path);
    return rmdir(world->dir);
}

static int connected(const struct world *world)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int result = connect(fd, (const struct sockaddr *)&world->address, sizeof(struct sockaddr_un))
                     ? -errno
                     : 0;
    close(fd);
    return result;
}

static void a_socket_has_its_mode_and_is_removed(void **state)
{
    struct world *world = *state;
    struct stat at;
    int fd;
    assert_int_equal(unix_listen(&world->address, &world->place, &fd), 0);
    assert_int_equal(stat(world->path, &at), 0);
    assert_int_equal(at.st_mode & 0777, 0640);
    assert_int_equal(connected(world), 0);
    unix_remove(&world->address, &world->place);
    assert_int_equal(stat(world->path, &at), -1);
    close(fd);
}

static void a_live_socket_is_refused_and_a_stale_one_replaced(void **state)
{
    struct world *world = *state;
    struct unix_place other = world->place;
    int fd, second;
    assert_int_equal(unix_listen(&world->address, &world->place, &fd), 0);
    assert_int_equal(unix_listen(&world->address, &other, &second), -EADDRINUSE);
    assert_int_equal(connected(world), 0);
    close(fd); /* a crash leaves the file */
    assert_int_equal(connected(world), -ECONNREFUSED);
    assert_int_equal(unix_listen(&world->address, &other, &second), 0);
    assert_int_equal(connected(world), 0);
    unix_remove(&world->address, &world->place); /* another socket has the place by now */
    assert_int_equal(connected(world), 0);
    close(second);
}

static void a_socket_of_another_type_is_left_alone(void **state)
{
    static const int types[] = {SOCK_DGRAM, SOCK_SEQPACKET};
    struct world *world = *state;
    struct stat before, after;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        int fd, other = socket(AF_UNIX, types[i] | SOCK_CLOEXEC, 0);
        assert_int_equal(
            bind(other, (const struct sockaddr *)&world->address, sizeof(struct sockaddr_un)), 0);
        assert_int_equal(stat(world->path, &before), 0);
        assert_int_equal(unix_listen(&world->address, &world->place, &fd), -EADDRINUSE);
        assert_int_equal(stat(world->path, &after), 0);
        assert_int_equal(after.st_ino, before.st_ino);
        close(other);
        assert_int_equal(unlink(world->path), 0);
    }
}

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
    struct world *world = *state;
    int fd = open(world->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "x", 1), 1);
    close(fd);
    assert_int_equal(unix_listen(&world->address, &world->place, &fd), -EEXIST);
    assert_int_equal(fd, -1);
    struct stat at;
    assert_int_equal(stat(world->path, &at), 0);
    assert_int_equal(at.st_size, 1);
}

static void a_place_that_cannot_be_had_is_told(void **state)
{
    struct sockaddr_storage address;
    struct unix_place place = {.mode = 0600, .group = (gid_t)-1};
    socklen_t size;
    int fd;
    char longest[200];
    (void)state;
    assert_int_equal(unix_address("/nowhere/at/all", &address, &size), 0);
    assert_int_equal(unix_listen(&address, &place, &fd), -ENOENT);
    assert_int_equal(unix_address("", &address, &size), -EINVAL);
    memset(longest, 'x', sizeof(longest));
    longest[103] = '\0';
    assert_int_equal(unix_address(longest, &address, &size), 0);
    longest[103] = 'x';
    longest[104] = '\0';
    assert_int_equal(unix_address(longest, &address, &size), -EINVAL);
}

static void a_folder_that_somebody_keeps_locked_holds_nobody_up(void **state)
{
    struct world *world = *state;
    int fd, folder = open(world->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(folder >= 0);
    assert_int_equal(flock(folder, LOCK_EX), 0);
    assert_int_equal(unix_listen(&world->address, &world->place, &fd), -EBUSY);
    assert_int_equal(fd, -1);
    close(folder);
    assert_int_equal(unix_listen(&world->address, &world->place, &fd), 0);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_socket_has_its_mode_and_is_removed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_live_socket_is_refused_and_a_stale_one_replaced, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_socket_of_another_type_is_left_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_is_no_socket_is_left_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_folder_that_somebody_keeps_locked_holds_nobody_up, set_up,
                                        tear_down),
        cmocka_unit_test(a_place_that_cannot_be_had_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
