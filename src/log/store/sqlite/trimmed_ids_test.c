#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "log/store/sqlite/trimmed_ids.h"

#include "base/mem.h"

#include <errno.h>
#include <pthread.h>

static void a_channel_that_was_never_trimmed_has_floor_0(void **state)
{
    (void)state;
    struct floors floors;
    floors_init(&floors);
    assert_int_equal(floors_get(&floors, 0), 0);
    assert_int_equal(floors_get(&floors, UINT32_MAX), 0);
    floors_deinit(&floors);
}

static void a_floor_rises_and_never_falls(void **state)
{
    (void)state;
    struct floors floors;
    floors_init(&floors);
    assert_int_equal(floors_room(&floors, 5000), 0);
    floors_raise(&floors, 5000, 10);
    floors_raise(&floors, 5000, 7);
    assert_int_equal(floors_get(&floors, 5000), 10);
    assert_int_equal(floors_get(&floors, 4999), 0);
    assert_int_equal(floors_get(&floors, 5001), 0);
    floors_raise(&floors, 5000, 11);
    assert_int_equal(floors_get(&floors, 5000), 11);
    floors_deinit(&floors);
}

static void the_highest_number_has_a_floor_too(void **state)
{
    (void)state;
    struct floors floors;
    floors_init(&floors);
    assert_int_equal(floors_room(&floors, UINT32_MAX), 0);
    floors_raise(&floors, UINT32_MAX, UINT64_MAX);
    assert_int_equal(floors_get(&floors, UINT32_MAX), UINT64_MAX);
    floors_deinit(&floors);
}

static void without_memory_there_is_no_room(void **state)
{
    (void)state;
    struct floors floors;
    floors_init(&floors);
    mem_fail_nth(1);
    assert_int_equal(floors_room(&floors, 1), -ENOMEM);
    mem_fail_nth(0);
    assert_int_equal(floors_room(&floors, 1), 0);
    floors_deinit(&floors);
}

static void *raise_many(void *arg)
{
    struct floors *floors = arg;
    for (uint32_t i = 1; i <= 20000; i++) {
        if (floors_room(floors, i) == 0)
            floors_raise(floors, i, i);
    }
    return NULL;
}

static void many_threads_may_raise_at_once(void **state)
{
    (void)state;
    struct floors floors;
    pthread_t threads[3];
    floors_init(&floors);
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, raise_many, &floors);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    for (uint32_t i = 1; i <= 20000; i++)
        assert_int_equal(floors_get(&floors, i), i);
    floors_deinit(&floors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_channel_that_was_never_trimmed_has_floor_0),
        cmocka_unit_test(a_floor_rises_and_never_falls),
        cmocka_unit_test(the_highest_number_has_a_floor_too),
        cmocka_unit_test(without_memory_there_is_no_room),
        cmocka_unit_test(many_threads_may_raise_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
