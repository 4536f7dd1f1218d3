#include "transport/holding.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

struct fixture {
    struct account account;
    struct holdings holdings;
    struct holding a, b, c;
};

static int begin(void **state)
{
    struct fixture *fixture = mem_alloc(sizeof(*fixture));
    holdings_init(&fixture->holdings, &fixture->account);
    *state = fixture;
    return 0;
}

static int end(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(fixture->account.total, 0);
    free(fixture);
    return 0;
}

static void set(struct fixture *fixture, struct holding *holding, enum account_kind kind, size_t n)
{
    holding_set(&fixture->holdings, holding, kind, n);
}

static void clear(struct fixture *fixture)
{
    set(fixture, &fixture->a, ACCOUNT_RESTS, 0);
    set(fixture, &fixture->b, ACCOUNT_RESTS, 0);
    set(fixture, &fixture->c, ACCOUNT_RESTS, 0);
    assert_null(holdings_largest_of_all(&fixture->holdings));
}

static void a_holding_of_the_largest_class_is_found_after_any_change(void **state)
{
    struct fixture *fixture = *state;
    assert_null(holdings_largest(&fixture->holdings, ACCOUNT_RESTS));
    set(fixture, &fixture->a, ACCOUNT_RESTS, 10000);
    set(fixture, &fixture->b, ACCOUNT_RESTS, 50000);
    set(fixture, &fixture->c, ACCOUNT_RESTS, 2000);
    assert_ptr_equal(holdings_largest(&fixture->holdings, ACCOUNT_RESTS), &fixture->b);
    set(fixture, &fixture->b, ACCOUNT_RESTS, 3000);
    assert_ptr_equal(holdings_largest(&fixture->holdings, ACCOUNT_RESTS), &fixture->a);
    assert_true(holding_is_large(&fixture->holdings, &fixture->a));
    assert_false(holding_is_large(&fixture->holdings, &fixture->b));
    assert_int_equal(account_held(&fixture->account, ACCOUNT_RESTS), 15000);
    clear(fixture);
}

static void a_shared_holding_is_as_large_as_a_share_and_counts_once(void **state)
{
    struct fixture *fixture = *state;
    set(fixture, &fixture->a, ACCOUNT_RESTS, 5000);
    holding_set_shared(&fixture->holdings, &fixture->b, ACCOUNT_RESTS, 50000, 50);
    assert_int_equal(account_held(&fixture->account, ACCOUNT_RESTS), 55000);
    assert_ptr_equal(holdings_largest(&fixture->holdings, ACCOUNT_RESTS), &fixture->a);
    assert_ptr_equal(holdings_largest_of_all(&fixture->holdings), &fixture->a);
    holding_set_shared(&fixture->holdings, &fixture->b, ACCOUNT_RESTS, 50000, 2);
    assert_int_equal(account_held(&fixture->account, ACCOUNT_RESTS), 55000);
    assert_ptr_equal(holdings_largest_of_all(&fixture->holdings), &fixture->b);
    assert_true(holding_is_large(&fixture->holdings, &fixture->b));
    clear(fixture);
}

static void a_holding_that_changes_its_kind_is_counted_once(void **state)
{
    struct fixture *fixture = *state;
    set(fixture, &fixture->a, ACCOUNT_ANSWERS, 4000);
    set(fixture, &fixture->a, ACCOUNT_RESTS, 4000);
    assert_int_equal(account_held(&fixture->account, ACCOUNT_ANSWERS), 0);
    assert_int_equal(account_held(&fixture->account, ACCOUNT_RESTS), 4000);
    assert_null(holdings_largest(&fixture->holdings, ACCOUNT_ANSWERS));
    set(fixture, &fixture->b, ACCOUNT_INTAKE, 9000);
    assert_ptr_equal(holdings_largest_of_all(&fixture->holdings), &fixture->b);
    clear(fixture);
}

static void a_small_holding_is_counted_and_not_listed(void **state)
{
    struct fixture *fixture = *state;
    set(fixture, &fixture->a, ACCOUNT_RESTS, HOLDING_LEAST - 1);
    assert_null(holdings_largest_of_all(&fixture->holdings));
    assert_false(holding_is_large(&fixture->holdings, &fixture->a));
    assert_int_equal(fixture->account.total, HOLDING_LEAST - 1);
    set(fixture, &fixture->a, ACCOUNT_RESTS, HOLDING_LEAST);
    assert_ptr_equal(holdings_largest_of_all(&fixture->holdings), &fixture->a);
    clear(fixture);
}

static void sizes_beyond_all_classes_are_in_the_highest(void **state)
{
    struct fixture *fixture = *state;
    set(fixture, &fixture->a, ACCOUNT_RESTS, SIZE_MAX / 4);
    assert_ptr_equal(holdings_largest_of_all(&fixture->holdings), &fixture->a);
    clear(fixture);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_holding_of_the_largest_class_is_found_after_any_change),
        TEST(a_shared_holding_is_as_large_as_a_share_and_counts_once),
        TEST(a_holding_that_changes_its_kind_is_counted_once),
        TEST(a_small_holding_is_counted_and_not_listed),
        TEST(sizes_beyond_all_classes_are_in_the_highest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
