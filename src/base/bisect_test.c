#include "base/bisect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { MOST = 9 };

static size_t first_at_least(const unsigned *sorted, size_t low, size_t high, unsigned least)
{
    BISECT(low, high, middle, sorted[middle] < least);
    assert_int_equal(low, high);
    return low;
}

static void the_first_that_is_not_before_is_found_in_every_part_of_a_list(void **state)
{
    (void)state;
    static const unsigned sorted[MOST] = {0, 1, 1, 1, 4, 5, 5, 8, 8};
    for (size_t from = 0; from <= MOST; from++)
        for (size_t end = from; end <= MOST; end++)
            for (unsigned least = 0; least <= MOST; least++) {
                size_t want = from;
                while (want < end && sorted[want] < least)
                    want++;
                assert_int_equal(first_at_least(sorted, from, end, least), want);
            }
}

static void indexes_may_be_as_large_as_their_type(void **state)
{
    (void)state;
    uint16_t small = 0, small_end = UINT16_MAX;
    uint64_t large = 1, large_end = UINT64_MAX;
    BISECT(small, small_end, middle, middle < UINT16_MAX - 1);
    BISECT(large, large_end, middle, middle < UINT64_MAX);
    assert_int_equal(small, UINT16_MAX - 1);
    assert_true(large == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_that_is_not_before_is_found_in_every_part_of_a_list),
        cmocka_unit_test(indexes_may_be_as_large_as_their_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
