#include "base/budget.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

static void a_budget_lets_one_step_pass_and_ends_when_its_bytes_are_used(void **state)
{
    (void)state;
    struct budget budget;
    budget_begin(&budget, NULL, 0, 1000);
    assert_false(budget_is_spent(&budget));
    assert_true(budget_spend(&budget, 400));
    assert_true(budget_spend(&budget, 400));
    assert_false(budget_spend(&budget, 400));
    assert_true(budget_is_spent(&budget));
    assert_false(budget_spend(&budget, 1));
}

static void a_step_without_bytes_costs_something(void **state)
{
    (void)state;
    struct budget budget;
    int steps = 0;
    budget_begin(&budget, NULL, 0, INT64_C(100) * BUDGET_STEP);
    while (budget_spend(&budget, 0))
        steps++;
    assert_int_equal(steps, 99);
}

static void a_step_larger_than_any_number_ends_the_budget(void **state)
{
    (void)state;
    const size_t sizes[] = {1000, 1001, (size_t)INT64_MAX, (size_t)INT64_MAX + 1, SIZE_MAX};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        struct budget budget;
        budget_begin(&budget, NULL, 0, 1000);
        assert_false(budget_spend(&budget, sizes[i]));
        assert_true(budget_is_spent(&budget));
    }
}

static void a_budget_ends_when_its_time_is_over(void **state)
{
    (void)state;
    struct clock_fake fake;
    struct budget budget;
    clock_fake_init(&fake, 0);
    budget_begin(&budget, &fake.clock, 1000, INT64_MAX);
    for (int i = 0; i < 1000; i++)
        assert_true(budget_spend(&budget, BUDGET_STRIDE));
    clock_fake_advance(&fake, 999);
    assert_true(budget_spend(&budget, BUDGET_STRIDE));
    clock_fake_advance(&fake, 1);
    assert_false(budget_spend(&budget, BUDGET_STRIDE));
}

/* Small steps do not read the clock each time, but they do after BUDGET_STRIDE bytes together. */
static void small_steps_see_the_end_of_time_too(void **state)
{
    (void)state;
    struct clock_fake fake;
    struct budget budget;
    int steps = 0;
    clock_fake_init(&fake, 0);
    budget_begin(&budget, &fake.clock, 1000, INT64_MAX);
    clock_fake_advance(&fake, 1000);
    while (budget_spend(&budget, 0))
        steps++;
    assert_true(steps <= BUDGET_STRIDE / BUDGET_STEP);
}

/* Steps that end before BUDGET_STRIDE bytes do not read the clock at all. */
static void the_time_of_a_late_budget_begins_with_the_first_look(void **state)
{
    (void)state;
    struct clock_fake fake;
    struct budget budget;
    clock_fake_init(&fake, 0);
    clock_fake_advance(&fake, 1);
    budget_begin_late(&budget, &fake.clock, 1000, INT64_MAX);
    clock_fake_advance(&fake, 1000000);
    assert_true(budget_spend(&budget, BUDGET_STRIDE));
    clock_fake_advance(&fake, 999);
    assert_true(budget_spend(&budget, BUDGET_STRIDE));
    clock_fake_advance(&fake, 1);
    assert_false(budget_spend(&budget, BUDGET_STRIDE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_budget_lets_one_step_pass_and_ends_when_its_bytes_are_used),
        cmocka_unit_test(a_step_without_bytes_costs_something),
        cmocka_unit_test(a_step_larger_than_any_number_ends_the_budget),
        cmocka_unit_test(a_budget_ends_when_its_time_is_over),
        cmocka_unit_test(small_steps_see_the_end_of_time_too),
        cmocka_unit_test(the_time_of_a_late_budget_begins_with_the_first_look),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
