#include "base/bucket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MS(n) ((n)*INT64_C(1000000))
#define START MS(5000000)

/* Ten in a second. */
static const struct bucket_rate ten = {10, MS(1000)};

static void takes_follow_the_table(void **state)
{
    (void)state;
    static const struct {
        int64_t at_ms;
        uint64_t amount;
        int64_t wait_ms; /* 0: given */
    } rows[] = {
        {0, 4, 0},      {0, 6, 0},        {0, 1, 100},    {0, 10, 1000}, {99, 1, 1},
        {100, 1, 0},    {100, 1, 100},    {300, 3, 100},  {300, 2, 0},   {1300, 10, 0},
        {1300, 1, 100}, {9000, 10, 0},    {9000, 1, 100}, /* a long rest gives no more than a full
                                                             one */
        {20000, 25, 0}, {20000, 1, 1600}, {22400, 1, 0},  /* more than it holds, which it owes */
        {30000, 0, 0},
    };
    struct bucket bucket = {0};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t wait_ns = 0;
        bool given =
            bucket_take(&bucket, &ten, rows[i].amount, START + MS(rows[i].at_ms), &wait_ns);
        assert_int_equal(given, !rows[i].wait_ms);
        assert_int_equal(wait_ns, MS(rows[i].wait_ms));
    }
}

static void an_amount_is_given_after_the_wait_and_not_before(void **state)
{
    (void)state;
    for (uint64_t amount = 1; amount <= 30; amount++) {
        struct bucket bucket = {0};
        int64_t wait_ns = 0, again_ns;
        assert_true(bucket_take(&bucket, &ten, 7, START, &wait_ns));
        if (bucket_take(&bucket, &ten, amount, START, &wait_ns))
            continue;
        assert_false(bucket_take(&bucket, &ten, amount, START + wait_ns - 1, &again_ns));
        assert_true(bucket_take(&bucket, &ten, amount, START + wait_ns, &again_ns));
    }
}

static void a_given_back_amount_can_be_taken_again(void **state)
{
    (void)state;
    struct bucket bucket = {0};
    int64_t wait_ns;
    for (int i = 0; i < 1000; i++) {
        assert_true(bucket_take(&bucket, &ten, 10, START, &wait_ns));
        bucket_give(&bucket, &ten, 10);
    }
    assert_true(bucket_is_full(&bucket, START));
}

static void the_rate_holds_over_a_long_time(void **state)
{
    (void)state;
    struct bucket bucket = {0};
    int64_t wait_ns;
    unsigned given = 0;
    for (int64_t ms = 0; ms < 100000; ms++)
        given += bucket_take(&bucket, &ten, 1, START + MS(ms), &wait_ns);
    assert_in_range(given, 1000, 1010); /* ten a second, and the full bucket at first */
}

static void a_huge_amount_does_not_overflow(void **state)
{
    (void)state;
    struct bucket bucket = {0};
    const struct bucket_rate slow = {1, MS(3600000)};
    int64_t wait_ns = 0;
    assert_true(bucket_take(&bucket, &slow, UINT64_MAX, START, &wait_ns));
    assert_false(bucket_take(&bucket, &slow, UINT64_MAX, START, &wait_ns));
    assert_true(wait_ns > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_follow_the_table),
        cmocka_unit_test(an_amount_is_given_after_the_wait_and_not_before),
        cmocka_unit_test(a_given_back_amount_can_be_taken_again),
        cmocka_unit_test(the_rate_holds_over_a_long_time),
        cmocka_unit_test(a_huge_amount_does_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
