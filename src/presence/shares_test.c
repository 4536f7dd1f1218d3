#include "presence/shares.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* How many a holder gets of `max` while `others` are taken. */
static uint32_t most_of(uint64_t max, uint64_t others, unsigned percent)
{
    uint32_t own = 0;
    while (others + own < max && share_has_place(own, others + own, max, percent))
        own++;
    return own;
}

static void a_holder_that_is_alone_gets_its_part_of_the_table(void **state)
{
    (void)state;
    assert_int_equal(most_of(1000, 0, 50), 500);
    assert_int_equal(most_of(1000, 0, 10), 100);
    assert_int_equal(most_of(1000, 0, 1), 10);
}

static void a_new_holder_always_gets_something_until_the_table_is_full(void **state)
{
    uint64_t taken = 0;
    (void)state;
    for (int i = 0; i < 8; i++) {
        uint32_t own = most_of(100000, taken, 50);
        assert_true(own > 0);
        taken += own;
    }
    assert_true(taken < 100000);
    assert_int_equal(most_of(1000, 999, 50), 1);
    assert_int_equal(most_of(1000, 1000, 50), 0);
}

static void a_small_table_and_a_whole_percentage_have_no_shares(void **state)
{
    (void)state;
    assert_int_equal(most_of(SHARES_FROM - 1, 0, 1), SHARES_FROM - 1);
    assert_int_equal(most_of(1000, 0, 100), 1000);
    assert_int_equal(most_of(1000, 0, 0), 1000);
}

static void a_lowered_limit_leaves_no_place(void **state)
{
    (void)state;
    assert_true(share_has_place(0, 2000, 1000, 0));
    assert_false(share_has_place(1, 2000, 1000, 50));
}

static void only_a_verified_name_is_a_subject(void **state)
{
    struct shares *shares = mem_alloc(sizeof(*shares));
    const struct presence_who alice = {STR("alice"), true}, pretender = {STR("alice"), false};
    (void)state;
    shares_init(shares);
    assert_true(shares_subject(shares, alice) > 0);
    assert_int_equal(shares_subject(shares, alice), shares_subject(shares, alice));
    assert_int_equal(shares_subject(shares, pretender), 0);
    assert_int_equal(shares_subject(shares, (struct presence_who){STR_NONE, true}), 0);
    assert_true(shares_address(shares, 0) > 0);
    free(shares);
}

static void a_holder_is_counted_for_each_kind_by_itself(void **state)
{
    struct shares *shares = mem_alloc(sizeof(*shares));
    (void)state;
    shares_init(shares);
    shares_take(shares, SHARE_MEMBERS, 7, 9);
    shares_take(shares, SHARE_MEMBERS, 7, 0);
    shares_take(shares, SHARE_MARKS, 0, 9);
    assert_int_equal(shares->of_address[SHARE_MEMBERS][7], 2);
    assert_int_equal(shares->of_subject[SHARE_MEMBERS][9], 1);
    assert_int_equal(shares->of_subject[SHARE_MARKS][9], 1);
    assert_int_equal(shares->of_address[SHARE_MARKS][7], 0);
    assert_int_equal(shares->of_address[SHARE_MEMBERS][0], 0);
    assert_int_equal(shares->of_subject[SHARE_MEMBERS][0], 0);
    shares_give(shares, SHARE_MEMBERS, 7, 9);
    assert_int_equal(shares->of_address[SHARE_MEMBERS][7], 1);
    assert_int_equal(shares->of_subject[SHARE_MEMBERS][9], 0);
    free(shares);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_holder_that_is_alone_gets_its_part_of_the_table),
        cmocka_unit_test(a_new_holder_always_gets_something_until_the_table_is_full),
        cmocka_unit_test(a_small_table_and_a_whole_percentage_have_no_shares),
        cmocka_unit_test(a_lowered_limit_leaves_no_place),
        cmocka_unit_test(only_a_verified_name_is_a_subject),
        cmocka_unit_test(a_holder_is_counted_for_each_kind_by_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
