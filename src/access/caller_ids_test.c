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
    caller_unref(copy);
    caller_unref(caller);
    buf_free(&text);
    buf_free(&again);
}

/* A permission ends with the key that it rests on, also after a restart. */
static void the_callers_that_it_rests_on_come_back(void **state)
{
    (void)state;
    struct buf text = {0};
    struct caller_facts facts = {
        .kind = CALLER_KEY, .subject = STR("site"), .key_id = STR("aaaaaaaaaa")};
    struct caller *caller = NULL;
    for (unsigned i = 0; i < 3; i++) {
        struct caller *base = caller;
        facts.base = base;
        caller = caller_new(&facts);
        caller_unref(base);
        facts = (struct caller_facts){
            .kind = CALLER_BACKEND, .subject = STR("alice"), .expires_us = 7 + (int64_t)i};
    }
    caller_ids_write(&text, caller);
    struct caller *copy = caller_ids_read(buf_str(&text));
    assert_true(caller_is_of(copy, STR("alice")));
    assert_true(caller_is_of(copy, STR("site")));
    assert_int_equal(copy->facts.expires_us, 8);
    assert_int_equal(copy->facts.base->facts.expires_us, 7);
    const struct caller *key = copy->facts.base->facts.base;
    assert_int_equal(key->facts.kind, CALLER_KEY);
    assert_true(str_eq(key->facts.key_id, STR("aaaaaaaaaa")));
    assert_null(key->facts.base);
    caller_unref(copy);
    caller_unref(caller);
    buf_free(&text);
}

static void anybody_has_no_ids(void **state)
{
    (void)state;
    struct buf text = {0};
    caller_ids_write(&text, NULL);
    assert_int_equal(text.len, 0);
    assert_null(caller_ids_read(STR("")));
    buf_free(&text);
}

static void assert_ended(struct str text)
{
    struct caller *caller = caller_ids_read(text);
    assert_non_null(caller);
    assert_false(caller_is_authenticated(caller, INT64_C(1700000000000000)));
    caller_unref(caller);
}

/* Somebody of whom nothing is known must not count as anybody, whose webhooks never end. */
static void a_caller_that_cannot_be_read_has_no_rights_any_more(void **state)
{
    static const char good[] = "{\"by\":\"token\",\"subject\":\"alice\",\"key\":\"\",\"jti\":\"\","
                               "\"issued_us\":5,\"expires_us\":0}";
    static const char *const bad[] = {
        "[]",
        "{\"by\":\"somebody\"}",
        "{\"by\":\"token\",\"subject\":\"alice\",\"key\":\"\",\"jti\":\"\",\"issued_us\":5}",
        "{\"by\":\"token\",\"subject\":\"alice\",\"key\":\"\",\"jti\":\"\",\"issued_us\":5,"
        "\"expires_us\":\"soon\"}",
        "{\"by\":\"token\",\"subject\":\"alice\",\"key\":\"\",\"jti\":\"\",\"issued_us\":5,"
        "\"expires_us\":0,\"base\":{}}",
        "{\"by\":\"token\",\"subject\":7,\"key\":\"\",\"jti\":\"\",\"issued_us\":5,\"expires_us\":"
        "0}",
    };
    (void)state;
    for (size_t len = 1; len < sizeof(good) - 1; len++)
        assert_ended((struct str){good, len});
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_ended(str_from(bad[i]));
    struct caller *caller = caller_ids_read(str_from(good));
    assert_true(caller_is_authenticated(caller, INT64_C(1700000000000000)));
    caller_unref(caller);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ids_of_a_caller_come_back),
        cmocka_unit_test(the_callers_that_it_rests_on_come_back),
        cmocka_unit_test(anybody_has_no_ids),
        cmocka_unit_test(a_caller_that_cannot_be_read_has_no_rights_any_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
