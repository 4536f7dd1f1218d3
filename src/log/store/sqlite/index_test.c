#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "log/store/sqlite/index.h"

#include "base/mem.h"

#include <errno.h>

static void put(struct index *index, uint32_t number, uint64_t id, size_t bytes)
{
    assert_int_equal(index_add(index, number, id, bytes), 0);
}

static void rows_that_are_not_published_are_not_seen(void **state)
{
    (void)state;
    struct index *index = index_new();
    uint64_t id;
    put(index, 1, 10, 5);
    assert_int_equal(index_ids(index, 1, 0, 100, false, &id, 1), 0);
    assert_int_equal(index_tally(index, 1, 0).count, 0);
    assert_int_equal(index_rows(index), 0);
    index_publish(index);
    assert_int_equal(index_ids(index, 1, 0, 100, false, &id, 1), 1);
    assert_int_equal(id, 10);
    index_free(index);
}

static void rows_that_are_taken_back_leave_no_trace(void **state)
{
    (void)state;
    struct index *index = index_new();
    uint64_t ids[8];
    put(index, 1, 10, 5);
    index_publish(index);
    put(index, 2, 11, 5);
    put(index, 1, 12, 5);
    index_take_back(index, 1);
    index_take_back(index, 2);
    put(index, 1, 11, 7);
    index_publish(index);
    assert_int_equal(index_ids(index, 1, 0, 100, false, ids, 8), 2);
    assert_int_equal(ids[1], 11);
    assert_int_equal(index_ids(index, 2, 0, 100, false, ids, 8), 0);
    assert_int_equal(index_tally(index, 1, 0).bytes, 12);
    index_free(index);
}

static void ids_lie_above_low_and_up_to_high(void **state)
{
    (void)state;
    struct index *index = index_new();
    uint64_t ids[8];
    for (uint64_t id = 10; id <= 50; id += 10)
        put(index, 3, id, 1);
    index_publish(index);
    assert_int_equal(index_ids(index, 3, 10, 40, false, ids, 8), 3);
    assert_int_equal(ids[0], 20);
    assert_int_equal(ids[2], 40);
    assert_int_equal(index_ids(index, 3, 10, 45, true, ids, 2), 2);
    assert_int_equal(ids[0], 40);
    assert_int_equal(ids[1], 30);
    assert_int_equal(index_ids(index, 3, 50, 60, false, ids, 8), 0);
    assert_int_equal(index_ids(index, 3, 40, 40, false, ids, 8), 0);
    assert_int_equal(index_ids(index, 999999, 0, 60, false, ids, 8), 0);
    index_free(index);
}

static void a_tally_counts_what_is_above(void **state)
{
    (void)state;
    struct index *index = index_new();
    for (uint64_t id = 1; id <= 10; id++)
        put(index, 700, id, id);
    index_publish(index);
    struct index_tally tally = index_tally(index, 700, 7);
    assert_int_equal(tally.count, 3);
    assert_int_equal(tally.bytes, 8 + 9 + 10);
    assert_int_equal(tally.first, 8);
    assert_int_equal(tally.last, 10);
    assert_int_equal(index_tally(index, 700, 10).last, 0);
    assert_int_equal(index_numbers(index), 700);
    index_free(index);
}

static void the_first_are_counted_until_both_bounds_are_met(void **state)
{
    (void)state;
    struct index *index = index_new();
    for (uint64_t id = 1; id <= 5; id++)
        put(index, 1, id, 10 * id);
    struct index_tally none = index_first(index, 1, 0, 1, 0);
    assert_int_equal(none.count, 0); /* not published yet */
    index_publish(index);
    struct index_tally first = index_first(index, 1, 0, 2, 0);
    assert_int_equal(first.count, 2);
    assert_int_equal(first.first, 1);
    assert_int_equal(first.last, 2);
    assert_int_equal(first.bytes, 30);
    assert_int_equal(index_first(index, 1, 0, 1, 31).last, 3);
    assert_int_equal(index_first(index, 1, 0, 1, 30).last, 2);
    assert_int_equal(index_first(index, 1, 2, 1, 0).last, 3);
    assert_int_equal(index_first(index, 1, 2, 9, 0).count, 3);
    assert_int_equal(index_first(index, 1, 0, 0, 0).count, 0);
    assert_int_equal(index_first(index, 700, 0, 1, 1).count, 0);
    index_free(index);
}

static void names_are_noted_and_taken_back(void **state)
{
    (void)state;
    struct index *index = index_new();
    assert_false(index_is_named(index, 5));
    assert_int_equal(index_name(index, 5, true), 0);
    put(index, 5, 1, 1);
    put(index, 5, 2, 1);
    put(index, 5, 3, 1);
    assert_true(index_is_named(index, 5));
    assert_false(index_is_named(index, 6));
    assert_int_equal(index_name(index, 5, false), 0);
    assert_false(index_is_named(index, 5));
    index_free(index);
}

static void many_events_in_many_channels_keep_their_order(void **state)
{
    (void)state;
    enum { EVENTS = 50000, CHANNELS = 777 };
    static uint64_t ids[EVENTS];
    struct index *index = index_new();
    for (uint64_t id = 1; id <= EVENTS; id++)
        put(index, (uint32_t)(id * 7919 % CHANNELS), id, 1);
    index_publish(index);
    uint64_t all = 0;
    for (uint32_t n = 0; n < CHANNELS; n++) {
        size_t count = index_ids(index, n, 0, EVENTS, false, ids, EVENTS);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(ids[i] * 7919 % CHANNELS, n);
            assert_true(i == 0 || ids[i] > ids[i - 1]);
        }
        all += count;
    }
    assert_int_equal(all, EVENTS);
    index_free(index);
}

static void without_memory_nothing_is_added(void **state)
{
    (void)state;
    struct index *index = index_new();
    uint64_t ids[64];
    for (uint64_t id = 1; id <= 40; id++) {
        int result = -ENOMEM;
        for (unsigned long nth = 1; result; nth++) {
            mem_fail_nth(nth);
            result = index_add(index, (uint32_t)(300 * (id % 3)), id, 1);
            mem_fail_nth(0);
            assert_true(result == 0 || result == -ENOMEM);
        }
    }
    index_publish(index);
    assert_int_equal(index_rows(index), 40);
    assert_int_equal(index_ids(index, 0, 0, 99, false, ids, 64), 13);
    index_free(index);
}

static void the_memory_of_the_index_is_counted(void **state)
{
    (void)state;
    enum { EVENTS = 20000 };
    struct index *index = index_new();
    size_t empty = index_bytes(index);
    for (uint64_t id = 1; id <= EVENTS; id++)
        put(index, 1, id, 1);
    size_t one_channel = index_bytes(index) - empty;
    assert_in_range(one_channel, EVENTS * 16, EVENTS * 24);
    put(index, 1000, EVENTS + 1, 1);
    assert_true(index_bytes(index) > empty + one_channel);
    index_free(index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_that_are_not_published_are_not_seen),
        cmocka_unit_test(rows_that_are_taken_back_leave_no_trace),
        cmocka_unit_test(ids_lie_above_low_and_up_to_high),
        cmocka_unit_test(a_tally_counts_what_is_above),
        cmocka_unit_test(the_first_are_counted_until_both_bounds_are_met),
        cmocka_unit_test(names_are_noted_and_taken_back),
        cmocka_unit_test(many_events_in_many_channels_keep_their_order),
        cmocka_unit_test(without_memory_nothing_is_added),
        cmocka_unit_test(the_memory_of_the_index_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
