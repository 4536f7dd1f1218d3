/* Distances between misspelled names and the right ones. */
#include "base/nearest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void each_letter_that_differs_counts_one(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        unsigned distance;
    } cases[] = {
        {"", "", 0},           {"after", "after", 0},
        {"afer", "after", 1},  {"aftter", "after", 1},
        {"aftre", "after", 1}, {"body-max", "body_max", 1},
        {"", "abc", 3},        {"since", "after", 5},
        {"ca", "abc", 3},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct str a = str_from(cases[i].a), b = str_from(cases[i].b);
        assert_int_equal(nearest_distance(a, b), cases[i].distance);
        assert_int_equal(nearest_distance(b, a), cases[i].distance);
    }
}

static void names_that_are_too_long_are_far_from_all(void **state)
{
    (void)state;
    char text[NEAREST_LEN_MAX + 1] = {0};
    struct str longest = {text, NEAREST_LEN_MAX}, too_long = {text, NEAREST_LEN_MAX + 1};
    assert_int_equal(nearest_distance(longest, longest), 0);
    assert_int_equal(nearest_distance(too_long, too_long), NEAREST_LEN_MAX + 1);
    assert_false(nearest_is_near(too_long, nearest_distance(too_long, longest)));
}

static void only_what_is_alike_is_near(void **state)
{
    (void)state;
    assert_true(nearest_is_near(STR("afer"), 1));
    assert_false(nearest_is_near(STR("since"), 5));
    assert_false(nearest_is_near(STR("ab"), 2));
    assert_false(nearest_is_near(STR(""), 0));
    assert_true(nearest_is_near(STR("connections_maxx"), 1));
}

static void the_nearest_name_is_found_if_it_is_near_enough(void **state)
{
    (void)state;
    struct nearest nearest = {.name = STR("foramt")};
    nearest_offer(&nearest, STR("count"));
    assert_int_equal(nearest.best.len, 0);
    nearest_offer(&nearest, STR("formats"));
    nearest_offer(&nearest, STR("format"));
    nearest_offer(&nearest, STR("formal"));
    assert_true(str_eq(nearest.best, STR("format")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_letter_that_differs_counts_one),
        cmocka_unit_test(names_that_are_too_long_are_far_from_all),
        cmocka_unit_test(only_what_is_alike_is_near),
        cmocka_unit_test(the_nearest_name_is_found_if_it_is_near_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
