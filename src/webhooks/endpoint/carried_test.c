#include "webhooks/endpoint/carried.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>

static void ids_are_found_in_whatever_order_they_came(void **state)
{
    static const uint64_t ids[] = {7, 3, 9, 1, 5};
    struct carried carried = {0};
    (void)state;
    for (size_t i = 0; i < 5; i++)
        carried_add(&carried, ids[i]);
    for (uint64_t id = 0; id <= 10; id++)
        assert_int_equal(carried_has(&carried, id), id % 2 && id <= 9);
    carried_forget(&carried);
}

static void nothing_is_found_in_none(void **state)
{
    struct carried carried = {0};
    (void)state;
    assert_false(carried_has(&carried, 0));
    assert_true(carried_is_passed(&carried, 0));
    carried_forget(&carried);
}

static void an_id_above_all_has_passed_them(void **state)
{
    struct carried carried = {0};
    (void)state;
    carried_add(&carried, 10);
    carried_add(&carried, 20);
    assert_false(carried_is_passed(&carried, 5));
    assert_false(carried_is_passed(&carried, 10));
    assert_false(carried_is_passed(&carried, 20));
    assert_true(carried_is_passed(&carried, 21));
    carried_forget(&carried);
    assert_false(carried_has(&carried, 10));
}

static void beyond_the_bound_ids_are_left_out(void **state)
{
    struct carried carried = {0};
    (void)state;
    for (uint64_t id = 1; id <= CARRIED_MAX + 10; id++)
        carried_add(&carried, id);
    assert_int_equal(carried.count, CARRIED_MAX);
    assert_true(carried_has(&carried, CARRIED_MAX));
    assert_false(carried_has(&carried, CARRIED_MAX + 1));
    carried_forget(&carried);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_found_in_whatever_order_they_came),
        cmocka_unit_test(nothing_is_found_in_none),
        cmocka_unit_test(an_id_above_all_has_passed_them),
        cmocka_unit_test(beyond_the_bound_ids_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
