#include "base/sparing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MS(n) ((n)*INT64_C(1000000))

static void some_lines_are_written_at_once_and_then_one_a_second(void **state)
{
    (void)state;
    struct sparing sparing = {0};
    uint64_t left_out = 7;
    for (int i = 0; i < SPARING_AT_ONCE; i++) {
        assert_true(sparing_may(&sparing, MS(5000), &left_out));
        assert_int_equal(left_out, 0);
    }
    for (int i = 0; i < 1000; i++)
        assert_false(sparing_may(&sparing, MS(5000), &left_out));
    assert_false(sparing_may(&sparing, MS(5999), &left_out));
    assert_true(sparing_may(&sparing, MS(6000), &left_out));
    assert_int_equal(left_out, 1001);
    assert_false(sparing_may(&sparing, MS(6000), &left_out));
    assert_true(sparing_may(&sparing, MS(7000), &left_out));
    assert_int_equal(left_out, 1);
}

static void after_a_quiet_time_as_many_are_written_as_at_first(void **state)
{
    (void)state;
    struct sparing sparing = {0};
    uint64_t left_out;
    for (int round = 0; round < 3; round++) {
        int written = 0;
        for (int i = 0; i < 100; i++)
            written += sparing_may(&sparing, MS(INT64_C(100000) * (1 + round)), &left_out);
        assert_int_equal(written, SPARING_AT_ONCE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(some_lines_are_written_at_once_and_then_one_a_second),
        cmocka_unit_test(after_a_quiet_time_as_many_are_written_as_at_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
