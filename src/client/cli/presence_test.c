#include "client/cli/presence.h"

#include "base/command_line.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "http/testing.h"

static struct presence_arguments got;

static int run(int argc, const char *const *arguments)
{
    char *argv[16];
    struct buf why = {0};
    credential_deinit(&got.credential); /* of the run before */
    for (int i = 0; i < argc; i++)
        argv[i] = (char *)(uintptr_t)arguments[i];
    int result = presence_read_arguments(argc, argv, "http://h:1/base", "t", &got, &why);
    assert_int_equal(result<0, why.len> 0); /* every refusal has a reason */
    if (result)
        credential_deinit(&got.credential);
    buf_free(&why);
    return result;
}

#define RUN(...)                                                                                   \
    run((int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)),                             \
        (const char *[]){__VA_ARGS__})

static void a_channel_is_all_that_is_needed(void **state)
{
    (void)state;
    assert_int_equal(RUN("presence", "chat/a"), 0);
    assert_string_equal(got.channel, "chat/a");
    assert_string_equal(got.credential.text, "t");
    assert_str(got.url.text, "http://h:1/base");
    assert_false(got.once);
    assert_int_equal(RUN("presence", "--once", "a", "--url", "http://x"), 0);
    assert_str(got.url.host, "x");
    assert_true(got.once);
}

static void wrong_usage_is_refused(void **state)
{
    (void)state;
    assert_int_equal(RUN("presence"), -EINVAL);
    assert_int_equal(RUN("presence", "a", "b"), -EINVAL);
    assert_int_equal(RUN("presence", "chat/*"), -EINVAL);
    assert_int_equal(RUN("presence", ""), -EINVAL);
    assert_int_equal(RUN("presence", "a", "--url", "ftp://x"), -EINVAL);
    assert_int_equal(RUN("presence", "a", "--token", "u"), -EINVAL);
    assert_int_equal(RUN("presence", "a", "--token-file", "/nowhere/at/all"), -EINVAL);
    assert_int_equal(RUN("presence", "a", "--no"), -EINVAL);
    assert_int_equal(RUN("presence", "--help"), COMMAND_LINE_HELP);
}

static void assert_page(const char *channel, const char *last, const char *wanted)
{
    struct buf out = {0};
    assert_true(presence_add_page(&out, str_from(channel), str_from(last)));
    assert_true(str_eq(buf_str(&out), str_from(wanted)));
    buf_free(&out);
}

static void each_page_goes_on_behind_the_last_member_of_the_one_before(void **state)
{
    struct buf out = {0};
    (void)state;
    assert_page("chat/a b", "", "/presence/chat/a%20b?limit=1000");
    assert_page("a", "{\"member\":\"x&\\u00e9\",\"verified\":false,\"connections\":1}",
                "/presence/a?limit=1000&after_member=x%26%C3%A9&after_verified=false");
    assert_false(presence_add_page(&out, STR("a"), STR("{}")));
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_channel_is_all_that_is_needed),
        cmocka_unit_test(wrong_usage_is_refused),
        cmocka_unit_test(each_page_goes_on_behind_the_last_member_of_the_one_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
