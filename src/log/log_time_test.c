#include "log/log_time.h"

#include "base/mem.h"
#include "base/say.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define START INT64_C(1700000000000000)
#define S INT64_C(1000000)
#define HOUR (3600 * S)
#define YEAR (8766 * HOUR)

struct fixture {
    struct clock_fake clock;
    struct log_time time;
};

static struct fixture begin(int64_t newest_us)
{
    struct fixture fixture;
    say_set_level((enum say_level)(SAY_ERROR + 1));
    clock_fake_init(&fixture.clock, START);
    fixture.clock.monotonic_ns = 77 * S * 1000; /* unrelated to the wall time */
    log_time_init(&fixture.time, &fixture.clock.clock, newest_us);
    return fixture;
}

/* The fixture is copied on return, with the clock's address in it. */
static void bind(struct fixture *fixture)
{
    fixture->time.clock.clock = &fixture->clock.clock;
}

static int64_t after(struct fixture *fixture, int64_t us)
{
    clock_fake_advance(&fixture->clock, us);
    return log_time_read(&fixture->time);
}

/* Lets time pass, with a reading each second, as the trimmer does. */
static int64_t pass(struct fixture *fixture, int64_t us)
{
    int64_t now = 0;
    for (; us > 0; us -= S) {
        int64_t before = fixture->time.last_us;
        now = after(fixture, us < S ? us : S);
        assert_true(now >= before);
    }
    return now;
}

static void without_jumps_log_time_is_wall_time(void **state)
{
    (void)state;
    struct fixture fixture = begin(0);
    bind(&fixture);
    assert_int_equal(after(&fixture, 5 * S), START + 5 * S);
    assert_int_equal(log_time_before(&fixture.time, 2 * S), START + 3 * S);
    assert_int_equal(log_time_before(&fixture.time, HOUR), START + 5 * S - HOUR);
    assert_int_equal(after(&fixture, HOUR), START + 5 * S + HOUR);
    assert_int_equal(log_time_before(&fixture.time, HOUR), START + 5 * S);
}

static void a_short_jump_leaves_no_trace(void **state)
{
    (void)state;
    static const int64_t jumps[] = {48 * HOUR, 10 * YEAR, -48 * HOUR, -50 * YEAR, 2 * S, -2 * S};
    for (size_t i = 0; i < sizeof(jumps) / sizeof(*jumps); i++) {
        struct fixture fixture = begin(0);
        bind(&fixture);
        pass(&fixture, 60 * S);
        fixture.clock.wall_us += jumps[i];
        assert_int_equal(after(&fixture, S), START + 61 * S);
        assert_int_equal(log_time_before(&fixture.time, 30 * S), START + 31 * S);
        assert_int_equal(log_time_before(&fixture.time, HOUR), START + 61 * S - HOUR);
        fixture.clock.wall_us -= jumps[i];
        assert_int_equal(pass(&fixture, 60 * S), START + 121 * S);
    }
}

static void a_jump_that_lasts_moves_times_and_no_ages(void **state)
{
    (void)state;
    struct fixture fixture = begin(0);
    bind(&fixture);
    int64_t first = after(&fixture, 60 * S);
    fixture.clock.wall_us += 10 * YEAR;
    pass(&fixture, 60 * S);
    int64_t second = after(&fixture, S);
    assert_int_equal(second, START + 10 * YEAR + 121 * S);
    assert_true(log_time_before(&fixture.time, HOUR) < START);
    pass(&fixture, HOUR - 62 * S);
    assert_true(log_time_before(&fixture.time, HOUR) < first);
    pass(&fixture, S);
    assert_true(log_time_before(&fixture.time, HOUR) >= first);
    assert_true(log_time_before(&fixture.time, HOUR) < second);
    pass(&fixture, 61 * S);
    assert_true(log_time_before(&fixture.time, HOUR) >= second);
}

