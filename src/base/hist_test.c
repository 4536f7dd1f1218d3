#include "base/hist.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <pthread.h>
#include <stdbool.h>

static void an_empty_histogram_says_0(void **state)
{
    (void)state;
    struct hist hist = {0};
    assert_int_equal(hist_quantile(&hist, 0), 0);
    assert_int_equal(hist_quantile(&hist, 0.5), 0);
    assert_int_equal(hist_quantile(&hist, 1), 0);
    assert_int_equal(hist_count_le(&hist, UINT64_MAX), 0);
}

static void a_single_value_is_every_quantile(void **state)
{
    (void)state;
    const uint64_t values[] = {0, 1, 7, 8, 100, 123456789, UINT64_MAX};
    for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
        struct hist hist = {0};
        hist_add(&hist, values[i], 3);
        assert_true(hist_quantile(&hist, 0) == values[i]);
        assert_true(hist_quantile(&hist, 0.5) == values[i]);
        assert_true(hist_quantile(&hist, 1) == values[i]);
        assert_int_equal(hist.count, 3);
    }
}

/* Each value beside one that is larger by far, so that the maximum does not cap the answer. */
static void a_quantile_is_at_most_an_eighth_too_high(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 62; bit++) {
        for (uint64_t part = 0; part < 64; part++) {
            uint64_t value = ((uint64_t)1 << bit) + (((uint64_t)1 << bit) * part) / 64;
            struct hist hist = {0};
            hist_add(&hist, value, 1);
            hist_add(&hist, UINT64_MAX, 1);
            uint64_t found = hist_quantile(&hist, 0.5);
            assert_true(found >= value);
            assert_true(found - value <= value / 8);
        }
    }
}

static void small_values_are_exact(void **state)
{
    (void)state;
    struct hist hist = {0};
    for (uint64_t value = 0; value < 16; value++)
        hist_add(&hist, value, 1);
    for (int i = 0; i < 16; i++)
        assert_int_equal(hist_quantile(&hist, (i + 1) / 16.0), i);
}

static void quantiles_count_as_they_should(void **state)
{
    (void)state;
    struct hist hist = {0};
    hist_add(&hist, 1, 50);
    hist_add(&hist, 2, 49);
    hist_add(&hist, 3, 1);
    assert_int_equal(hist_quantile(&hist, 0), 1);
    assert_int_equal(hist_quantile(&hist, 0.5), 1);
    assert_int_equal(hist_quantile(&hist, 0.501), 2);
    assert_int_equal(hist_quantile(&hist, 0.99), 2);
    assert_int_equal(hist_quantile(&hist, 0.991), 3);
    assert_int_equal(hist_quantile(&hist, 1), 3);
}

static void quantiles_of_a_thousand_lie_close(void **state)
{
    (void)state;
    struct hist hist = {0};
    for (uint64_t value = 1; value <= 1000; value++)
        hist_add(&hist, value, 1);
    assert_in_range(hist_quantile(&hist, 0.5), 500, 562);
    assert_in_range(hist_quantile(&hist, 0.9), 900, 1000);
    assert_in_range(hist_quantile(&hist, 0.99), 990, 1000);
    assert_int_equal(hist_quantile(&hist, 1), 1000);
    assert_int_equal(hist.sum, 500500);
    assert_int_equal(hist.max, 1000);
}

static void a_quantile_outside_of_0_and_1_is_the_nearest(void **state)
{
    (void)state;
    struct hist hist = {0};
    hist_add(&hist, 1, 1);
    hist_add(&hist, 5, 1);
    assert_int_equal(hist_quantile(&hist, -1), 1);
    assert_int_equal(hist_quantile(&hist, 2), 5);
    assert_int_equal(hist_quantile(&hist, (double)INFINITY), 5);
    assert_int_equal(hist_quantile(&hist, (double)NAN), 1);
}

static void no_observations_change_nothing(void **state)
{
    (void)state;
    struct hist hist = {0};
    hist_add(&hist, 1000, 0);
    assert_int_equal(hist.max, 0);
    assert_int_equal(hist.count, 0);
}

