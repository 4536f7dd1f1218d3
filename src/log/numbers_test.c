#include "log/numbers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void numbers_come_out_in_the_order_in_which_they_went_in(void **state)
{
    (void)state;
    struct numbers numbers = {0};
    uint32_t in = 0, out = 0;
    for (uint32_t turn = 0; turn < 100; turn++) {
        for (uint32_t i = 0; i < 7 + turn % 5; i++)
            assert_true(numbers_push(&numbers, in++));
        for (uint32_t i = 0; i < 7; i++)
            assert_int_equal(numbers_pop(&numbers), out++);
    }
    while (numbers.count)
        assert_int_equal(numbers_pop(&numbers), out++);
    assert_int_equal(in, out);
    numbers_deinit(&numbers);
}

static void without_memory_nothing_is_lost(void **state)
{
    (void)state;
    struct numbers numbers = {0};
    for (uint32_t i = 0; i < NUMBERS_BLOCK; i++)
        assert_true(numbers_push(&numbers, i));
    mem_fail_nth(1);
    assert_false(numbers_push(&numbers, 1000));
    assert_true(numbers_push(&numbers, NUMBERS_BLOCK));
    for (uint32_t i = 0; i <= NUMBERS_BLOCK; i++)
        assert_int_equal(numbers_pop(&numbers), i);
    numbers_deinit(&numbers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_come_out_in_the_order_in_which_they_went_in),
        cmocka_unit_test(without_memory_nothing_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
