#include "webhooks/endpoint/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* Sun, 06 Nov 1994 08:49:37 GMT */
static const int64_t some_date_us = INT64_C(784111777) * 1000000;

static void delays_follow_standard_webhooks(void **state)
{
    (void)state;
    static const int64_t seconds[] = {5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400};
    struct schedule schedule;
    schedule_init(&schedule);
    assert_int_equal(schedule.count, 9);
    for (uint64_t n = 1; n <= 9; n++) {
        int64_t ms = schedule_delay_ms(&schedule, n, UINT32_MAX / 2, 0);
        assert_in_range(ms, seconds[n - 1] * 1000 - 2, seconds[n - 1] * 1000 + 2);
        assert_false(schedule_is_over(&schedule, n));
    }
}

static void jitter_is_a_fifth_to_both_sides(void **state)
{
    (void)state;
    struct schedule schedule = {.delays_ms = {5000}, .count = 1};
    assert_int_equal(schedule_delay_ms(&schedule, 1, 0, 0), 4000);
    assert_int_equal(schedule_delay_ms(&schedule, 1, UINT32_MAX, 0), 6000);
}

static void beyond_the_schedule_an_event_is_tried_once_a_day_for_ever(void **state)
{
    (void)state;
    struct schedule schedule = {.delays_ms = {10, 20}, .count = 2};
    assert_true(schedule_is_over(&schedule, 3));
    assert_in_range(schedule_delay_ms(&schedule, 3, UINT32_MAX / 2, 0), SCHEDULE_DAY_MS - 1,
                    SCHEDULE_DAY_MS);
    assert_int_equal(schedule_delay_ms(&schedule, UINT64_MAX, 0, 0), SCHEDULE_DAY_MS / 5 * 4);
}

static void a_retry_is_never_earlier_than_the_receiver_asked(void **state)
{
    (void)state;
    struct schedule schedule = {.delays_ms = {5000}, .count = 1};
    assert_int_equal(schedule_delay_ms(&schedule, 1, UINT32_MAX, 60000), 60000);
    assert_int_equal(schedule_delay_ms(&schedule, 1, UINT32_MAX, 1000), 6000);
}

static void retry_after_is_read_in_seconds(void **state)
{
    (void)state;
    assert_int_equal(retry_after_ms(STR("0"), 0), 0);
    assert_int_equal(retry_after_ms(STR(" 120 "), 0), 120000);
    assert_int_equal(retry_after_ms(STR("86400"), 0), SCHEDULE_DAY_MS);
}

static void retry_after_is_read_as_a_date(void **state)
{
    (void)state;
    struct str date = STR("Sun, 06 Nov 1994 08:49:37 GMT");
    assert_int_equal(retry_after_ms(date, some_date_us - 90000000), 90000);
    assert_int_equal(retry_after_ms(date, some_date_us), 0);
    assert_int_equal(retry_after_ms(date, some_date_us + 5000000), 0);
}

static void retry_after_is_at_most_a_day(void **state)
{
    (void)state;
    assert_int_equal(retry_after_ms(STR("86401"), 0), SCHEDULE_DAY_MS);
    assert_int_equal(retry_after_ms(STR("18446744073709551615"), 0), SCHEDULE_DAY_MS);
    assert_int_equal(retry_after_ms(STR("99999999999999999999999"), 0), SCHEDULE_DAY_MS);
    assert_int_equal(retry_after_ms(STR("Sun, 06 Nov 1994 08:49:37 GMT"), 0), SCHEDULE_DAY_MS);
}

static void an_unreadable_retry_after_asks_for_nothing(void **state)
{
    (void)state;
    assert_int_equal(retry_after_ms(STR(""), 0), 0);
    assert_int_equal(retry_after_ms(STR("-1"), 0), 0);
    assert_int_equal(retry_after_ms(STR("soon"), 0), 0);
    assert_int_equal(retry_after_ms(STR("1.5e9"), 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delays_follow_standard_webhooks),
        cmocka_unit_test(jitter_is_a_fifth_to_both_sides),
        cmocka_unit_test(beyond_the_schedule_an_event_is_tried_once_a_day_for_ever),
        cmocka_unit_test(a_retry_is_never_earlier_than_the_receiver_asked),
        cmocka_unit_test(retry_after_is_read_in_seconds),
        cmocka_unit_test(retry_after_is_read_as_a_date),
        cmocka_unit_test(retry_after_is_at_most_a_day),
        cmocka_unit_test(an_unreadable_retry_after_asks_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
