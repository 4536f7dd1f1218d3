#include "transport/freshet_v1_parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static bool overlap(const char *a, const char *b)
{
    bool forth = freshet_v1_overlap(str_from(a), str_from(b));
    assert_int_equal(freshet_v1_overlap(str_from(b), str_from(a)), forth);
    return forth;
}

static void names_overlap_when_they_are_equal(void **state)
{
    (void)state;
    assert_true(overlap("a/b", "a/b"));
    assert_false(overlap("a/b", "a/c"));
    assert_false(overlap("a/b", "a"));
}

static void a_star_stands_for_one_segment(void **state)
{
    (void)state;
    assert_true(overlap("a/*", "*/b"));
    assert_true(overlap("*", "a"));
    assert_false(overlap("*", "a/b"));
    assert_false(overlap("a/*", "b/*"));
}

static void two_stars_stand_for_one_or_more_segments(void **state)
{
    (void)state;
    assert_true(overlap("**", "a"));
    assert_true(overlap("a/**", "*/b/c"));
    assert_true(overlap("a/**", "a/b/**"));
    assert_false(overlap("a/**", "a"));
    assert_false(overlap("a/**", "b/**"));
}

static void the_servers_own_channels_overlap_only_with_what_spells_them(void **state)
{
    (void)state;
    assert_false(overlap("**", "$log/x"));
    assert_false(overlap("*/x", "$log/*"));
    assert_true(overlap("$log/**", "$log/x"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_overlap_when_they_are_equal),
        cmocka_unit_test(a_star_stands_for_one_segment),
        cmocka_unit_test(two_stars_stand_for_one_or_more_segments),
        cmocka_unit_test(the_servers_own_channels_overlap_only_with_what_spells_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
