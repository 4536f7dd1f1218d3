#include "client/lib/retry_delay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void delays_double_and_stay_within_their_bounds(void **state)
{
    (void)state;
    struct retry_delay low = {.least_ms = 100, .most_ms = 10000};
    struct retry_delay high = low;
    uint64_t ceiling = 200;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(retry_delay_next(&low, 0), ceiling / 2);
        assert_int_equal(retry_delay_next(&high, (uint32_t)(ceiling - ceiling / 2)), ceiling);
        ceiling = ceiling * 2 > 10000 ? 10000 : ceiling * 2;
    }
}

static void after_a_success_delays_are_small_again(void **state)
{
    (void)state;
    struct retry_delay delay = {.least_ms = 100, .most_ms = 10000};
    for (int i = 0; i < 20; i++)
        retry_delay_next(&delay, UINT32_MAX);
    retry_delay_reset(&delay);
    assert_in_range(retry_delay_next(&delay, UINT32_MAX), 100, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delays_double_and_stay_within_their_bounds),
        cmocka_unit_test(after_a_success_delays_are_small_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
