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
    struct trimmed_ids trimmed_ids;
    trimmed_ids_init(&trimmed_ids);
    assert_int_equal(trimmed_ids_get(&trimmed_ids, 0), 0);
    assert_int_equal(trimmed_ids_get(&trimmed_ids, UINT32_MAX), 0);
    trimmed_ids_deinit(&trimmed_ids);
}

static void a_floor_rises_and_never_falls(void **state)
{
    (void)state;
    struct trimmed_ids trimmed_ids;
    trimmed_ids_init(&trimmed_ids);
    assert_int_equal(trimmed_ids_room(&trimmed_ids, 5000), 0);
    trimmed_ids_raise(&trimmed_ids, 5000, 10);
    trimmed_ids_raise(&trimmed_ids, 5000, 7);
    assert_int_equal(trimmed_ids_get(&trimmed_ids, 5000), 10);
    assert_int_equal(trimmed_ids_get(&trimmed_ids, 4999), 0);
    assert_int_equal(trimmed_ids_get(&trimmed_ids, 5001), 0);
    trimmed_ids_raise(&trimmed_ids, 5000, 11);
    assert_int_equal(trimmed_ids_get(&trimmed_ids, 5000), 11);
    trimmed_ids_deinit(&trimmed_ids);
}

static void the_highest_number_has_a_floor_too(void **state)
{
    (void)state;
    struct trimmed_ids trimmed_ids;
    trimmed_ids_init(&trimmed_ids);
    assert_int_equal(trimmed_ids_room(&trimmed_ids, UINT32_MAX), 0);
    trimmed_ids_raise(&trimmed_ids, UINT32_MAX, UINT64_MAX);
    assert_int_equal(trimmed_ids_get(&trimmed_ids, UINT32_MAX), UINT64_MAX);
    trimmed_ids_deinit(&trimmed_ids);
}

static void without_memory_there_is_no_room(void **state)
{
    (void)state;
    struct trimmed_ids trimmed_ids;
    trimmed_ids_init(&trimmed_ids);
    mem_fail_nth(1);
    assert_int_equal(trimmed_ids_room(&trimmed_ids, 1), -ENOMEM);
    mem_fail_nth(0);
    assert_int_equal(trimmed_ids_room(&trimmed_ids, 1), 0);
    trimmed_ids_deinit(&trimmed_ids);
}

static void *raise_many(void *arg)
{
    struct trimmed_ids *trimmed_ids = arg;
    for (uint32_t i = 1; i <= 20000; i++) {
        if (trimmed_ids_room(trimmed_ids, i) == 0)
            trimmed_ids_raise(trimmed_ids, i, i);
    }
    return NULL;
}

static void many_threads_may_raise_at_once(void **state)
{
    (void)state;
    struct trimmed_ids trimmed_ids;
    pthread_t threads[3];
    trimmed_ids_init(&trimmed_ids);
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, raise_many, &trimmed_ids);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    for (uint32_t i = 1; i <= 20000; i++)
        assert_int_equal(trimmed_ids_get(&trimmed_ids, i), i);
    trimmed_ids_deinit(&trimmed_ids);
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
