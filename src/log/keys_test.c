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

static void an_expired_key_is_absent_at_once(void **state)
{
    (void)state;
    struct keys keys;
    keys_init(&keys, 100);
    add(&keys, 1, 0);
    add(&keys, 2, 5);
    assert_true(has(&keys, 1));
    keys_expire(&keys, 0);
    assert_false(has(&keys, 1));
    assert_true(has(&keys, 2));
    keys_expire(&keys, -1); /* the expiry never falls */
    assert_false(has(&keys, 1));
    add(&keys, 1, 6); /* the same key, with another event */
    assert_true(has(&keys, 1));
    keys_expire(&keys, 5);
    assert_true(has(&keys, 1));
    assert_false(has(&keys, 2));
    keys_deinit(&keys);
}

static void many_keys_that_expire_at_once_are_freed_a_few_at_a_time(void **state)
{
    (void)state;
    enum { MANY = 1000 };
    struct keys keys;
    keys_init(&keys, MANY);
    for (unsigned n = 0; n < MANY; n++)
        add(&keys, n, 0);
    keys_expire(&keys, 0);
    assert_int_equal(keys.map.count, MANY);
    assert_false(has(&keys, 0));
    add(&keys, MANY, 1); /* though the table is full of expired keys */
    assert_int_equal(keys.map.count, MANY - 1);
    assert_true(keys_free_expired(&keys, 100));
    assert_int_equal(keys.map.count, MANY - 101);
    for (unsigned n = 1; n < MANY; n++)
        add(&keys, MANY + n, 1);
    assert_false(keys_free_expired(&keys, 1));
    assert_int_equal(keys.map.count, MANY);
    assert_true(has(&keys, MANY));
    keys_deinit(&keys);
}

static void beyond_the_most_that_may_be_a_key_is_refused(void **state)
{
    (void)state;
    struct keys keys;
    struct event_key third = key_of(3);
    keys_init(&keys, 2);
    add(&keys, 1, 0);
    add(&keys, 2, 1);
    assert_int_equal(keys_add(&keys, &third, 1, 2), KEYS_E_FULL);
    keys_expire(&keys, 0);
    add(&keys, 3, 10);
    keys_deinit(&keys);
}

static void loading_drops_the_oldest_for_lack_of_room(void **state)
{
    (void)state;
    struct keys keys;
    uint64_t dropped = 0;
    keys_init(&keys, 2);
    for (unsigned n = 0; n < 5; n++) {
        struct event_key key = key_of(n);
        assert_int_equal(keys_load(&keys, &key, 100 + n, n, &dropped), 0);
    }
    assert_int_equal(dropped, 3);
    assert_false(has(&keys, 2));
    assert_true(has(&keys, 3));
    struct event_key again = key_of(3);
    assert_int_equal(keys_load(&keys, &again, 200, 9, &dropped), 0);
    assert_int_equal(keys_find(&keys, &again)->id, 200);
    assert_int_equal(dropped, 3);
    keys_deinit(&keys);
}

static void a_key_taken_back_was_never_there(void **state)
{
    (void)state;
    struct keys keys;
    struct event_key first = key_of(1), other = key_of(2);
    keys_init(&keys, 100);
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
    keys_init(&keys, 100);
    mem_fail_nth(1);
    assert_int_equal(keys_add(&keys, &first, 101, 0), -ENOMEM);
    assert_false(has(&keys, 1));
    keys_deinit(&keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_expired_key_is_absent_at_once),
        cmocka_unit_test(many_keys_that_expire_at_once_are_freed_a_few_at_a_time),
        cmocka_unit_test(beyond_the_most_that_may_be_a_key_is_refused),
        cmocka_unit_test(loading_drops_the_oldest_for_lack_of_room),
        cmocka_unit_test(a_key_taken_back_was_never_there),
        cmocka_unit_test(without_memory_a_key_is_not_noted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
