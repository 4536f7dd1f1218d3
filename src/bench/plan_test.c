#include "bench/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* plan_read() with these arguments behind the command's name. */
static int read_plan(struct plan *plan, const char *const *arguments, size_t count)
{
    char *argv[24] = {(char *)(uintptr_t) "bench"};
    struct buf why = {0};
    for (size_t i = 0; i < count; i++)
        argv[i + 1] = (char *)(uintptr_t)arguments[i];
    int result = plan_read((int)count + 1, argv, NULL, NULL, plan, &why);
    assert_true(!result == !why.len);
    buf_free(&why);
    return result;
}

#define READ(plan, ...)                                                                            \
    read_plan(plan, (const char *const[]){__VA_ARGS__},                                            \
              sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void without_arguments_the_load_is_modest(void **state)
{
    (void)state;
    struct plan plan;
    assert_int_equal(read_plan(&plan, NULL, 0), 0);
    assert_int_equal(plan.mechanism, MECHANISM_SSE);
    assert_int_equal(plan.groups[GROUP_SINGLE], 100);
    assert_int_equal(plan.rate, 100);
    assert_true(str_eq(plan.url.port, STR("7070")));
    assert_true(str_eq(plan.publish_url.port, STR("7070")));
}

static void arguments_replace_the_defaults(void **state)
{
    (void)state;
    struct plan plan;
    assert_int_equal(READ(&plan, "http://h:1/b", "--via", "ws", "--flat-out", "--subscribers", "0",
                          "--pid", "7", "--pid=8", "--target", "nchan", "--publish-url",
                          "http://h:2"),
                     0);
    assert_int_equal(plan.mechanism, MECHANISM_WS);
    assert_int_equal(plan.target, TARGET_NCHAN);
    assert_int_equal(plan.rate, 0);
    assert_int_equal(plan_subscribers(&plan), 0);
    assert_int_equal(plan.pid_count, 2);
    assert_int_equal(plan.pids[1], 8);
    assert_true(str_eq(plan.url.path, STR("/b")));
    assert_true(str_eq(plan.publish_url.port, STR("2")));
}

static void plans_that_cannot_be_measured_are_refused(void **state)
{
    (void)state;
    struct plan plan;
    assert_int_not_equal(READ(&plan, "--via", "fax"), 0);
    assert_int_not_equal(READ(&plan, "--target", "redis"), 0);
    assert_int_not_equal(READ(&plan, "--size", "39"), 0);
    assert_int_not_equal(READ(&plan, "--pid", "x"), 0);
    assert_int_not_equal(READ(&plan, "--pid", "0"), 0);
    assert_int_not_equal(READ(&plan, "ftp://a"), 0);
    assert_int_not_equal(READ(&plan, "http://a", "http://b"), 0);
    assert_int_not_equal(READ(&plan, "--wide", "1", "--channels", "101"), 0);
    assert_int_not_equal(READ(&plan, "--late", "1", "--publishers", "2"), 0);
    assert_int_not_equal(READ(&plan, "--matching", "all"), 0);
    assert_int_not_equal(
        READ(&plan, "--matching", "names", "--subscribers", "56", "--channels", "10"), 0);
    assert_int_not_equal(READ(&plan, "--channels", "100000000", "--publishers", "100"), 0);
    assert_int_not_equal(READ(&plan, "--batch", "2", "--target", "nchan"), 0);
    assert_int_not_equal(READ(&plan, "--batch", "2", "--waves", "2"), 0);
    assert_int_not_equal(READ(&plan, "--batch", "2", "--events", "3"), 0);
    assert_int_not_equal(READ(&plan, "--batch", "2", "--size", "63"), 0);
    assert_int_not_equal(READ(&plan, "--batch", "10001"), 0);
}

static void matching_gives_ten_channels_one_to_ten_subscribers(void **state)
{
    (void)state;
    struct plan plan;
    assert_int_equal(
        READ(&plan, "--matching", "patterns", "--subscribers", "110", "--channels", "20"), 0);
    unsigned seats[20] = {0};
    for (uint64_t i = 0; i < 110; i++) {
        struct plan_seat seat = plan_seat(&plan, GROUP_SINGLE, i);
        assert_true(seat.channel < 20);
        assert_int_equal(seat.nth, seats[seat.channel]++);
    }
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(seats[i], i % 10 + 1);
}

static void with_latecomers_the_first_channel_is_theirs(void **state)
{
    (void)state;
    struct plan plan;
    assert_int_equal(READ(&plan, "--late", "3", "--channels", "3"), 0);
    assert_int_equal(plan_first_live(&plan), 1);
    for (uint64_t i = 0; i < 9; i++) {
        assert_int_equal(plan_seat(&plan, GROUP_LATE, i).channel, 0);
        assert_int_equal(plan_seat(&plan, GROUP_SINGLE, i).channel, 1 + i % 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_arguments_the_load_is_modest),
        cmocka_unit_test(arguments_replace_the_defaults),
        cmocka_unit_test(plans_that_cannot_be_measured_are_refused),
        cmocka_unit_test(matching_gives_ten_channels_one_to_ten_subscribers),
        cmocka_unit_test(with_latecomers_the_first_channel_is_theirs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
