#include "subscribe/subscription.h"

#include "base/mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct subscriber anybody = {.access = {.rules = &rules_open}};

/* A subscription to terms and types that are separated by blanks. */
static void ask(struct subscription *subscription, const char *terms, const char *types)
{
    struct refusal refusal;
    *subscription = (struct subscription){.terms_count = 0};
    for (struct str rest = str_from(terms); rest.at;)
        assert_true(subscription_add_term(subscription, str_cut(&rest, ' '), &refusal));
    for (struct str rest = types ? str_from(types) : STR_NONE; rest.at;)
        assert_true(subscription_add_type(subscription, str_cut(&rest, ' '), &refusal));
}

static void terms_and_types_are_checked(void **state)
{
    static const struct {
        const char *terms;
        const char *types;
        enum problem problem; /* PROBLEM_COUNT: allowed */
    } rows[] = {
        {"a", NULL, PROBLEM_COUNT},
        {"a b/c d/*/e f/** **", "trade quote", PROBLEM_COUNT},
        {"$webhooks/x $a/**", NULL, PROBLEM_COUNT},
        {"a//b", NULL, PROBLEM_BAD_PATTERN},
        {"good a/**/b", NULL, PROBLEM_BAD_PATTERN},
        {"good /", "trade", PROBLEM_BAD_PATTERN},
        {"a/..", NULL, PROBLEM_BAD_PATTERN},
        {"*/*/*/*/*", NULL, PROBLEM_BAD_PATTERN},
        {"a", "error", PROBLEM_BAD_TYPE},
        {"a", "trade open", PROBLEM_BAD_TYPE},
        {"a", "a,b", PROBLEM_BAD_TYPE},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct subscription subscription;
        struct refusal refusal = {.problem = PROBLEM_COUNT};
        ask(&subscription, rows[i].terms, rows[i].types);
        bool allowed = subscription_check(&subscription, &anybody, &refusal);
        assert_int_equal(refusal.problem, rows[i].problem);
        assert_int_equal(allowed, rows[i].problem == PROBLEM_COUNT);
        struct selection *selection = subscription_select(&subscription, &anybody, &refusal);
        assert_int_equal(selection != NULL, allowed);
        selection_unref(selection);
    }
}

static void a_selection_has_all_that_was_asked_for(void **state)
{
    struct subscription subscription;
    struct refusal refusal;
    (void)state;
    ask(&subscription, "a b/** a", "trade");
    struct selection *selection = subscription_select(&subscription, &anybody, &refusal);
    assert_non_null(selection);
    assert_int_equal(selection->names_count, 1);
    assert_int_equal(selection->patterns_count, 1);
    assert_int_equal(selection->types_count, 1);
    assert_true(selection_has_channel(selection, STR("b/c")));
    assert_false(selection_has_channel(selection, STR("c")));
    selection_unref(selection);
}

static void terms_and_types_are_bounded(void **state)
{
    struct subscription subscription = {.terms_count = 0};
    struct refusal refusal;
    (void)state;
    for (unsigned i = 0; i < SELECTION_TERMS_MAX; i++) {
        assert_true(subscription_add_term(&subscription, STR("a"), &refusal));
        assert_true(subscription_add_type(&subscription, STR("t"), &refusal));
    }
    assert_false(subscription_add_term(&subscription, STR("a"), &refusal));
    assert_int_equal(refusal.problem, PROBLEM_BAD_PARAMETER);
    assert_false(subscription_add_type(&subscription, STR("t"), &refusal));
    assert_int_equal(refusal.problem, PROBLEM_BAD_PARAMETER);
    assert_int_equal(subscription.terms_count, SELECTION_TERMS_MAX);
    assert_true(subscription_check(&subscription, &anybody, &refusal));
}

static void a_refusal_by_the_hub_is_told(void **state)
{
    struct subscription subscription;
    struct refusal refusal;
    (void)state;
    subscription_refuse(-ENOSPC, &refusal);
    assert_int_equal(refusal.problem, PROBLEM_TOO_MANY);
    subscription_refuse(-ENOMEM, &refusal);
    assert_int_equal(refusal.problem, PROBLEM_UNAVAILABLE);
    ask(&subscription, "a", NULL);
    mem_fail_nth(1);
    assert_null(subscription_select(&subscription, &anybody, &refusal));
    mem_fail_nth(0);
    assert_int_equal(refusal.problem, PROBLEM_UNAVAILABLE);
}

static void a_subscriber_needs_the_right_to_read_all_of_it(void **state)
{
    (void)state;
    static const struct str patterns[] = {{"a/*", 3}, {"b", 1}};
    const struct grant grant = {patterns, 2, action_bit(ACTION_READ)};
    struct rules *rules = rules_new(NULL, 0);
    struct caller *caller = caller_new(
        &(const struct caller_facts){.kind = CALLER_KEY, .grants = &grant, .grants_count = 1});
    const struct subscriber named = {.access = {.rules = rules, .caller = caller}};
    static const struct {
        const char *first, *second;
        enum problem problem;
    } rows[] = {
        {"a/x", "b", PROBLEM_COUNT},        {"a/*", "b", PROBLEM_COUNT},
        {"a/x", "c", PROBLEM_FORBIDDEN},    {"a/**", "b", PROBLEM_FORBIDDEN},
        {"b/**", "b", PROBLEM_FORBIDDEN},   {"a/x", "$webhooks/1", PROBLEM_FORBIDDEN},
        {"c", "a//x", PROBLEM_BAD_PATTERN},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct subscription subscription = {
            .terms = {str_from(rows[i].first), str_from(rows[i].second)}, .terms_count = 2};
        struct refusal refusal = {.problem = PROBLEM_COUNT};
        assert_int_equal(subscription_check(&subscription, &named, &refusal),
                         rows[i].problem == PROBLEM_COUNT);
        assert_int_equal(refusal.problem, rows[i].problem);
        if (rows[i].problem == PROBLEM_BAD_PATTERN)
            continue;
        const struct subscriber server = {.access = ACCESS_OF_SERVER};
        struct selection *selection = subscription_select(&subscription, &server, &refusal);
        assert_non_null(selection);
        assert_int_equal(subscription_check_selection(selection, &named, &refusal),
                         rows[i].problem == PROBLEM_COUNT);
        selection_unref(selection);
    }
    caller_unref(caller);
    rules_unref(rules);
}

static void a_full_server_takes_no_subscription(void **state)
{
    const struct subscriber late = {.access = {.rules = &rules_open}, .finds_full = true};
    struct subscription subscription;
    struct refusal refusal;
    (void)state;
    ask(&subscription, "a", NULL);
    assert_null(subscription_select(&subscription, &late, &refusal));
    assert_int_equal(refusal.problem, PROBLEM_UNAVAILABLE);
    struct selection *selection = subscription_select(&subscription, &anybody, &refusal);
    assert_non_null(selection);
    assert_false(subscription_check_selection(selection, &late, &refusal));
    assert_int_equal(refusal.problem, PROBLEM_UNAVAILABLE);
    selection_unref(selection);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_server_takes_no_subscription),
        cmocka_unit_test(terms_and_types_are_checked),
        cmocka_unit_test(a_selection_has_all_that_was_asked_for),
        cmocka_unit_test(terms_and_types_are_bounded),
        cmocka_unit_test(a_refusal_by_the_hub_is_told),
        cmocka_unit_test(a_subscriber_needs_the_right_to_read_all_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
