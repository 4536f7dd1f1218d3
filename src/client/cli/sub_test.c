#include "client/cli/sub.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "http/testing.h"

static struct sub_arguments got;
static const char *channels[128], *types[128];

static int run(int argc, const char *const *arguments, const char *url)
{
    char *argv[128];
    struct buf why = {0};
    for (int i = 0; i < argc; i++)
        argv[i] = (char *)(uintptr_t)arguments[i];
    got = (struct sub_arguments){.channels = {.at = channels}, .types = {.at = types}};
    int result = sub_read_arguments(argc, argv, url, NULL, &got, &why);
    assert_int_equal(result != 0, why.len > 0); /* every refusal has a reason */
    buf_free(&why);
    return result;
}

#define RUN(...)                                                                                   \
    run((int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)),                             \
        (const char *[]){__VA_ARGS__}, NULL)

static void a_channel_is_all_it_needs(void **state)
{
    (void)state;
    assert_int_equal(RUN("sub", "news"), 0);
    assert_int_equal(got.wish.mechanism, FOLLOW_NDJSON);
    assert_str(got.wish.url.text, "http://127.0.0.1:7070");
    assert_false(got.data_only);
}

static void all_options_are_taken(void **state)
{
    (void)state;
    assert_int_equal(RUN("sub", "a", "b/**", "--via", "poll", "--after", "earliest", "--type", "t",
                         "--type", "u", "--format", "data", "--count", "3", "--as", "Ada", "--url",
                         "http://h/x"),
                     0);
    assert_int_equal(got.wish.mechanism, FOLLOW_POLL);
    assert_int_equal(got.wish.channels.count, 2);
    assert_int_equal(got.wish.types.count, 2);
    assert_true(got.data_only);
    assert_int_equal(got.count, 3);
    assert_string_equal(got.wish.as, "Ada");
    assert_str(got.wish.url.text, "http://h/x");
}

static void a_websocket_url_means_a_websocket(void **state)
{
    (void)state;
    assert_int_equal(RUN("sub", "a", "--url", "wss://h"), 0);
    assert_int_equal(got.wish.mechanism, FOLLOW_WS);
    assert_int_equal(RUN("sub", "a", "--url", "wss://h", "--via", "sse"), 0);
    assert_int_equal(got.wish.mechanism, FOLLOW_SSE);
    assert_int_equal(RUN("sub", "a", "--via", "ws", "--url", "https://h", "--cacert", "c"), 0);
    assert_string_equal(got.wish.trust.authorities, "c");
}

static void the_environment_stands_in_for_the_url(void **state)
{
    (void)state;
    const char *const arguments[] = {"sub", "a"};
    assert_int_equal(run(2, arguments, "http://e:1"), 0);
    assert_str(got.wish.url.text, "http://e:1");
}

static void wrong_usage_is_refused(void **state)
{
    (void)state;
    assert_int_equal(RUN("sub"), -EINVAL);
    assert_int_equal(RUN("sub", "-v"), -EINVAL);
    assert_int_equal(RUN("sub", "a", "--via", "raw"), -EINVAL);
    assert_int_equal(RUN("sub", "a", "--format", "xml"), -EINVAL);
    assert_int_equal(RUN("sub", "a", "--after", "yesterday"), -EINVAL);
    assert_int_equal(RUN("sub", "a", "--after", "1", "--last", "1"), -EINVAL);
    assert_int_equal(RUN("sub", "a", "--last", "1001"), -EINVAL);
    assert_int_equal(RUN("sub", "a", "--as", ""), -EINVAL);
    assert_int_equal(RUN("sub", "a", "--url", "localhost"), -EINVAL);
    assert_int_equal(RUN("sub", "a", "--token", "abc"), -EINVAL);
    assert_int_equal(RUN("sub", "a", "--cert-key", "k"), -EINVAL);
    assert_int_equal(RUN("sub", "a", "--insecure", "--cacert", "c"), -EINVAL);
}

static void positions_of_every_kind_are_taken(void **state)
{
    (void)state;
    assert_int_equal(RUN("sub", "a", "--after", "1795459080123456"), 0);
    assert_int_equal(RUN("sub", "a", "--after", "now"), 0);
    assert_int_equal(RUN("sub", "a", "--after", "2026-11-23T18:38:00Z"), 0);
    assert_int_equal(RUN("sub", "a", "--last", "1000"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_channel_is_all_it_needs),
        cmocka_unit_test(all_options_are_taken),
        cmocka_unit_test(a_websocket_url_means_a_websocket),
        cmocka_unit_test(the_environment_stands_in_for_the_url),
        cmocka_unit_test(wrong_usage_is_refused),
        cmocka_unit_test(positions_of_every_kind_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
