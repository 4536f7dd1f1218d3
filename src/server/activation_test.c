#include "server/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { FIRST = 3 };

/* Puts a socket in the nth place, as the service manager does; `listens` is whether it listens. */
static void pass(const char *text, int nth, bool listens)
{
    struct listen_address address[LISTEN_NAME_MAX];
    assert_int_equal(listen_parse_all(text, address), 1);
    int fd = socket(address->at.ss_family, SOCK_STREAM, 0), one = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    assert_int_equal(bind(fd, (struct sockaddr *)&address->at, address->size), 0);
    if (listens)
        assert_int_equal(listen(fd, 16), 0);
    if (fd == FIRST + nth)
        return;
    assert_int_equal(dup2(fd, FIRST + nth), FIRST + nth);
    close(fd);
}

static void announce(int count, const char *names)
{
    char number[20];
    snprintf(number, sizeof(number), "%d", (int)getpid());
    setenv("LISTEN_PID", number, 1);
    snprintf(number, sizeof(number), "%d", count);
    setenv("LISTEN_FDS", number, 1);
    if (names)
        setenv("LISTEN_FDNAMES", names, 1);
}

static void close_passed(int count)
{
    for (int i = 0; i < count; i++)
        close(FIRST + i);
}

static bool says(const struct faults *faults, const char *text)
{
    return faults->text.len && memmem(faults->text.at, faults->text.len, text, strlen(text));
}

/* The configuration of a text, with sockets that were passed. */
static int adopt(struct config *config, const char *text, const struct activation *activation,
                 struct faults *faults)
{
    char path[] = "/tmp/freshet-activation-XXXXXX";
    char name[] = "serve", memory[] = "--memory", option[] = "--config";
    char *argv[] = {name, memory, option, path};
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    config_init(config);
    assert_int_equal(config_options(config, 4, argv, faults), 0);
    (void)unlink(path);
    return config_adopt(config, activation, faults);
}

static void sockets_are_taken_with_their_addresses_and_doors(void **state)
{
    struct activation taken;
    struct faults faults = {0};
    (void)state;
    pass("127.0.0.1:0", 0, true);
    pass("127.0.0.1:0", 1, true);
    announce(2, "freshet.socket:https");
    assert_int_equal(activation_take(&taken, &faults), 0);
    assert_int_equal(taken.count, 2);
    assert_int_equal(taken.addresses[0].door, 0);
    assert_int_equal(taken.addresses[1].door, DOOR_TLS);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(taken.addresses[i].fd, FIRST + i);
        assert_true(taken.addresses[i].shared && taken.addresses[i].passed);
        assert_int_not_equal(listen_port(&taken.addresses[i]), 0);
        assert_true(fcntl(FIRST + i, F_GETFD) & FD_CLOEXEC);
        assert_true(fcntl(FIRST + i, F_GETFL) & O_NONBLOCK);
    }
    close_passed(2);
}

static void the_environment_is_removed_and_counts_only_for_its_process(void **state)
{
    struct activation taken;
    struct faults faults = {0};
    (void)state;
    announce(1, "x");
    setenv("LISTEN_PID", "1", 1);
    assert_int_equal(activation_take(&taken, &faults), 0);
    assert_int_equal(taken.count, 0);
    assert_null(getenv("LISTEN_PID"));
    assert_null(getenv("LISTEN_FDS"));
    assert_null(getenv("LISTEN_FDNAMES"));
    assert_int_equal(activation_take(&taken, &faults), 0);
    assert_int_equal(taken.count, 0);
}

static void a_descriptor_that_is_no_listening_socket_is_a_fault(void **state)
{
    struct activation taken;
    struct faults faults = {0};
    (void)state;
    pass("127.0.0.1:0", 0, false);
    announce(1, NULL);
    assert_int_equal(activation_take(&taken, &faults), -EINVAL);
    assert_true(says(&faults, "no stream socket that listens"));
    faults_free(&faults);
    close_passed(1);
    faults = (struct faults){0};
    announce(1, NULL);
    assert_int_equal(activation_take(&taken, &faults), -EINVAL);
    assert_true(says(&faults, "is not open"));
    faults_free(&faults);
    faults = (struct faults){0};
    announce(100000, NULL);
    assert_int_equal(activation_take(&taken, &faults), -EINVAL);
    assert_int_equal(taken.count, 0);
    faults_free(&faults);
}

