#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "log/store/memory/line.h"

#include "base/mem.h"

enum { EVENTS = 1000 };

static struct event events[EVENTS]; /* ids 10, 20, 30 … */

static int make_events(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < EVENTS; i++)
        events[i].id = 10 * (i + 1);
    return 0;
}

static void a_line_of_one_event_needs_no_array(void **state)
{
    (void)state;
    struct line line = {0};
    mem_fail_nth(1);
    assert_true(line_push(&line, &events[0]));
    assert_ptr_equal(line_events(&line)[0], &events[0]);
    assert_false(line_push(&line, &events[1]));
    assert_int_equal(line.count, 1);
    assert_true(line_push(&line, &events[1]));
    assert_ptr_equal(line_events(&line)[1], &events[1]);
    line_deinit(&line);
}

static void a_line_is_a_queue_that_keeps_its_order(void **state)
{
    (void)state;
    struct line line = {0};
    uint32_t first = 0, next = 0;
    for (uint32_t round = 0; round < 3000; round++) {
        if (next < EVENTS && round % 3 != 2) {
            assert_true(line_push(&line, &events[next++]));
        } else if (line.count) {
            line_drop_first(&line);
            first++;
            line_shrink(&line);
        }
        assert_int_equal(line.count, next - first);
        for (uint32_t i = 0; i < line.count; i += 97)
            assert_ptr_equal(line_events(&line)[i], &events[first + i]);
    }
    line_deinit(&line);
}

static void memory_is_given_back_when_most_is_gone(void **state)
{
    (void)state;
    struct line line = {0};
    for (uint32_t i = 0; i < EVENTS; i++)
        assert_true(line_push(&line, &events[i]));
    while (line.count > 10)
        line_drop_first(&line);
    line_shrink(&line);
    assert_true(line.cap <= 20);
    assert_ptr_equal(line_events(&line)[0], &events[EVENTS - 10]);
    while (line.count > 1)
        line_drop_last(&line);
    line_shrink(&line);
    assert_int_equal(line.cap, 0);
    assert_ptr_equal(line_events(&line)[0], &events[EVENTS - 10]);
    line_deinit(&line);
}

static void upto_counts_ids_that_are_at_most(void **state)
{
    (void)state;
    struct line line = {0};
    assert_int_equal(line_upto(&line, 100), 0);
    for (uint32_t i = 0; i < 5; i++)
        assert_true(line_push(&line, &events[i]));
    assert_int_equal(line_upto(&line, 9), 0);
    assert_int_equal(line_upto(&line, 10), 1);
    assert_int_equal(line_upto(&line, 49), 4);
    assert_int_equal(line_upto(&line, 50), 5);
    assert_int_equal(line_upto(&line, UINT64_MAX), 5);
    line_deinit(&line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_of_one_event_needs_no_array),
        cmocka_unit_test(a_line_is_a_queue_that_keeps_its_order),
        cmocka_unit_test(memory_is_given_back_when_most_is_gone),
        cmocka_unit_test(upto_counts_ids_that_are_at_most),
    };
    return cmocka_run_group_tests(tests, make_events, NULL);
}
