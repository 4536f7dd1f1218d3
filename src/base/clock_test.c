#include "base/clock.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <time.h>

static void the_system_clock_never_goes_back(void **state)
{
    (void)state;
    int64_t before = clock_now_ns(clock_system());
    for (int i = 0; i < 1000; i++) {
        int64_t now = clock_now_ns(clock_system());
        assert_true(now >= before);
        before = now;
    }
}

static void the_system_clock_tells_the_time_of_day(void **state)
{
    (void)state;
    int64_t least = (int64_t)time(NULL) - 1;
    int64_t wall_s = clock_wall_us(clock_system()) / 1000000;
    assert_in_range(wall_s, least, (int64_t)time(NULL) + 1);
}

static void a_fake_clock_stands_still(void **state)
{
    (void)state;
    struct clock_fake fake;
    clock_fake_init(&fake, 1000);
    int64_t start_ns = clock_now_ns(&fake.clock);
    assert_int_equal(clock_wall_us(&fake.clock), 1000);
    assert_int_equal(clock_wall_us(&fake.clock), 1000);
    assert_int_equal(clock_now_ns(&fake.clock), start_ns);
}

static void a_fake_clock_moves_both_hands(void **state)
{
    (void)state;
    struct clock_fake fake;
    clock_fake_init(&fake, 1000);
    int64_t start_ns = clock_now_ns(&fake.clock);
    clock_fake_advance(&fake, 25);
    assert_int_equal(clock_wall_us(&fake.clock), 1025);
    assert_int_equal(clock_now_ns(&fake.clock), start_ns + 25000);
}

static void a_wall_clock_may_be_set_back_alone(void **state)
{
    (void)state;
    struct clock_fake fake;
    clock_fake_init(&fake, 1000);
    int64_t start_ns = clock_now_ns(&fake.clock);
    fake.wall_us = 5;
    assert_int_equal(clock_wall_us(&fake.clock), 5);
    assert_int_equal(clock_now_ns(&fake.clock), start_ns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_system_clock_never_goes_back),
        cmocka_unit_test(the_system_clock_tells_the_time_of_day),
        cmocka_unit_test(a_fake_clock_stands_still),
        cmocka_unit_test(a_fake_clock_moves_both_hands),
        cmocka_unit_test(a_wall_clock_may_be_set_back_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
