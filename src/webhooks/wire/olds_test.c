#include "webhooks/wire/olds.h"

#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct old_key key_until(int64_t until_us)
{
    struct old_key old = {.until_us = until_us};
    sign_key_make(&old.key);
    if (until_us % 2)
        assert_int_equal(sign_pair_make(&old.pair), 0);
    return old;
}

static void rotate(struct olds *olds, int64_t now_us, int64_t until_us)
{
    struct olds next;
    struct old_key key = key_until(until_us);
    assert_true(olds_with(olds, &key, now_us, &next));
    assert_int_equal(next.at[0].until_us, until_us);
    olds_free(olds);
    *olds = next;
}

static void keys_whose_time_is_over_go_and_the_others_stay(void **state)
{
    struct olds olds = {0};
    (void)state;
    rotate(&olds, 0, 100);
    rotate(&olds, 50, 150);
    rotate(&olds, 99, 199);
    assert_int_equal(olds.count, 3);
    assert_int_equal(olds.at[2].until_us, 100);
    rotate(&olds, 100, 200);
    assert_int_equal(olds.count, 3);
    assert_int_equal(olds.at[2].until_us, 150);
    rotate(&olds, 1000, 1100);
    assert_int_equal(olds.count, 1);
    olds_free(&olds);
}

static void the_oldest_keys_beyond_the_limit_go(void **state)
{
    struct olds olds = {0};
    (void)state;
    for (int64_t i = 1; i <= OLDS_MAX + 5; i++)
        rotate(&olds, 0, 1000 + i);
    assert_int_equal(olds.count, OLDS_MAX);
    for (uint32_t i = 0; i < OLDS_MAX; i++)
        assert_int_equal(olds.at[i].until_us, 1000 + OLDS_MAX + 5 - i);
    olds_free(&olds);
}

static void packed_keys_unpack_to_the_same(void **state)
{
    struct olds olds = {0}, back;
    struct buf bytes = {0};
    (void)state;
    assert_true(olds_unpack(STR(""), &back));
    assert_int_equal(back.count, 0);
    for (int64_t i = 1; i <= 4; i++)
        rotate(&olds, 0, INT64_C(1795459080123456) + i);
    olds_pack(&bytes, &olds);
    buf_add_lit(&bytes, "half of one");
    assert_true(olds_unpack(buf_str(&bytes), &back));
    assert_int_equal(back.count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(back.at[i].until_us, olds.at[i].until_us);
        assert_int_equal(back.at[i].key.len, SIGN_KEY_MADE);
        assert_memory_equal(back.at[i].key.bytes, olds.at[i].key.bytes, SIGN_KEY_MADE);
        assert_int_equal(back.at[i].pair.set, olds.at[i].pair.set);
        assert_memory_equal(back.at[i].pair.seed, olds.at[i].pair.seed, 32);
        assert_memory_equal(back.at[i].pair.open, olds.at[i].pair.open, 32);
    }
    bytes.at[8] = (char)(SIGN_KEY_MOST + 1); /* the length of the first key */
    olds_free(&back);
    assert_true(olds_unpack(buf_str(&bytes), &back));
    assert_int_equal(back.count, 3);
    olds_free(&back);
    olds_free(&olds);
    buf_free(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_whose_time_is_over_go_and_the_others_stay),
        cmocka_unit_test(the_oldest_keys_beyond_the_limit_go),
        cmocka_unit_test(packed_keys_unpack_to_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