static void counting_up_to_a_value_never_flatters(void **state)
{
    (void)state;
    struct hist hist = {0};
    for (uint64_t value = 0; value < 1000; value++)
        hist_add(&hist, value, 1);
    uint64_t before = 0;
    for (uint64_t value = 0; value < 1100; value++) {
        uint64_t truth = value < 1000 ? value + 1 : 1000;
        uint64_t count = hist_count_le(&hist, value);
        assert_true(count <= truth);
        assert_true(count >= before);
        assert_true(truth - count <= truth / 8 + 1);
        before = count;
    }
    assert_int_equal(hist_count_le(&hist, 7), 8);
    assert_int_equal(hist_count_le(&hist, 999), 1000);
    assert_int_equal(hist_count_le(&hist, UINT64_MAX), 1000);
}

static void the_ends_of_the_range_have_buckets(void **state)
{
    (void)state;
    struct hist hist = {0};
    hist_add(&hist, 0, 2);
    hist_add(&hist, UINT64_MAX, 3);
    assert_int_equal(hist_count_le(&hist, 0), 2);
    assert_int_equal(hist_count_le(&hist, UINT64_MAX - 1), 2);
    assert_int_equal(hist_count_le(&hist, UINT64_MAX), 5);
}

static void merging_adds_everything(void **state)
{
    (void)state;
    struct hist a = {0}, b = {0};
    hist_add(&a, 1, 10);
    hist_add(&a, 9, 1);
    hist_add(&b, 5, 30);
    hist_merge(&a, &b);
    assert_int_equal(a.count, 41);
    assert_int_equal(a.sum, 169);
    assert_int_equal(a.max, 9);
    assert_int_equal(hist_quantile(&a, 0.5), 5);
    assert_int_equal(hist_quantile(&a, 1), 9);
    assert_int_equal(b.count, 30);
    hist_merge(&b, &a);
    assert_int_equal(b.max, 9);
}

enum { WRITES = 200000 };

struct race {
    struct hist hist;
    _Atomic bool done;
};

static void *write_many(void *arg)
{
    struct race *race = arg;
    for (uint64_t i = 0; i < WRITES; i++)
        hist_add(&race->hist, i % 1000, 1);
    race->done = true;
    return NULL;
}

static void a_difference_tells_only_values_added_since_the_copy(void **state)
{
    (void)state;
    static struct hist now, before, since;
    hist_add(&now, 1000, 10);
    hist_merge(&before, &now);
    hist_since(&since, &now, &before);
    assert_int_equal(since.count, 0);
    assert_int_equal(hist_quantile(&since, 0.5), 0);
    hist_add(&now, 100, 3);
    hist_since(&since, &now, &before);
    assert_int_equal(since.count, 3);
    assert_int_equal(hist_count_le(&since, UINT64_MAX), 3);
    assert_in_range(hist_quantile(&since, 0.99), 100, 112);
    assert_in_range(since.max, 100, 112);
    assert_int_equal(since.sum, 300);
}

static void another_thread_may_read_at_any_time(void **state)
{
    (void)state;
    static struct race race;
    pthread_t writer;
    assert_int_equal(pthread_create(&writer, NULL, write_many, &race), 0);
    while (!race.done) {
        assert_true(hist_quantile(&race.hist, 0.99) <= 999);
        assert_true(hist_count_le(&race.hist, UINT64_MAX) <= WRITES);
    }
    pthread_join(writer, NULL);
    assert_int_equal(hist_count_le(&race.hist, UINT64_MAX), WRITES);
    assert_int_equal(race.hist.count, WRITES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_histogram_says_0),
        cmocka_unit_test(a_single_value_is_every_quantile),
        cmocka_unit_test(a_quantile_is_at_most_an_eighth_too_high),
        cmocka_unit_test(small_values_are_exact),
        cmocka_unit_test(quantiles_count_as_they_should),
        cmocka_unit_test(quantiles_of_a_thousand_lie_close),
        cmocka_unit_test(a_quantile_outside_of_0_and_1_is_the_nearest),
        cmocka_unit_test(no_observations_change_nothing),
        cmocka_unit_test(counting_up_to_a_value_never_flatters),
        cmocka_unit_test(the_ends_of_the_range_have_buckets),
        cmocka_unit_test(merging_adds_everything),
        cmocka_unit_test(a_difference_tells_only_values_added_since_the_copy),
        cmocka_unit_test(another_thread_may_read_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