/* After a jump back by ten years log time runs slowly, and each event still has its own age. */
static void a_jump_back_that_lasts_neither_stops_ages_nor_lets_time_fall(void **state)
{
    (void)state;
    struct fixture fixture = begin(0);
    bind(&fixture);
    pass(&fixture, 60 * S);
    fixture.clock.wall_us -= 10 * YEAR;
    int64_t first = pass(&fixture, 60 * S), second = pass(&fixture, 60 * S);
    assert_true(first < second);
    pass(&fixture, HOUR - 60 * S);
    assert_true(log_time_before(&fixture.time, HOUR) >= first);
    assert_true(log_time_before(&fixture.time, HOUR) < second);
    pass(&fixture, 60 * S);
    assert_true(log_time_before(&fixture.time, HOUR) >= second);
}

static void after_a_small_jump_back_log_time_meets_the_clock_again(void **state)
{
    (void)state;
    struct fixture fixture = begin(0);
    bind(&fixture);
    pass(&fixture, 60 * S);
    fixture.clock.wall_us -= 30 * S;
    pass(&fixture, 20 * S);
    assert_true(fixture.time.last_us > fixture.clock.wall_us);
    int64_t met = pass(&fixture, 60 * S);
    assert_int_equal(met, fixture.clock.wall_us);
}

static void forth_and_back_for_a_minute_each_keeps_every_age(void **state)
{
    (void)state;
    enum { TURNS = 3 * LOG_TIME_PIECES };
    struct fixture fixture = begin(0);
    bind(&fixture);
    int64_t given[TURNS];
    for (int i = 0; i < TURNS; i++) {
        fixture.clock.wall_us += i % 2 ? -48 * HOUR : 48 * HOUR;
        given[i] = pass(&fixture, 60 * S);
        assert_true(!i || given[i] > given[i - 1]);
        /* No event counts as an hour old before it is. */
        for (int j = 0; j <= i; j++)
            if ((i - j) * (60 * S) < HOUR)
                assert_true(log_time_before(&fixture.time, HOUR) < given[j]);
    }
    assert_true(fixture.time.pieces_count <= LOG_TIME_PIECES);
    pass(&fixture, HOUR);
    assert_true(log_time_before(&fixture.time, HOUR) >= given[TURNS - 1]);
}

/* Events that an earlier run stored with times in the future are as old as this run; the others are
 * as old as the clock says. */
static void times_of_the_future_count_from_the_start(void **state)
{
    (void)state;
    int64_t newest = START + 10 * YEAR;
    struct fixture fixture = begin(newest);
    bind(&fixture);
    assert_true(after(&fixture, S) >= newest);
    assert_int_equal(log_time_before(&fixture.time, HOUR), START + S - HOUR);
    int64_t given = pass(&fixture, S);
    pass(&fixture, HOUR - 3 * S);
    assert_true(log_time_before(&fixture.time, HOUR) < newest);
    pass(&fixture, S);
    assert_true(log_time_before(&fixture.time, HOUR) >= newest);
    assert_true(log_time_before(&fixture.time, HOUR) < given);
    pass(&fixture, 2 * S);
    assert_true(log_time_before(&fixture.time, HOUR) >= given);
}

static void a_clock_that_is_set_after_the_start_deletes_nothing(void **state)
{
    (void)state;
    int64_t newest = START + 50 * YEAR; /* a machine without a battery wakes up long ago */
    struct fixture fixture = begin(newest);
    bind(&fixture);
    pass(&fixture, 20 * S);
    fixture.clock.wall_us += 50 * YEAR + HOUR;
    pass(&fixture, 30 * S);
    assert_int_equal(fixture.time.last_us, fixture.clock.wall_us);
    assert_true(log_time_before(&fixture.time, HOUR) < newest);
    pass(&fixture, HOUR);
    assert_true(log_time_before(&fixture.time, HOUR) >= newest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_jumps_log_time_is_wall_time),
        cmocka_unit_test(a_short_jump_leaves_no_trace),
        cmocka_unit_test(a_jump_that_lasts_moves_times_and_no_ages),
        cmocka_unit_test(a_jump_back_that_lasts_neither_stops_ages_nor_lets_time_fall),
        cmocka_unit_test(after_a_small_jump_back_log_time_meets_the_clock_again),
        cmocka_unit_test(forth_and_back_for_a_minute_each_keeps_every_age),
        cmocka_unit_test(times_of_the_future_count_from_the_start),
        cmocka_unit_test(a_clock_that_is_set_after_the_start_deletes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
