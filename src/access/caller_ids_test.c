#include "access/caller_ids.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void the_ids_of_a_caller_come_back(void **state)
{
    (void)state;
    struct buf text = {0}, again = {0};
    const struct str patterns[] = {STR("a")};
    const struct grant grant = {patterns, 1, action_bit(ACTION_READ)};
    const struct caller_facts facts = {.kind = CALLER_TOKEN,
                                       .subject = STR("al\"ice"),
                                       .jti = STR("t1"),
                                       .issued_us = 5,
                                       .expires_us = INT64_C(1800000000000000),
                                       .grants = &grant,
                                       .grants_count = 1};
    struct caller *caller = caller_new(&facts);
    caller_ids_write(&text, caller);
    struct caller *copy = caller_ids_read(buf_str(&text));
    assert_non_null(copy);
    assert_int_equal(copy->facts.kind, CALLER_TOKEN);
    assert_true(str_eq(copy->facts.subject, facts.subject));
    assert_true(str_eq(copy->facts.jti, facts.jti));
    assert_int_equal(copy->facts.key_id.len, 0);
    assert_true(copy->facts.issued_us == 5 && copy->facts.expires_us == facts.expires_us);
    assert_int_equal(copy->facts.grants_count, 0);
    caller_ids_write(&again, copy);
    assert_true(str_eq(buf_str(&text), buf_str(&again)));
    for (size_t len = 0; len < text.len; len++)
        assert_null(caller_ids_read((struct str){text.at, len}));
    caller_unref(copy);
    caller_unref(caller);
    buf_free(&text);
    buf_free(&again);
}

static void anybody_has_no_ids(void **state)
{
    (void)state;
    struct buf text = {0};
    caller_ids_write(&text, NULL);
    assert_int_equal(text.len, 0);
    assert_null(caller_ids_read(STR("")));
    assert_null(caller_ids_read(STR("[]")));
    assert_null(caller_ids_read(STR("{\"by\":\"somebody\"}")));
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ids_of_a_caller_come_back),
        cmocka_unit_test(anybody_has_no_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
