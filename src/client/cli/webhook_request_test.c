#include "client/cli/webhook_request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "http/testing.h"

static struct webhook_request got;

static int run(int argc, const char *const *arguments)
{
    char *argv[16];
    struct buf why = {0};
    for (int i = 0; i < argc; i++)
        argv[i] = (char *)(uintptr_t)arguments[i];
    webhook_request_deinit(&got);
    int result = webhook_read_arguments(argc, argv, NULL, "from-environment", &got, &why);
    assert_int_equal(result != 0, why.len > 0); /* every refusal has a reason */
    buf_free(&why);
    return result;
}

#define RUN(...)                                                                                   \
    run((int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)),                             \
        (const char *[]){__VA_ARGS__})

/* Writes a temporary file, whose name ends in XXXXXX. */
static void write_file(char *path, const char *text)
{
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void a_registration_says_what_was_given_and_no_more(void **state)
{
    (void)state;
    assert_int_equal(RUN("add", "http://x/", "a", "b/**"), 0);
    assert_string_equal(got.method, "POST");
    assert_str(buf_str(&got.path), "/webhooks");
    assert_str(buf_str(&got.body), "{\"url\":\"http://x/\",\"channels\":[\"a\",\"b/**\"]}");
    assert_string_equal(got.token, "from-environment");
    assert_int_equal(RUN("add", "http://x/", "a", "--set", "z=[1]", "--batch=2"), 0);
    assert_str(buf_str(&got.body),
               "{\"url\":\"http://x/\",\"channels\":[\"a\"],\"batch\":2,\"z\":[1]}");
}

static void secrets_come_from_files(void **state)
{
    char secret[] = "/tmp/freshet-secret-XXXXXX", header[] = "/tmp/freshet-header-XXXXXX", at[40];
    (void)state;
    write_file(secret, "whsec_AAAA\n");
    write_file(header, "Authorization: Bearer t\n");
    (void)snprintf(at, sizeof(at), "@%s", header);
    assert_int_equal(
        RUN("add", "http://x/", "a", "--secret-file", secret, "--header", at, "--header", "B: c"),
        0);
    assert_str(buf_str(&got.body),
               "{\"url\":\"http://x/\",\"channels\":[\"a\"],\"secret\":\"whsec_AAAA\","
               "\"headers\":{\"Authorization\":\"Bearer t\",\"B\":\"c\"}}");
    assert_int_equal(RUN("add", "http://x/", "a", "--secret-file", "/nowhere/at/all"), -EINVAL);
    assert_int_equal(RUN("add", "http://x/", "a", "--header", "@/nowhere/at/all"), -EINVAL);
    assert_int_equal(RUN("add", "http://x/", "a", "--secret-file", "-", "--token-file", "-"),
                     -EINVAL);
    (void)unlink(secret);
    (void)unlink(header);
}

static void secrets_of_the_command_line_are_refused(void **state)
{
    (void)state;
    assert_int_equal(RUN("add", "http://x/", "a", "--secret", "whsec_AAAA"), -EINVAL);
    assert_int_equal(RUN("add", "http://x/", "a", "--set", "secret=\"whsec_AAAA\""), -EINVAL);
}

static void an_id_cannot_leave_its_place_in_the_path(void **state)
{
    (void)state;
    assert_int_equal(RUN("show", "../events?x"), 0);
    assert_str(buf_str(&got.path), "/webhooks/..%2Fevents%3Fx");
    assert_int_equal(RUN("retry", "w", "1/2"), -EINVAL);
    assert_int_equal(RUN("retry", "w", "12"), 0);
    assert_str(buf_str(&got.path), "/webhooks/w/deliveries/12/retry");
    assert_int_equal(RUN("deliveries", "w", "--state", "a&b"), 0);
    assert_str(buf_str(&got.path), "/webhooks/w/deliveries?state=a%26b");
}

static void wrong_usage_is_refused(void **state)
{
    (void)state;
    assert_int_equal(RUN("nothing"), -EINVAL);
    assert_int_equal(RUN("add", "http://x/"), -EINVAL);
    assert_int_equal(RUN("add", "http://x/", "a\xff"), -EINVAL); /* is no JSON */
    assert_int_equal(RUN("add", "http://x/", "a", "--header", "a b: c"), -EINVAL);
    assert_int_equal(RUN("add", "http://x/", "a", "--set", "=1"), -EINVAL);
    assert_int_equal(RUN("add", "http://x/", "a", "--set", "x={"), -EINVAL);
    assert_int_equal(RUN("show", ""), -EINVAL);
    assert_int_equal(RUN("show", "w", "--after", "1"), -EINVAL);
    assert_int_equal(RUN("replay", "w"), -EINVAL);
    assert_null(webhook_verb_help("nothing"));
    assert_non_null(webhook_verb_help("add"));
    webhook_request_deinit(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_registration_says_what_was_given_and_no_more),
        cmocka_unit_test(secrets_come_from_files),
        cmocka_unit_test(secrets_of_the_command_line_are_refused),
        cmocka_unit_test(an_id_cannot_leave_its_place_in_the_path),
        cmocka_unit_test(wrong_usage_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
