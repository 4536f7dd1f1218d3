#include "base/command_line.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct result {
    const char *names[8];
    const char *types[8];
    struct command_list positionals;
    struct command_list list;
    const char *url;
    bool json;
    uint64_t count;
    struct buf why;
    int error;
};

static void run(struct result *r, int argc, const char *const *arguments)
{
    char *argv[8];
    for (int i = 0; i < argc; i++)
        argv[i] = (char *)(uintptr_t)arguments[i];
    *r = (struct result){.positionals = {.at = r->names}, .list = {.at = r->types}};
    const struct command_option options[] = {
        {.name = "json", .flag = &r->json},
        {.name = "url", .value = &r->url},
        {.name = "type", .list = &r->list},
        {.name = "count", .number = &r->count, .most = 100},
    };
    r->error = command_line_read(argc, argv, options, 4, &r->positionals, &r->why);
}

#define RUN(r, ...)                                                                                \
    run(r, (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)),                          \
        (const char *[]){__VA_ARGS__})

static void options_may_stand_anywhere(void **state)
{
    (void)state;
    struct result r;
    RUN(&r, "pub", "news", "--json", "--url", "http://x", "hi");
    assert_int_equal(r.error, 0);
    assert_int_equal(r.positionals.count, 2);
    assert_string_equal(r.names[1], "hi");
    assert_true(r.json);
    assert_string_equal(r.url, "http://x");
}

static void a_value_may_stand_behind_an_equals_sign_and_be_empty(void **state)
{
    (void)state;
    struct result r;
    RUN(&r, "pub", "--url=a=b", "--type=", "--type", "t");
    assert_int_equal(r.error, 0);
    assert_string_equal(r.url, "a=b");
    assert_int_equal(r.list.count, 2);
    assert_string_equal(r.types[0], "");
}

static void a_lone_dash_and_what_follows_two_dashes_are_positional(void **state)
{
    (void)state;
    struct result r;
    RUN(&r, "pub", "-", "-5", "--", "--json");
    assert_int_equal(r.error, 0);
    assert_int_equal(r.positionals.count, 3);
    assert_false(r.json);
}

static void assert_refused(struct result *r, const char *why)
{
    assert_int_equal(r->error, -EINVAL);
    buf_add_char(&r->why, '\0');
    assert_string_equal(r->why.at, why);
    buf_free(&r->why);
}

static void the_wrong_argument_is_named(void **state)
{
    (void)state;
    struct result r;
    RUN(&r, "sub", "--nothing=1");
    assert_refused(&r, "there is no option --nothing");
    RUN(&r, "sub", "--jsn");
    assert_refused(&r, "there is no option --jsn: did you mean --json?");
    RUN(&r, "sub", "--url");
    assert_refused(&r, "--url needs a value");
    RUN(&r, "sub", "--json=1");
    assert_refused(&r, "--json takes no value");
}

static void a_number_outside_its_range_is_refused(void **state)
{
    (void)state;
    struct result r;
    static const char *const wrong[] = {"0",   "101",  "-1",  "1x", "",  "99999999999999999999",
                                        "010", "0x10", "1e1", " 1", "+1"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        RUN(&r, "sub", "--count", wrong[i]);
        assert_int_equal(r.error, -EINVAL);
        buf_free(&r.why);
    }
    RUN(&r, "sub", "--count", "100");
    assert_int_equal(r.error, 0);
    assert_int_equal(r.count, 100);
}

static void nothing_behind_two_dashes_is_an_option(void **state)
{
    (void)state;
    struct result r;
    RUN(&r, "pub", "news", "--", "--help", "-h", "--json", "--");
    assert_int_equal(r.error, 0);
    assert_int_equal(r.positionals.count, 5);
    assert_int_equal(r.positionals.behind, 4);
    assert_string_equal(r.names[1], "--help");
    assert_string_equal(r.names[4], "--");
    assert_false(r.json);
}

static void help_is_asked_for_where_an_option_may_stand(void **state)
{
    (void)state;
    struct result r;
    RUN(&r, "pub", "news", "--help");
    assert_int_equal(r.error, COMMAND_LINE_HELP);
    RUN(&r, "pub", "-h");
    assert_int_equal(r.error, COMMAND_LINE_HELP);
}

static void a_value_is_a_value_whatever_it_looks_like(void **state)
{
    (void)state;
    static const char *const values[] = {"-h", "--help", "--json", "--", "-", "--url=x"};
    struct result r;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        RUN(&r, "pub", "--url", values[i], "x");
        assert_int_equal(r.error, 0);
        assert_string_equal(r.url, values[i]);
        assert_int_equal(r.positionals.count, 1);
        assert_false(r.json);
    }
}

static void a_value_that_can_be_one_is_given_once(void **state)
{
    (void)state;
    struct result r;
    RUN(&r, "sub", "--url", "a", "--url=b");
    assert_refused(&r, "--url is given twice");
    RUN(&r, "sub", "--count=1", "--count=1");
    assert_refused(&r, "--count is given twice");
    RUN(&r, "sub", "--json", "--type=a", "--json", "--type=a");
    assert_int_equal(r.error, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_may_stand_anywhere),
        cmocka_unit_test(a_value_may_stand_behind_an_equals_sign_and_be_empty),
        cmocka_unit_test(a_lone_dash_and_what_follows_two_dashes_are_positional),
        cmocka_unit_test(the_wrong_argument_is_named),
        cmocka_unit_test(nothing_behind_two_dashes_is_an_option),
        cmocka_unit_test(help_is_asked_for_where_an_option_may_stand),
        cmocka_unit_test(a_value_is_a_value_whatever_it_looks_like),
        cmocka_unit_test(a_value_that_can_be_one_is_given_once),
        cmocka_unit_test(a_number_outside_its_range_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
