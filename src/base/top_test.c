#include "base/top.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

static void names_are_counted_by_their_kind(void **state)
{
    (void)state;
    struct top top = {0};
    top_add(&top, 1, STR("a"), 1);
    top_add(&top, 1, STR("b"), 5);
    top_add(&top, 2, STR("a"), 2);
    top_add(&top, 1, STR("a"), 2);
    top_sort(&top);
    assert_int_equal(top.places[0].count, 5);
    assert_int_equal(top.places[1].count, 3);
    assert_int_equal(top.places[1].kind, 1);
    assert_int_equal(top.places[2].count, 2);
    assert_int_equal(top.places[3].count, 0);
}

static void the_most_frequent_stay_whoever_else_comes(void **state)
{
    (void)state;
    struct top top = {0};
    char name[16];
    for (unsigned i = 0; i < 10000; i++) {
        (void)snprintf(name, sizeof(name), "once-%u", i);
        top_add(&top, 0, str_from(name), 1);
        if (i % 3 == 0)
            top_add(&top, 0, STR("often"), 1);
    }
    top_sort(&top);
    assert_int_equal(top.places[0].len, 5);
    assert_memory_equal(top.places[0].name, "often", 5);
    assert_in_range(top.places[0].count, 3334, 3334 + 10000 / TOP_PLACES);
}

static void a_long_name_is_cut(void **state)
{
    (void)state;
    struct top top = {0};
    char name[2 * TOP_NAME_MAX];
    memset(name, 'x', sizeof(name));
    top_add(&top, 0, (struct str){name, sizeof(name)}, 1);
    top_add(&top, 0, (struct str){name, TOP_NAME_MAX + 1}, 1);
    assert_int_equal(top.places[0].count, 2);
    assert_int_equal(top.places[0].len, TOP_NAME_MAX);
}

static void merging_adds_the_counts_of_each(void **state)
{
    (void)state;
    struct top one = {0}, other = {0};
    top_add(&one, 0, STR("a"), 1);
    top_add(&other, 0, STR("a"), 2);
    top_add(&other, 0, STR("b"), 9);
    top_merge(&one, &other);
    top_sort(&one);
    assert_int_equal(one.places[0].count, 9);
    assert_int_equal(one.places[1].count, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_counted_by_their_kind),
        cmocka_unit_test(the_most_frequent_stay_whoever_else_comes),
        cmocka_unit_test(a_long_name_is_cut),
        cmocka_unit_test(merging_adds_the_counts_of_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
