#include "log/store/sqlite/reserve.h"

#include "base/say.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { BYTES = 256 << 10 };

static char folder[] = "/tmp/freshet-reserve-XXXXXX";
static char path[64];

static int setup(void **state)
{
    (void)state;
    say_set_level((enum say_level)(SAY_ERROR + 1));
    snprintf(path, sizeof(path), "%s/reserve", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return unlink(path) && access(path, F_OK) == 0;
}

static uint64_t allocated(void)
{
    struct stat info;
    return stat(path, &info) ? 0 : (uint64_t)info.st_blocks * 512;
}

static void room_is_set_aside_given_once_and_set_aside_again(void **state)
{
    (void)state;
    struct reserve reserve;
    reserve_init(&reserve, path, BYTES);
    assert_false(reserve_give(&reserve)); /* nothing yet */
    reserve_make(&reserve);
    assert_true(allocated() >= BYTES);
    assert_false(reserve_is_given(&reserve));
    assert_true(reserve_give(&reserve));
    assert_int_equal(allocated(), 0);
    assert_true(reserve_is_given(&reserve));
    assert_false(reserve_give(&reserve));
    reserve_make(&reserve);
    assert_true(allocated() >= BYTES);
    assert_false(reserve_is_given(&reserve));
    reserve_deinit(&reserve);
}

static void the_reserve_of_an_earlier_run_is_taken_over(void **state)
{
    (void)state;
    struct reserve first, second;
    reserve_init(&first, path, BYTES);
    reserve_make(&first);
    reserve_deinit(&first);
    reserve_init(&second, path, BYTES);
    reserve_make(&second);
    assert_true(reserve_give(&second));
    reserve_deinit(&second);
}

static void on_a_full_disk_no_reserve_is_made_or_given(void **state)
{
    (void)state;
    struct reserve reserve;
    reserve_init(&reserve, path, BYTES);
    reserve.bytes = UINT64_C(1) << 60;
    reserve.measured = true;
    reserve_make(&reserve);
    assert_int_equal(allocated(), 0);
    assert_false(reserve_give(&reserve));
    assert_false(reserve_is_given(&reserve));
    reserve_deinit(&reserve);
}

static void a_reserve_of_nothing_sets_nothing_aside(void **state)
{
    (void)state;
    struct reserve reserve;
    reserve_init(&reserve, path, 0);
    reserve_make(&reserve);
    assert_int_equal(allocated(), 0);
    reserve_deinit(&reserve);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(room_is_set_aside_given_once_and_set_aside_again),
        TEST(the_reserve_of_an_earlier_run_is_taken_over),
        TEST(on_a_full_disk_no_reserve_is_made_or_given),
        TEST(a_reserve_of_nothing_sets_nothing_aside),
    };
    assert_non_null(mkdtemp(folder));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)rmdir(folder);
    return failed;
}
