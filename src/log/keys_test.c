#include "log/keys.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static struct event_key key_of(unsigned n)
{
    struct event_key key = {.content = n};
    snprintf((char *)key.key, sizeof(key.key), "key %u", n);
    return key;
}

static void add(struct keys *keys, unsigned n, int64_t time_us)
{
    struct event_key key = key_of(n);
    assert_int_equal(keys_add(keys, &key, 100 + n, time_us), 0);
}

static bool has(const struct keys *keys, unsigned n)
{
    struct event_key key = key_of(n);
    const struct keys_entry *entry = keys_find(keys, &key);
    if (entry) {
        assert_int_equal(entry->id, 100 + n);
        assert_int_equal(entry->key.content, n);
    }
    return entry != NULL;
}

static void a_key_is_known_for_its_life_and_no_longer(void **state)
{
    (void)state;
    struct keys keys;
    keys_init(&keys, 10, 100);
    add(&keys, 1, 0);
    add(&keys, 2, 5);
    keys_expire(&keys, 9);
    assert_true(has(&keys, 1));
    keys_expire(&keys, 10);
    assert_false(has(&keys, 1));
    assert_true(has(&keys, 2));
    keys_expire(&keys, 15);
    assert_int_equal(keys.map.count, 0);
    keys_deinit(&keys);
}

static void beyond_the_most_that_may_be_a_key_is_refused(void **state)
{
    (void)state;
    struct keys keys;
    struct event_key third = key_of(3);
    keys_init(&keys, 10, 2);
    add(&keys, 1, 0);
    add(&keys, 2, 1);
    assert_int_equal(keys_add(&keys, &third, 1, 2), KEYS_E_FULL);
    keys_expire(&keys, 10);
    add(&keys, 3, 10);
    keys_deinit(&keys);
}

static void a_key_taken_back_was_never_there(void **state)
{
    (void)state;
    struct keys keys;
    struct event_key first = key_of(1), other = key_of(2);
    keys_init(&keys, 10, 100);
    add(&keys, 1, 0);
    keys_remove(&keys, &other);
    assert_true(has(&keys, 1));
    keys_remove(&keys, &first);
    assert_false(has(&keys, 1));
    add(&keys, 1, 3);
    assert_true(has(&keys, 1));
    keys_deinit(&keys);
}

static void without_memory_a_key_is_not_noted(void **state)
{
    (void)state;
    struct keys keys;
    struct event_key first = key_of(1);
    keys_init(&keys, 10, 100);
    mem_fail_nth(1);
    assert_int_equal(keys_add(&keys, &first, 101, 0), -ENOMEM);
    assert_false(has(&keys, 1));
    keys_deinit(&keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_known_for_its_life_and_no_longer),
        cmocka_unit_test(beyond_the_most_that_may_be_a_key_is_refused),
        cmocka_unit_test(a_key_taken_back_was_never_there),
        cmocka_unit_test(without_memory_a_key_is_not_noted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
