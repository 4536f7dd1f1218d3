#include "access/caller_ids.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void the_facts_of_a_caller_come_back(void **state)
{
    (void)state;
    struct buf text = {0}, again = {0};
    const struct str patterns[] = {STR("a")};
    const struct grant grant = {patterns, 1, action_bit(ACTION_READ) | action_bit(ACTION_WEBHOOKS)};
    const struct caller_facts facts = {.kind = CALLER_TOKEN,
                                       .subject = STR("al\"ice"),
                                       .jti = STR("t1"),
                                       .issued_us = 5,
                                       .expires_us = INT64_C(1800000000000000),
                                       .voucher = UINT64_C(0xfedcba9876543210),
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
    assert_true(copy->facts.voucher == facts.voucher);
    assert_int_equal(copy->facts.grants_count, 1);
    assert_int_equal(copy->facts.grants[0].may, grant.may);
    assert_true(str_eq(copy->facts.grants[0].patterns[0], STR("a")));
    assert_true(caller_grants_known(copy));
    caller_ids_write(&again, copy);
    assert_true(str_eq(buf_str(&text), buf_str(&again)));
    caller_unref(copy);
    caller_unref(caller);
    buf_free(&text);
    buf_free(&again);
}

static void a_credential_without_a_subject_comes_back_as_the_same(void **state)
{
    (void)state;
    struct buf text = {0};
    char digits[CALLER_DIGEST_LEN];
    const struct caller_facts facts = {.kind = CALLER_TOKEN,
                                       .digest = caller_digest(STR("a.b"), digits)};
    struct caller *caller = caller_new(&facts);
    caller_ids_write(&text, caller);
    struct caller *copy = caller_ids_read(buf_str(&text));
    assert_true(caller_is_same(caller, copy));
    caller_unref(copy);
    caller_unref(caller);
    buf_free(&text);
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

/* A key grants what it does when that is asked, and may have very many patterns. */
static void the_grants_of_a_key_are_not_written(void **state)
{
    (void)state;
    struct buf text = {0};
    const struct str patterns[] = {STR("a")};
    const struct grant grant = {patterns, 1, action_bit(ACTION_READ)};
    struct caller *key = caller_new(&(struct caller_facts){
        .kind = CALLER_KEY, .key_id = STR("aaaaaaaaaa"), .grants = &grant, .grants_count = 1});
    caller_ids_write(&text, key);
    struct caller *copy = caller_ids_read(buf_str(&text));
    assert_int_equal(copy->facts.grants_count, 0);
    assert_false(caller_grants_known(copy));
    caller_unref(copy);
    struct caller *permitted =
        caller_new(&(struct caller_facts){.kind = CALLER_BACKEND, .base = key});
    buf_clear(&text);
    caller_ids_write(&text, permitted);
    copy = caller_ids_read(buf_str(&text));
    assert_int_equal(copy->facts.base->facts.grants_count, 1);
    assert_true(caller_grants_known(copy));
    caller_unref(copy);
    caller_unref(permitted);
    caller_unref(key);
    buf_free(&text);
}

static void a_caller_of_an_older_version_has_grants_that_are_not_known(void **state)
{
    (void)state;
    struct buf again = {0};
    struct caller *caller =
        caller_ids_read(STR("{\"by\":\"token\",\"subject\":\"alice\",\"key\":\"\",\"jti\":\"\","
                            "\"issued_us\":5,\"expires_us\":0}"));
    assert_int_equal(caller->facts.kind, CALLER_TOKEN);
    assert_false(caller_grants_known(caller));
    caller_ids_write(&again, caller);
    struct caller *copy = caller_ids_read(buf_str(&again));
    assert_false(caller_grants_known(copy));
    caller_unref(copy);
    caller_unref(caller);
    buf_free(&again);
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
        "{\"by\":\"token\",\"subject\":\"a\",\"key\":\"\",\"jti\":\"\",\"issued_us\":5,\"expires_"
        "us\":"
        "0,\"grants\":[{\"channels\":[\"a\"]}]}",
        "{\"by\":\"token\",\"subject\":\"a\",\"key\":\"\",\"jti\":\"\",\"issued_us\":5,\"expires_"
        "us\":"
        "0,\"voucher\":\"x\"}",
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
        cmocka_unit_test(the_facts_of_a_caller_come_back),
        cmocka_unit_test(a_credential_without_a_subject_comes_back_as_the_same),
        cmocka_unit_test(the_callers_that_it_rests_on_come_back),
        cmocka_unit_test(the_grants_of_a_key_are_not_written),
        cmocka_unit_test(a_caller_of_an_older_version_has_grants_that_are_not_known),
        cmocka_unit_test(anybody_has_no_ids),
        cmocka_unit_test(a_caller_that_cannot_be_read_has_no_rights_any_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
