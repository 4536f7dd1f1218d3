#include "client/cli/webhook_listen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "http/testing.h"

#define SECRET "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"

static struct listen_arguments got;
static const char *environment;

static int run(int argc, const char *const *arguments)
{
    char *argv[16];
    struct buf why = {0};
    for (int i = 0; i < argc; i++)
        argv[i] = (char *)(uintptr_t)arguments[i];
    listen_arguments_deinit(&got);
    int result = listen_read_arguments(argc, argv, environment, &got, &why);
    assert_int_equal(result != 0, why.len > 0);
    buf_free(&why);
    return result;
}

#define RUN(...)                                                                                   \
    run((int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)),                             \
        (const char *[]){__VA_ARGS__})

static void an_address_is_a_host_and_a_port(void **state)
{
    (void)state;
    assert_int_equal(RUN("listen"), 0);
    assert_str(got.host, "127.0.0.1");
    assert_string_equal(got.port, "9000");
    assert_int_equal(RUN("listen", "[::1]:0"), 0);
    assert_str(got.host, "::1");
    assert_string_equal(got.port, "0");
    assert_int_equal(RUN("listen", "9000"), -EINVAL);
    assert_int_equal(RUN("listen", ":9000"), -EINVAL);
    assert_int_equal(RUN("listen", "a:"), -EINVAL);
    assert_int_equal(RUN("listen", "a:65536"), -EINVAL);
    assert_int_equal(RUN("listen", "a:1x"), -EINVAL);
    assert_int_equal(RUN("listen", "a:1", "b:2"), -EINVAL);
}

/* Writes a temporary file, whose name ends in XXXXXX. */
static void write_file(char *path, const char *text)
{
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void a_secret_may_be_of_the_environment(void **state)
{
    (void)state;
    assert_int_equal(RUN("listen"), 0);
    assert_int_equal(got.verifier.secrets_count, 0);
    environment = SECRET;
    assert_int_equal(RUN("listen"), 0);
    assert_int_equal(got.verifier.secrets_count, 1);
    environment = NULL;
    listen_arguments_deinit(&got);
}

static void secrets_are_on_the_first_lines_of_files(void **state)
{
    char good[] = "/tmp/freshet-secret-XXXXXX", bad[] = "/tmp/freshet-secret-XXXXXX";
    (void)state;
    write_file(good, SECRET "\nmore\n");
    write_file(bad, "nothing like it!\n");
    environment = "not asked";
    assert_int_equal(RUN("listen", "--secret-file", good, "--secret-file", good), 0);
    assert_int_equal(got.verifier.secrets_count, 2);
    assert_int_equal(RUN("listen", "--secret-file", bad), -EINVAL);
    assert_int_equal(RUN("listen", "--secret-file", "/nowhere/at/all"), -EINVAL);
    environment = NULL;
    assert_int_equal(RUN("listen", "--secret", SECRET), -EINVAL);
    (void)unlink(good);
    (void)unlink(bad);
    listen_arguments_deinit(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_a_host_and_a_port),
        cmocka_unit_test(a_secret_may_be_of_the_environment),
        cmocka_unit_test(secrets_are_on_the_first_lines_of_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