static void names_of_sockets_say_their_doors(void **state)
{
    static const struct {
        const char *name;
        unsigned door;
    } rows[] = {
        {"", 0},
        {"http", 0},
        {"freshet.socket", 0},
        {"https", DOOR_TLS},
        {"redirect", DOOR_REDIRECT},
        {"proxy+http", DOOR_PROXY},
        {"proxy+https", DOOR_PROXY | DOOR_TLS},
        {"proxy", 0},
        {"https:", 0},
        {"admin", DOOR_ADMIN},
        {"admin+https", DOOR_ADMIN | DOOR_TLS},
        {"admin.socket", 0},
        {"administration", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(activation_door(str_from(rows[i].name)), rows[i].door);
}

/* Passes one socket, and takes it. */
static struct activation take_one(const char *address, const char *name)
{
    struct activation taken;
    struct faults faults = {0};
    pass(address, 0, true);
    announce(1, name);
    assert_int_equal(activation_take(&taken, &faults), 0);
    return taken;
}

static void without_listen_the_sockets_are_all_the_addresses(void **state)
{
    struct activation taken = take_one("127.0.0.1:0", "x");
    struct faults faults = {0};
    struct config config;
    (void)state;
    assert_int_equal(adopt(&config, "{}\n", &taken, &faults), 0);
    assert_int_equal(config.listening.count, 1);
    assert_int_equal(config.listening.addresses[0].fd, FIRST);
    assert_int_equal(listening_check(&config.listening), 0);
    listening_close(&config.listening);
    assert_int_equal(fcntl(FIRST, F_GETFD), -1);
    config_free(&config);
}

static void an_item_of_listen_gets_its_socket_and_keeps_its_door(void **state)
{
    struct activation taken = take_one("127.0.0.1:0", "https");
    struct faults faults = {0};
    struct config config;
    char text[120];
    (void)state;
    snprintf(text, sizeof(text),
             "listen: [127.0.0.1:0, {address: \"127.0.0.1:%u\", admin: true}]\n",
             listen_port(&taken.addresses[0]));
    assert_int_equal(adopt(&config, text, &taken, &faults), 0);
    assert_int_equal(config.listening.count, 2);
    assert_false(config.listening.addresses[0].passed);
    assert_int_equal(config.listening.addresses[1].fd, FIRST);
    assert_int_equal(config.listening.addresses[1].door, DOOR_ADMIN);
    config_free(&config);
    assert_int_equal(adopt(&config, "listen: 127.0.0.1:1\n", &taken, &faults), -EINVAL);
    assert_true(says(&faults, "no item of `listen` has that address"));
    config_free(&config);
    faults_free(&faults);
    close_passed(1);
}

static void sockets_are_checked_like_addresses(void **state)
{
    struct faults faults = {0};
    struct config config;
    (void)state;
    struct activation taken = take_one("0.0.0.0:0", "x");
    assert_int_equal(adopt(&config, "{}\n", &taken, &faults), -EINVAL);
    assert_true(says(&faults, "no access rules"));
    config_free(&config);
    faults_free(&faults);
    faults = (struct faults){0};
    close_passed(1);
    taken = take_one("127.0.0.1:0", "https");
    assert_int_equal(adopt(&config, "{}\n", &taken, &faults), -EINVAL);
    assert_true(says(&faults, "https:// needs a certificate"));
    config_free(&config);
    faults_free(&faults);
    close_passed(1);
}

static void the_file_of_a_unix_socket_stays_and_its_mode_counts(void **state)
{
    char dir[] = "/tmp/freshet-activation-XXXXXX", text[80];
    struct faults faults = {0};
    struct config config;
    struct stat at;
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(text, sizeof(text), "unix:%s/s", dir);
    mode_t mask = umask(0117);
    struct activation taken = take_one(text, "x");
    (void)umask(mask);
    assert_int_equal(adopt(&config, "{}\n", &taken, &faults), 0);
    listening_close(&config.listening);
    assert_int_equal(stat(text + 5, &at), 0);
    config_free(&config);
    (void)unlink(text + 5);
    mask = umask(0);
    taken = take_one(text, "x");
    (void)umask(mask);
    assert_int_equal(adopt(&config, "{}\n", &taken, &faults), -EINVAL);
    assert_true(says(&faults, "no access rules"));
    config_free(&config);
    faults_free(&faults);
    close_passed(1);
    (void)unlink(text + 5);
    (void)rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sockets_are_taken_with_their_addresses_and_doors),
        cmocka_unit_test(the_environment_is_removed_and_counts_only_for_its_process),
        cmocka_unit_test(a_descriptor_that_is_no_listening_socket_is_a_fault),
        cmocka_unit_test(names_of_sockets_say_their_doors),
        cmocka_unit_test(without_listen_the_sockets_are_all_the_addresses),
        cmocka_unit_test(an_item_of_listen_gets_its_socket_and_keeps_its_door),
        cmocka_unit_test(sockets_are_checked_like_addresses),
        cmocka_unit_test(the_file_of_a_unix_socket_stays_and_its_mode_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
