#include "client/cli/pub.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "http/testing.h"

static struct pub_arguments got;

static int run(int argc, const char *const *arguments)
{
    char *argv[16];
    struct buf why = {0};
    for (int i = 0; i < argc; i++)
        argv[i] = (char *)(uintptr_t)arguments[i];
    int result = pub_read_arguments(argc, argv, NULL, "from-environment", &got, &why);
    assert_int_equal(result != 0, why.len > 0); /* every refusal has a reason */
    buf_free(&why);
    return result;
}

#define RUN(...)                                                                                   \
    run((int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)),                             \
        (const char *[]){__VA_ARGS__})

static void data_is_text_unless_something_else_is_said(void **state)
{
    (void)state;
    assert_int_equal(RUN("pub", "news", "hi"), 0);
    assert_string_equal(got.content_type, "text/plain; charset=utf-8");
    assert_int_equal(got.kind, OUTGOING_TEXT);
    assert_string_equal(got.token, "from-environment");
    assert_int_equal(RUN("pub", "news", "1", "--json"), 0);
    assert_string_equal(got.content_type, "application/json");
    assert_int_equal(got.kind, OUTGOING_JSON);
    assert_int_equal(RUN("pub", "news", "1", "--content-type=image/png"), 0);
    assert_int_equal(got.kind, OUTGOING_BINARY);
}

static void no_data_and_a_dash_mean_standard_input(void **state)
{
    (void)state;
    assert_int_equal(RUN("pub", "news"), 0);
    assert_null(got.data);
    assert_int_equal(RUN("pub", "news", "-"), 0);
    assert_null(got.data);
    assert_int_equal(RUN("pub", "news", ""), 0);
    assert_string_equal(got.data, "");
    assert_int_equal(RUN("pub", "news", "-5"), 0);
    assert_string_equal(got.data, "-5");
}

static void wrong_usage_is_refused(void **state)
{
    (void)state;
    assert_int_equal(RUN("pub"), -EINVAL);
    assert_int_equal(RUN("pub", ""), -EINVAL);
    assert_int_equal(RUN("pub", "-x", "y"), -EINVAL);
    assert_int_equal(RUN("pub", "news", "hello", "world"), -EINVAL);
    assert_int_equal(RUN("pub", "news", "x", "--json", "--content-type", "a/b"), -EINVAL);
    assert_int_equal(RUN("pub", "news", "x", "--content-type", "a/b\r\nX: y"), -EINVAL);
    assert_int_equal(RUN("pub", "news", "x", "--key", ""), -EINVAL);
    assert_int_equal(RUN("pub", "news", "x", "--token", "abc"), -EINVAL);
    assert_int_equal(RUN("pub", "news", "x", "--url", "h"), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_is_text_unless_something_else_is_said),
        cmocka_unit_test(no_data_and_a_dash_mean_standard_input),
        cmocka_unit_test(wrong_usage_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
