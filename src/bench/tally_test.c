#include "bench/tally.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void events_received_once_and_in_order_are_perfect(void **state)
{
    (void)state;
    struct tally tally;
    struct seen one, all;
    tally_init(&tally, 2, 1);
    tally_join(&tally, &one, 1, false);
    tally_join(&tally, &all, SEEN_ALL, false);
    uint32_t first = tally_publish(&tally, 0);
    uint32_t second = tally_publish(&tally, 1);
    assert_int_equal(tally.due, 3);
    tally_take(&tally, &all, 1, second);
    tally_take(&tally, &one, 1, second);
    assert_false(tally_settled(&tally));
    tally_take(&tally, &all, 0, first);
    assert_true(tally_settled(&tally));
    assert_true(tally_perfect(&tally));
    seen_deinit(&all);
    seen_deinit(&one);
    tally_deinit(&tally);
}

static void several_publishers_of_a_channel_have_an_order_each(void **state)
{
    (void)state;
    struct tally tally;
    struct seen seen;
    tally_init(&tally, 2, 5);
    tally_join(&tally, &seen, 1, false);
    assert_int_equal(seen.lanes, 2); /* lanes 1 and 3 */
    tally_publish(&tally, 1);
    tally_publish(&tally, 3);
    tally_publish(&tally, 3);
    tally_take(&tally, &seen, 3, 0);
    tally_take(&tally, &seen, 1, 0);
    tally_take(&tally, &seen, 3, 1);
    assert_true(tally_perfect(&tally));
    seen_deinit(&seen);
    tally_deinit(&tally);
}

/* Publishes three events to a subscriber that receives those of `numbers`. */
static struct tally after(const uint32_t *numbers, unsigned count)
{
    struct tally tally;
    struct seen seen;
    tally_init(&tally, 1, 1);
    tally_join(&tally, &seen, 0, false);
    for (unsigned i = 0; i < 3; i++)
        tally_publish(&tally, 0);
    for (unsigned i = 0; i < count; i++)
        tally_take(&tally, &seen, 0, numbers[i]);
    seen_deinit(&seen);
    tally_deinit(&tally);
    return tally;
}

static void a_skipped_number_is_missing(void **state)
{
    (void)state;
    struct tally tally = after((uint32_t[]){0, 2}, 2);
    assert_int_equal(tally.missing, 1);
    assert_true(tally_settled(&tally));
    assert_false(tally_perfect(&tally));
}

static void a_channel_whose_last_event_never_comes_stays_unsettled(void **state)
{
    (void)state;
    struct tally tally = after((uint32_t[]){0, 1}, 2);
    assert_false(tally_settled(&tally));
    assert_false(tally_perfect(&tally));
}

static void a_repeated_or_late_number_is_reported(void **state)
{
    (void)state;
    struct tally again = after((uint32_t[]){0, 1, 1, 2}, 4);
    assert_int_equal(again.repeated, 1);
    assert_false(tally_perfect(&again));
    struct tally late = after((uint32_t[]){0, 2, 1}, 3);
    assert_int_equal(late.repeated, 1);
    assert_false(tally_perfect(&late));
}

static void an_event_of_another_channel_is_strange(void **state)
{
    (void)state;
    struct tally tally;
    struct seen seen;
    tally_init(&tally, 2, 1);
    tally_join(&tally, &seen, 0, false);
    tally_take(&tally, &seen, 1, 0);
    tally_take(&tally, &seen, 7, 0);
    assert_int_equal(tally.strange, 2);
    assert_false(tally_perfect(&tally));
    seen_deinit(&seen);
    tally_deinit(&tally);
}

static void a_subscriber_from_the_start_expects_earlier_events(void **state)
{
    (void)state;
    struct tally tally;
    struct seen early, late, fresh;
    tally_init(&tally, 1, 1);
    tally_publish(&tally, 0);
    tally_publish(&tally, 0);
    tally_join(&tally, &early, 0, true);
    tally_join(&tally, &fresh, 0, false);
    assert_int_equal(tally.due, 2);
    assert_false(seen_has(&tally, &early, 0, 2));
    tally_take(&tally, &early, 0, 0);
    tally_take(&tally, &early, 0, 1);
    assert_true(seen_has(&tally, &early, 0, 2));
    assert_true(tally_perfect(&tally));
    tally_join(&tally, &late, 0, true);
    tally_publish(&tally, 0);
    assert_int_equal(tally.due, 2 + 2 + 3);
    tally_take(&tally, &fresh, 0, 2);
    assert_int_equal(tally.missing + tally.repeated, 0);
    tally_deinit(&tally);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_received_once_and_in_order_are_perfect),
        cmocka_unit_test(several_publishers_of_a_channel_have_an_order_each),
        cmocka_unit_test(a_skipped_number_is_missing),
        cmocka_unit_test(a_channel_whose_last_event_never_comes_stays_unsettled),
        cmocka_unit_test(a_repeated_or_late_number_is_reported),
        cmocka_unit_test(an_event_of_another_channel_is_strange),
        cmocka_unit_test(a_subscriber_from_the_start_expects_earlier_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
