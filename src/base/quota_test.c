#include "base/quota.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void a_holder_has_as_many_as_its_limit_and_others_have_theirs(void **state)
{
    (void)state;
    struct quota quota;
    assert_int_equal(quota_init(&quota, 100), 0);
    uint32_t place = quota_take(&quota, 7, 2);
    assert_int_not_equal(place, QUOTA_NONE);
    assert_int_equal(quota_take(&quota, 7, 2), place);
    assert_int_equal(quota_take(&quota, 7, 2), QUOTA_NONE);
    assert_int_not_equal(quota_take(&quota, 8, 2), QUOTA_NONE);
    assert_int_equal(quota_count(&quota, 7), 2);
    assert_int_equal(quota_count(&quota, 9), 0);
    quota_give(&quota, place);
    assert_int_equal(quota_count(&quota, 7), 1);
    assert_int_equal(quota_take(&quota, 7, 2), place);
    quota_deinit(&quota);
}

static void a_holder_that_has_nothing_leaves_its_place_to_others(void **state)
{
    (void)state;
    struct quota quota;
    assert_int_equal(quota_init(&quota, 4), 0);
    for (uint64_t holder = 0; holder < 10000; holder++) {
        uint32_t place = quota_take(&quota, holder << 40, 1);
        assert_int_not_equal(place, QUOTA_NONE);
        quota_give(&quota, place);
    }
    assert_int_equal(quota_holders(&quota), 0);
    quota_deinit(&quota);
}

static void a_full_table_refuses_new_holders_alone(void **state)
{
    (void)state;
    struct quota quota;
    assert_int_equal(quota_init(&quota, 3), 0);
    uint32_t first = quota_take(&quota, 1, 9);
    quota_take(&quota, 2, 9);
    quota_take(&quota, 3, 9);
    assert_int_equal(quota_take(&quota, 4, 9), QUOTA_NONE);
    assert_int_equal(quota_take(&quota, 1, 9), first);
    quota_give(&quota, first);
    assert_int_equal(quota_take(&quota, 4, 9), QUOTA_NONE);
    quota_give(&quota, first);
    assert_int_not_equal(quota_take(&quota, 4, 9), QUOTA_NONE);
    quota_deinit(&quota);
}

static void a_limit_of_nothing_refuses_everybody(void **state)
{
    (void)state;
    struct quota quota;
    assert_int_equal(quota_init(&quota, 3), 0);
    assert_int_equal(quota_take(&quota, 1, 0), QUOTA_NONE);
    quota_give(&quota, QUOTA_NONE);
    assert_int_equal(quota_holders(&quota), 0);
    quota_deinit(&quota);
}

/* The counts of a plain array are the model. */
static void many_holders_that_come_and_go_are_counted_as_a_plain_array_does(void **state)
{
    (void)state;
    enum { HOLDERS = 200, MAX = 5 };
    struct quota quota;
    uint32_t counts[HOLDERS] = {0}, places[HOLDERS] = {0}, some = 0, seed = 12345;
    assert_int_equal(quota_init(&quota, HOLDERS), 0);
    for (int step = 0; step < 100000; step++) {
        seed = seed * 1103515245 + 12345;
        uint32_t holder = seed >> 8 & 0xff, gives = seed >> 20 & 1;
        if (holder >= HOLDERS)
            continue;
        if (gives && counts[holder]) {
            quota_give(&quota, places[holder]);
            some -= !--counts[holder];
        } else if (!gives) {
            uint32_t place = quota_take(&quota, holder, MAX);
            assert_int_equal(place != QUOTA_NONE, counts[holder] < MAX);
            if (place) {
                some += !counts[holder]++;
                places[holder] = place;
            }
        }
    }
    assert_int_equal(quota_holders(&quota), some);
    quota_deinit(&quota);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_holder_has_as_many_as_its_limit_and_others_have_theirs),
        cmocka_unit_test(a_holder_that_has_nothing_leaves_its_place_to_others),
        cmocka_unit_test(a_full_table_refuses_new_holders_alone),
        cmocka_unit_test(a_limit_of_nothing_refuses_everybody),
        cmocka_unit_test(many_holders_that_come_and_go_are_counted_as_a_plain_array_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
