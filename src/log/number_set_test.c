#include "log/number_set.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { NUMBERS = 5000 };

static void check_is(const struct number_set *set, const bool *model)
{
    uint32_t numbers[NUMBERS], expected = 0;
    uint8_t bitmap[NUMBERS / 8] = {0};
    size_t count;
    assert_true(number_set_copy(set, numbers, NUMBERS, &count));
    number_set_mark(set, bitmap, NUMBERS);
    for (uint32_t number = 0; number < NUMBERS; number++) {
        assert_int_equal(number_set_has(set, number), model[number]);
        assert_int_equal(bitmap[number >> 3] >> (number & 7) & 1, model[number]);
        if (model[number])
            assert_int_equal(numbers[expected++], number);
    }
    assert_int_equal(count, expected);
    if (count)
        assert_false(number_set_copy(set, numbers, count - 1, &count));
}

/* Numbers ascend as channels are made, descend as names may sort them, or come mixed. */
static void a_set_has_what_was_put_in_and_not_taken_out_in_any_order(void **state)
{
    static const uint32_t step[] = {1, NUMBERS - 1, 1999, 7};
    (void)state;
    for (size_t i = 0; i < sizeof(step) / sizeof(*step); i++) {
        struct number_set set = {0};
        bool model[NUMBERS] = {0};
        uint32_t number = 0;
        for (uint32_t n = 0; n < NUMBERS; n++) {
            number = (number + step[i]) % NUMBERS;
            bool is_in = n % 3 != 2;
            assert_true(number_set_put(&set, number, is_in));
            model[number] = is_in;
            uint32_t other = (number + step[i] * 2) % NUMBERS;
            if (n % 5 == 0) {
                assert_true(number_set_put(&set, other, false));
                model[other] = false;
            }
            if (n == 100 || n == 1400 || n == 1600)
                check_is(&set, model);
        }
        check_is(&set, model);
        number_set_deinit(&set);
        check_is(&set, (bool[NUMBERS]){0});
    }
}

static void few_numbers_take_little_however_high_they_are(void **state)
{
    struct number_set set = {0};
    (void)state;
    assert_true(number_set_put(&set, UINT32_MAX, true));
    assert_true(number_set_put(&set, 2000000, true));
    assert_true(number_set_has(&set, UINT32_MAX));
    assert_false(number_set_has(&set, UINT32_MAX - 1));
    assert_int_equal(number_set_bytes(&set), 8 * sizeof(uint32_t));
    number_set_deinit(&set);
}

static void a_number_that_is_not_in_a_set_takes_no_memory(void **state)
{
    struct number_set set = {0};
    (void)state;
    for (uint32_t number = 0; number < NUMBERS; number++)
        assert_true(number_set_put(&set, number * 1000, false));
    assert_int_equal(number_set_bytes(&set), 0);
    number_set_deinit(&set);
}

static void a_set_without_memory_for_more_stays_as_it_is(void **state)
{
    (void)state;
    for (uint32_t in = 0; in <= NUMBER_SET_LIST_MAX; in += NUMBER_SET_LIST_MAX / 2) {
        struct number_set set = {0};
        bool model[NUMBERS] = {0};
        for (uint32_t number = 0; number < in; number++)
            model[number] = number_set_put(&set, number, true);
        mem_fail_nth(1);
        bool grew = number_set_put(&set, NUMBERS - 1, true);
        mem_fail_nth(0);
        assert_false(grew);
        check_is(&set, model);
        number_set_deinit(&set);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_set_has_what_was_put_in_and_not_taken_out_in_any_order),
        cmocka_unit_test(few_numbers_take_little_however_high_they_are),
        cmocka_unit_test(a_number_that_is_not_in_a_set_takes_no_memory),
        cmocka_unit_test(a_set_without_memory_for_more_stays_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
