#include "access/reach.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_first(const char *term, const char *prefix, const char *name)
{
    struct reach reach;
    bool any = reach_begin(&reach, str_from(term), str_from(prefix));
    assert_int_equal(any, name != NULL);
    if (name)
        assert_true(str_eq(reach_name(&reach), str_from(name)));
}

static void the_shortest_name_has_free_segments(void **state)
{
    (void)state;
    assert_first("a", "", "a");
    assert_first("a/*/b", "", "a/*/b");
    assert_first("a/**", "", "a/*");
    assert_first("**", "", "*");
    assert_first("$webhooks/**", "", "$webhooks/*");
}

static void the_prefix_stands_in_the_place_of_free_segments(void **state)
{
    (void)state;
    assert_first("**", "a", "a");
    assert_first("**", "a/b", "a/b");
    assert_first("*/**", "a/b/c", "a/b/c");
    assert_first("*/x/*", "a", "a/x/*");
    assert_first("a/**", "a/b/c", "a/b/c");
    assert_first("a/b", "a", "a/b");
}

static void a_term_has_no_names_under_a_prefix_that_it_does_not_reach(void **state)
{
    (void)state;
    assert_first("a", "b", NULL);
    assert_first("a", "a/b", NULL);
    assert_first("*", "a/b", NULL);
    assert_first("*/x", "a/b", NULL);
    assert_first("a/**", "b", NULL);
    assert_first("$webhooks/**", "a", NULL);
}

static unsigned count_names(const char *term, const char *prefix)
{
    struct reach reach;
    unsigned count = 0;
    if (reach_begin(&reach, str_from(term), str_from(prefix)))
        do
            count++;
        while (reach_next(&reach));
    return count;
}

static void only_an_open_term_has_longer_names(void **state)
{
    (void)state;
    assert_int_equal(count_names("a/*", ""), 1);
    assert_int_equal(count_names("a/b", "a"), 1);
    assert_int_equal(count_names("**", ""), REACH_SEGMENTS_MAX);
    assert_int_equal(count_names("a/**", ""), REACH_SEGMENTS_MAX - 1);
    assert_int_equal(count_names("**", "a/b/c"), REACH_SEGMENTS_MAX - 2);
}

static void the_longest_term_under_the_longest_prefix_has_room(void **state)
{
    (void)state;
    char prefix[NAME_MAX_BYTES];
    for (size_t i = 0; i < sizeof(prefix); i++)
        prefix[i] = i % 2 ? '/' : 'a';
    struct reach reach;
    assert_true(reach_begin(&reach, STR("*/*/*/*/**"), (struct str){prefix, sizeof(prefix)}));
    assert_int_equal(reach.len, sizeof(prefix));
    assert_false(reach_next(&reach));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_shortest_name_has_free_segments),
        cmocka_unit_test(the_prefix_stands_in_the_place_of_free_segments),
        cmocka_unit_test(a_term_has_no_names_under_a_prefix_that_it_does_not_reach),
        cmocka_unit_test(only_an_open_term_has_longer_names),
        cmocka_unit_test(the_longest_term_under_the_longest_prefix_has_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
