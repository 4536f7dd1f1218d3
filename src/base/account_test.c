#include "base/account.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void every_kind_is_counted_apart_and_all_of_them_together(void **state)
{
    (void)state;
    struct account account = {0};
    for (unsigned kind = 0; kind < ACCOUNT_COUNT; kind++)
        account_add(&account, (enum account_kind)kind, kind + 1);
    for (unsigned kind = 0; kind < ACCOUNT_COUNT; kind++)
        assert_int_equal(account_held(&account, (enum account_kind)kind), kind + 1);
    assert_int_equal(account.total, ACCOUNT_COUNT * (ACCOUNT_COUNT + 1) / 2);
    for (unsigned kind = 0; kind < ACCOUNT_COUNT; kind++)
        account_sub(&account, (enum account_kind)kind, kind + 1);
    assert_int_equal(account.total, 0);
}

static void the_excess_is_what_lies_above_the_limit(void **state)
{
    (void)state;
    struct account account = {.limit = 100};
    account_add(&account, ACCOUNT_INTAKE, 60);
    account_add(&account, ACCOUNT_RESTS, 40);
    assert_int_equal(account_excess(&account), 0);
    account_add(&account, ACCOUNT_CHUNKS, 7);
    assert_int_equal(account_excess(&account), 7);
    account_sub(&account, ACCOUNT_INTAKE, 60);
    assert_int_equal(account_excess(&account), 0);
}

static void an_account_without_a_limit_has_no_excess(void **state)
{
    (void)state;
    struct account account = {0};
    account_add(&account, ACCOUNT_BATCH, 1 << 30);
    assert_int_equal(account_excess(&account), 0);
}

static void a_holder_that_grows_and_shrinks_is_counted_once(void **state)
{
    (void)state;
    struct account account = {0};
    const size_t sizes[] = {10, 4096, 4096, 7, 0};
    size_t counted = 0;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        account_set(&account, ACCOUNT_INTAKE, &counted, sizes[i]);
        assert_int_equal(counted, sizes[i]);
        assert_int_equal(account_held(&account, ACCOUNT_INTAKE), sizes[i]);
        assert_int_equal(account.total, sizes[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_is_counted_apart_and_all_of_them_together),
        cmocka_unit_test(the_excess_is_what_lies_above_the_limit),
        cmocka_unit_test(an_account_without_a_limit_has_no_excess),
        cmocka_unit_test(a_holder_that_grows_and_shrinks_is_counted_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
