#include "base/steady.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define START INT64_C(1700000000000000)
#define S INT64_C(1000000)

static struct clock_fake fake;
static struct steady steady;

static int setup(void **state)
{
    (void)state;
    clock_fake_init(&fake, START);
    fake.monotonic_ns = 5;
    steady_init(&steady, &fake.clock);
    return 0;
}

static enum steady_event after(int64_t us)
{
    clock_fake_advance(&fake, us);
    return steady_read(&steady);
}

static void a_calm_clock_is_followed(void **state)
{
    (void)state;
    assert_int_equal(after(3600 * S), STEADY_CALM);
    assert_int_equal(steady.wall_us, fake.wall_us);
    fake.wall_us += S / 2; /* too small for an event */
    assert_int_equal(after(S), STEADY_CALM);
    assert_int_equal(steady.wall_us, fake.wall_us);
}

static void a_short_jump_is_told_once_and_not_followed(void **state)
{
    (void)state;
    for (int way = -1; way <= 1; way += 2) {
        int64_t before = fake.wall_us;
        fake.wall_us += way * (172800 * S);
        assert_int_equal(after(S), STEADY_DOUBTED);
        assert_int_equal(steady.jump_us, way * (172800 * S));
        assert_int_equal(after(8 * S), STEADY_CALM);
        assert_int_equal(steady.wall_us, before + 9 * S);
        fake.wall_us -= way * (172800 * S);
        assert_int_equal(after(60 * S), STEADY_CALM);
        assert_int_equal(steady.wall_us, fake.wall_us);
    }
}

static void a_jump_that_lasts_is_believed(void **state)
{
    (void)state;
    fake.wall_us -= 3600 * S;
    assert_int_equal(after(S), STEADY_DOUBTED);
    assert_int_equal(after(9 * S), STEADY_CALM);
    assert_int_equal(after(S), STEADY_BELIEVED);
    assert_int_equal(steady.jump_us, -3600 * S);
    assert_int_equal(steady.wall_us, fake.wall_us);
    assert_int_equal(after(S), STEADY_CALM);
    assert_int_equal(steady.wall_us, fake.wall_us);
}

static void a_clock_that_jumps_about_is_never_believed(void **state)
{
    (void)state;
    int64_t start = fake.wall_us;
    for (int i = 1; i <= 10; i++) {
        fake.wall_us += 100 * S;
        assert_int_equal(after(9 * S), STEADY_DOUBTED);
        assert_int_equal(steady.wall_us, start + i * (9 * S));
    }
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_calm_clock_is_followed),
        TEST(a_short_jump_is_told_once_and_not_followed),
        TEST(a_jump_that_lasts_is_believed),
        TEST(a_clock_that_jumps_about_is_never_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
