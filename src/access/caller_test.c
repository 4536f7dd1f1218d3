#include "access/caller.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void a_caller_owns_copies_of_its_facts(void **state)
{
    (void)state;
    char subject[] = "alice", pattern[] = "chat/**";
    struct str patterns[] = {{pattern, 7}, {"news", 4}};
    struct grant grants[] = {{patterns, 2, action_bit(ACTION_READ)}, {patterns, 0, ACTIONS_ALL}};
    const struct caller_facts facts = {.kind = CALLER_TOKEN,
                                       .subject = {subject, 5},
                                       .jti = STR("t1"),
                                       .expires_us = 7,
                                       .grants = grants,
                                       .grants_count = 2};
    struct caller *caller = caller_new(&facts);
    assert_non_null(caller);
    memset(subject, 'x', sizeof(subject) - 1);
    memset(pattern, 'x', sizeof(pattern) - 1);
    memset(grants, 0, sizeof(grants));
    patterns[1] = STR_NONE;
    assert_true(str_eq(caller_subject(caller), STR("alice")));
    assert_true(str_eq(caller_name(caller), STR("token/alice")));
    assert_true(str_eq(caller->facts.jti, STR("t1")));
    assert_int_equal(caller->facts.key_id.len, 0);
    assert_int_equal(caller->facts.grants_count, 2);
    assert_true(str_eq(caller->facts.grants[0].patterns[0], STR("chat/**")));
    assert_true(str_eq(caller->facts.grants[0].patterns[1], STR("news")));
    assert_int_equal(caller->facts.grants[1].may, ACTIONS_ALL);
    assert_ptr_equal(caller_ref(caller), caller);
    assert_null(caller_unref(caller));
    assert_null(caller_unref(caller));
}

static void credentials_without_a_subject_are_told_apart_by_their_digests(void **state)
{
    (void)state;
    char digits[2][CALLER_DIGEST_LEN];
    struct caller *callers[4] = {
        caller_new(&(const struct caller_facts){.kind = CALLER_TOKEN,
                                                .digest = caller_digest(STR("a"), digits[0])}),
        caller_new(&(const struct caller_facts){.kind = CALLER_TOKEN,
                                                .digest = caller_digest(STR("b"), digits[1])}),
        caller_new(&(const struct caller_facts){.kind = CALLER_TOKEN,
                                                .subject = {digits[0], CALLER_DIGEST_LEN}}),
        caller_new(&(const struct caller_facts){.kind = CALLER_TOKEN})};
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < 4; j++)
            assert_int_equal(caller_is_same(callers[i], callers[j]), i == j && i != 3);
    assert_false(caller_is_same(NULL, NULL));
    assert_int_equal(caller_subject(callers[0]).len, 0);
    for (size_t i = 0; i < 4; i++)
        caller_unref(callers[i]);
}

static void a_lack_of_memory_makes_no_caller(void **state)
{
    (void)state;
    const struct caller_facts facts = {.subject = STR("alice")};
    mem_fail_nth(1);
    assert_null(caller_new(&facts));
}

static void a_credential_ends_at_its_expiry(void **state)
{
    (void)state;
    struct caller *lasting = caller_new(&(const struct caller_facts){.expires_us = 0});
    struct caller *ending = caller_new(&(const struct caller_facts){.expires_us = 10});
    assert_true(caller_is_authenticated(lasting, INT64_MAX));
    assert_true(caller_is_authenticated(ending, 9));
    assert_false(caller_is_authenticated(ending, 10));
    assert_false(caller_is_authenticated(NULL, 0));
    caller_unref(lasting);
    caller_unref(ending);
}

static void anybody_has_neither_a_subject_nor_references(void **state)
{
    (void)state;
    assert_int_equal(caller_subject(NULL).len, 0);
    assert_null(caller_ref(NULL));
    assert_null(caller_unref(NULL));
}

static void a_voucher_depends_on_each_text_and_its_end(void **state)
{
    static const struct str lists[][2] = {
        {{"ab", 2}, {"c", 1}},
        {{"a", 1}, {"bc", 2}},
        {{"abc", 3}, {"", 0}},
        {{"ab", 2}, {"d", 1}},
    };
    uint64_t vouchers[4];
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        vouchers[i] = voucher_of(lists[i], 2);
        assert_true(vouchers[i] == voucher_of(lists[i], 2));
        for (size_t j = 0; j < i; j++)
            assert_false(vouchers[i] == vouchers[j]);
    }
}

static void a_caller_loses_the_voucher_that_is_not_listed(void **state)
{
    static const uint64_t listed[] = {3, 5};
    (void)state;
    struct caller *by_issuer =
        caller_new(&(const struct caller_facts){.kind = CALLER_TOKEN, .voucher = 5});
    struct caller *resting =
        caller_new(&(const struct caller_facts){.kind = CALLER_BACKEND, .base = by_issuer});
    assert_false(caller_lost_voucher(by_issuer, listed, 2));
    assert_true(caller_lost_voucher(by_issuer, listed, 1));
    assert_false(caller_lost_voucher(resting, listed, 2));
    assert_true(caller_lost_voucher(resting, listed, 1));
    assert_false(caller_lost_voucher(NULL, NULL, 0));
    caller_unref(resting);
    caller_unref(by_issuer);
}

static void a_caller_has_lost_its_server_if_its_issuers_are_there(void **state)
{
    static const uint64_t issuer[] = {5}, server[] = {3};
    (void)state;
    struct caller *by_issuer =
        caller_new(&(const struct caller_facts){.kind = CALLER_TOKEN, .voucher = 5});
    struct caller *by_server =
        caller_new(&(const struct caller_facts){.kind = CALLER_ANYBODY, .voucher = 3});
    struct caller *by_both = caller_new(
        &(const struct caller_facts){.kind = CALLER_BACKEND, .voucher = 3, .base = by_issuer});
    assert_true(caller_lost_server(by_server, issuer, 1));
    assert_true(caller_lost_server(by_both, issuer, 1));
    assert_false(caller_lost_server(by_both, server, 1));
    assert_false(caller_lost_server(by_both, NULL, 0));
    assert_false(caller_lost_server(by_issuer, NULL, 0));
    assert_false(caller_lost_server(by_server, server, 1));
    assert_false(caller_lost_server(NULL, NULL, 0));
    caller_unref(by_both);
    caller_unref(by_server);
    caller_unref(by_issuer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_caller_owns_copies_of_its_facts),
        cmocka_unit_test(credentials_without_a_subject_are_told_apart_by_their_digests),
        cmocka_unit_test(a_lack_of_memory_makes_no_caller),
        cmocka_unit_test(a_credential_ends_at_its_expiry),
        cmocka_unit_test(anybody_has_neither_a_subject_nor_references),
        cmocka_unit_test(a_voucher_depends_on_each_text_and_its_end),
        cmocka_unit_test(a_caller_loses_the_voucher_that_is_not_listed),
        cmocka_unit_test(a_caller_has_lost_its_server_if_its_issuers_are_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
