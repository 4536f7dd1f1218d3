/* The decision as a table, and against a model that looks at the names one by one: of a small
 * alphabet, which has segments that no pattern and no rule names. */
#include "access/decide.h"

#include "access/reach.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { READ = 1 << ACTION_READ, PUBLISH = 1 << ACTION_PUBLISH, ADMIN = 1 << ACTION_ADMIN };

static struct rules *some_rules(void)
{
    const struct rule list[] = {
        {STR("public"), READ, PUBLISH}, {STR("public/staff"), 0, READ}, {STR("members"), 0, READ}};
    struct rules *rules = rules_new(list, 3);
    assert_non_null(rules);
    return rules;
}

static struct caller *some_caller(void)
{
    static const struct str chat[] = {{"chat/**", 7}, {"public/staff/*", 14}, {"$audit", 6}};
    static const struct str room[] = {{"chat/room1", 10}, {"chat/*/log", 10}};
    const struct grant grants[] = {{chat, 3, READ}, {room, 2, PUBLISH}};
    const struct caller_facts facts = {.kind = CALLER_TOKEN,
                                       .subject = STR("alice"),
                                       .expires_us = 100,
                                       .grants = grants,
                                       .grants_count = 2};
    struct caller *caller = caller_new(&facts);
    assert_non_null(caller);
    return caller;
}

struct row {
    const char *term;
    enum action action;
    enum access_verdict anybody, alice, expired;
};

#define YES ACCESS_ALLOWED
#define WHO ACCESS_NO_CREDENTIAL
#define OLD ACCESS_EXPIRED
#define NO ACCESS_NOT_GRANTED

static const struct row rows[] = {
    {"public", ACTION_READ, YES, YES, YES},
    {"public/a", ACTION_READ, YES, YES, YES},
    {"public/a/*", ACTION_READ, YES, YES, YES},
    {"public/a", ACTION_PUBLISH, WHO, YES, OLD},
    {"public/a", ACTION_ADMIN, WHO, NO, OLD},
    {"public/staff", ACTION_READ, WHO, YES, OLD},
    {"public/*", ACTION_READ, WHO, YES, OLD},
    {"public/**", ACTION_READ, WHO, YES, OLD},
    {"public/**", ACTION_PUBLISH, WHO, NO, OLD},
    {"public/*/x", ACTION_PUBLISH, WHO, NO, OLD},
    {"members/a", ACTION_READ, WHO, YES, OLD},
    {"members/a", ACTION_PUBLISH, WHO, NO, OLD},
    {"chat", ACTION_READ, WHO, NO, OLD},
    {"chat/room1", ACTION_READ, WHO, YES, OLD},
    {"chat/**", ACTION_READ, WHO, YES, OLD},
    {"chat/*/**", ACTION_READ, WHO, YES, OLD},
    {"chat/room1", ACTION_PUBLISH, WHO, YES, OLD},
    {"chat/room2", ACTION_PUBLISH, WHO, NO, OLD},
    {"chat/a/log", ACTION_PUBLISH, WHO, YES, OLD},
    {"other/a", ACTION_READ, WHO, NO, OLD},
    {"*", ACTION_READ, WHO, NO, OLD},
    {"**", ACTION_READ, WHO, NO, OLD},
    {"*/a", ACTION_READ, WHO, NO, OLD},
    {"$audit", ACTION_READ, WHO, YES, OLD},
    {"$webhooks/1", ACTION_READ, WHO, NO, OLD},
    {"$webhooks/**", ACTION_READ, WHO, NO, OLD},
    {"$audit", ACTION_ADMIN, WHO, NO, OLD},
};

static void each_row_of_the_table_has_its_verdict(void **state)
{
    (void)state;
    struct rules *rules = some_rules();
    struct caller *alice = some_caller();
    const struct access anybody = {.rules = rules, .caller = NULL, .now_us = 99},
                        now = {.rules = rules, .caller = alice, .now_us = 99},
                        later = {.rules = rules, .caller = alice, .now_us = 100};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct str term = str_from(rows[i].term);
        enum action action = rows[i].action;
        bool good = access_decide(&anybody, action, term) == rows[i].anybody &&
                    access_decide(&now, action, term) == rows[i].alice &&
                    access_decide(&later, action, term) == rows[i].expired;
        if (!good)
            fail_msg("%s %s: anybody %d, alice %d, expired %d", action_word(action), rows[i].term,
                     (int)access_decide(&anybody, action, term),
                     (int)access_decide(&now, action, term),
                     (int)access_decide(&later, action, term));
    }
    caller_unref(alice);
    rules_unref(rules);
}

#define ELSE ACCESS_ELSEWHERE

static void management_is_done_where_it_has_an_address_of_its_own_alone(void **state)
{
    (void)state;
    static const struct {
        const char *term;
        enum action action;
        enum access_verdict verdict;
    } places[] = {
        {"**", ACTION_ADMIN, ELSE},
        {"a", ACTION_ADMIN, ELSE},
        {"$audit", ACTION_READ, ELSE},
        {"$stats", ACTION_READ, ELSE},
        {"$webhooks/**", ACTION_READ, ELSE},
        {"$audit", ACTION_WEBHOOKS, ELSE},
        {"$presence", ACTION_READ, ELSE},
        {"**", ACTION_READ, YES},
        {"a", ACTION_READ, YES},
        {"a", ACTION_PUBLISH, YES},
        {"a", ACTION_WEBHOOKS, YES},
        {"a", ACTION_PRESENCE, YES},
        {"$presence/a", ACTION_READ, YES},
        {"$occupied/**", ACTION_READ, YES},
        {"$presence/a", ACTION_WEBHOOKS, YES},
    };
    static const struct str whole[] = {
        {"**", 2}, {"$audit", 6}, {"$stats", 6}, {"$webhooks/**", 12}};
    const struct grant all = {whole, 4,
                              READ | PUBLISH | ADMIN | 1 << ACTION_WEBHOOKS | 1 << ACTION_PRESENCE};
    struct rules *rules = rules_new(NULL, 0);
    struct caller *root = caller_new(
        &(const struct caller_facts){.kind = CALLER_KEY, .grants = &all, .grants_count = 1});
    const struct access by_root = {.rules = rules, .caller = root, .is_elsewhere = true},
                        open = {.rules = &rules_open, .is_elsewhere = true},
                        anybody = {.rules = rules, .is_elsewhere = true};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        struct str term = str_from(places[i].term);
        enum action action = places[i].action;
        assert_int_equal(access_decide(&by_root, action, term), places[i].verdict);
        assert_int_equal(access_decide(&open, action, term), places[i].verdict);
        if (places[i].verdict == ELSE)
            assert_int_equal(access_decide(&anybody, action, term), ELSE);
    }
    assert_int_equal(access_decide_any(&by_root, ACTION_ADMIN), ELSE);
    assert_int_equal(access_decide_any(&by_root, ACTION_WEBHOOKS), YES);
    caller_unref(root);
    rules_unref(rules);
}

static void a_refusal_of_management_elsewhere_has_the_same_words_for_all(void **state)
{
    (void)state;
    const struct access open = {.rules = &rules_open, .is_elsewhere = true};
    struct refusal one, other;
    assert_false(access_check(&open, ACTION_ADMIN, ACCESS_WHOLE_SERVER, &one));
    assert_false(access_check(&open, ACTION_READ, STR("$audit"), &other));
    assert_int_equal(one.problem, PROBLEM_NOT_FOUND);
    assert_int_equal(other.problem, PROBLEM_NOT_FOUND);
    assert_string_equal(one.detail, other.detail);
    assert_null(one.may);
    assert_null(other.may);
}

static void open_rules_allow_everything_and_no_rules_nothing(void **state)
{
    (void)state;
    const struct access server = ACCESS_OF_SERVER, forgotten = {0};
    for (unsigned i = 0; i < ACTION_COUNT; i++) {
        assert_int_equal(access_decide(&server, (enum action)i, STR("$webhooks/**")), YES);
        assert_int_equal(access_decide(&forgotten, (enum action)i, STR("a")), WHO);
    }
}

static void the_administrator_of_the_whole_server_reads_its_own_channels(void **state)
{
    (void)state;
    static const struct str whole[] = {{"**", 2}}, part[] = {{"a/**", 4}};
    struct rules *rules = rules_new(NULL, 0);
    const struct grant all = {whole, 1, ADMIN}, some = {part, 1, ADMIN};
    struct caller *admin = caller_new(
        &(const struct caller_facts){.kind = CALLER_KEY, .grants = &all, .grants_count = 1});
    struct caller *other = caller_new(
        &(const struct caller_facts){.kind = CALLER_KEY, .grants = &some, .grants_count = 1});
    const struct access by_admin = {.rules = rules, .caller = admin, .now_us = 0},
                        by_other = {.rules = rules, .caller = other, .now_us = 0};
    assert_int_equal(access_decide(&by_admin, ACTION_READ, STR("$webhooks/**")), YES);
    assert_int_equal(access_decide(&by_admin, ACTION_READ, STR("a")), NO);
    assert_int_equal(access_decide(&by_admin, ACTION_ADMIN, ACCESS_WHOLE_SERVER), YES);
    assert_int_equal(access_decide(&by_other, ACTION_READ, STR("$webhooks/**")), NO);
    assert_int_equal(access_decide(&by_other, ACTION_ADMIN, ACCESS_WHOLE_SERVER), NO);
    caller_unref(admin);
    caller_unref(other);
    rules_unref(rules);
}

static void an_action_is_allowed_somewhere_or_nowhere(void **state)
{
    (void)state;
    struct rules *rules = some_rules();
    struct caller *alice = some_caller();
    const struct access anybody = {.rules = rules, .caller = NULL, .now_us = 99},
                        now = {.rules = rules, .caller = alice, .now_us = 99},
                        later = {.rules = rules, .caller = alice, .now_us = 100},
                        server = ACCESS_OF_SERVER, forgotten = {0};
    assert_int_equal(access_decide_any(&anybody, ACTION_READ), YES);
    assert_int_equal(access_decide_any(&anybody, ACTION_PUBLISH), WHO);
    assert_int_equal(access_decide_any(&now, ACTION_PUBLISH), YES);
    assert_int_equal(access_decide_any(&now, ACTION_WEBHOOKS), NO);
    assert_int_equal(access_decide_any(&later, ACTION_PUBLISH), OLD);
    assert_int_equal(access_decide_any(&server, ACTION_ADMIN), YES);
    assert_int_equal(access_decide_any(&forgotten, ACTION_READ), WHO);
    caller_unref(alice);
    rules_unref(rules);
}

/* Else a permission to read would take from a connection what its token lets it publish. */
static void a_permission_adds_to_the_grants_of_the_credential_that_it_rests_on(void **state)
{
    (void)state;
    static const struct str terms[] = {{"members/**", 10}};
    const struct grant grant = {terms, 1, ADMIN};
    struct rules *rules = some_rules();
    struct caller *alice = some_caller();
    struct caller *allowed = caller_new(&(const struct caller_facts){.kind = CALLER_BACKEND,
                                                                     .base = alice,
                                                                     .expires_us = 100,
                                                                     .grants = &grant,
                                                                     .grants_count = 1});
    struct access access = {.rules = rules, .caller = allowed, .now_us = 50};
    assert_int_equal(access_decide(&access, ACTION_ADMIN, STR("members/a")), YES);
    assert_int_equal(access_decide(&access, ACTION_PUBLISH, STR("chat/room1")), YES);
    assert_int_equal(access_decide(&access, ACTION_READ, STR("chat/**")), YES);
    assert_int_equal(access_decide(&access, ACTION_PUBLISH, STR("chat/room2")), NO);
    assert_int_equal(access_decide_any(&access, ACTION_PUBLISH), YES);
    access.now_us = 100;
    assert_int_equal(access_decide(&access, ACTION_PUBLISH, STR("chat/room1")), OLD);
    caller_unref(alice);
    caller_unref(allowed);
    rules_unref(rules);
}

/* The operator's server may allow something to a visitor whom it cannot name. */
static void a_caller_without_a_credential_has_its_grants_and_the_rules_for_anybody(void **state)
{
    (void)state;
    static const struct str terms[] = {{"chat/room1", 10}};
    const struct grant grant = {terms, 1, READ};
    struct rules *rules = some_rules();
    struct caller *visitor = caller_new(&(const struct caller_facts){
        .kind = CALLER_ANYBODY, .expires_us = 100, .grants = &grant, .grants_count = 1});
    struct access access = {.rules = rules, .caller = visitor, .now_us = 50};
    assert_int_equal(access_decide(&access, ACTION_READ, STR("chat/room1")), ACCESS_ALLOWED);
    assert_int_equal(access_decide(&access, ACTION_READ, STR("public/a")), ACCESS_ALLOWED);
    assert_int_equal(access_decide(&access, ACTION_PUBLISH, STR("public/a")), ACCESS_NO_CREDENTIAL);
    assert_int_equal(access_decide(&access, ACTION_READ, STR("members")), ACCESS_NO_CREDENTIAL);
    assert_int_equal(access_decide_any(&access, ACTION_PUBLISH), ACCESS_NO_CREDENTIAL);
    access.now_us = 100;
    assert_int_equal(access_decide(&access, ACTION_READ, STR("chat/room1")), ACCESS_NO_CREDENTIAL);
    caller_unref(visitor);
    rules_unref(rules);
}

/* A grant on the channel's own name is what counts, and one on the derived names gives nothing. */
static void the_channels_of_presence_take_presence_on_the_channel_behind_the_prefix(void **state)
{
    static const struct str chat[] = {{"chat/**", 7}}, own[] = {{"$presence/**", 12}};
    const struct grant grants[] = {{chat, 1, 1 << ACTION_PRESENCE | 1 << ACTION_WEBHOOKS},
                                   {own, 1, READ}};
    struct rules *rules = rules_new(NULL, 0);
    struct caller *caller = caller_new(
        &(const struct caller_facts){.kind = CALLER_KEY, .grants = grants, .grants_count = 2});
    const struct access access = {.rules = rules, .caller = caller, .now_us = 0};
    struct refusal refusal;
    (void)state;
    assert_int_equal(access_decide(&access, ACTION_READ, STR("$presence/chat/a")), YES);
    assert_int_equal(access_decide(&access, ACTION_READ, STR("$occupied/chat/**")), YES);
    assert_int_equal(access_decide(&access, ACTION_WEBHOOKS, STR("$occupied/chat/*")), YES);
    assert_int_equal(access_decide(&access, ACTION_READ, STR("$presence/**")), NO);
    assert_int_equal(access_decide(&access, ACTION_READ, STR("$presence/other")), NO);
    assert_int_equal(access_decide(&access, ACTION_PUBLISH, STR("$presence/chat/a")), NO);
    assert_int_equal(access_decide(&access, ACTION_READ, STR("chat/a")), NO);
    assert_int_equal(access_decide(&access, ACTION_READ, STR("$presence")), NO);
    assert_false(access_check(&access, ACTION_READ, STR("$presence/other"), &refusal));
    assert_string_equal(refusal.may, "presence");
    assert_true(str_eq(refusal.term, STR("other")));
    caller_unref(caller);
    rules_unref(rules);
}

static void a_refusal_says_that_the_operators_server_was_asked(void **state)
{
    (void)state;
    struct rules *rules = some_rules();
    struct access access = {.rules = rules, .is_denied = true};
    struct refusal refusal;
    assert_false(access_check(&access, ACTION_READ, STR("members"), &refusal));
    assert_int_equal(refusal.problem, PROBLEM_UNAUTHORIZED);
    assert_non_null(strstr(refusal.detail, "`read`"));
    assert_non_null(strstr(refusal.detail, "the operator's server was asked"));
    assert_string_equal(refusal.may, "read");
    access.is_elsewhere = true;
    assert_false(access_check(&access, ACTION_ADMIN, ACCESS_WHOLE_SERVER, &refusal));
    assert_null(strstr(refusal.detail, "operator"));
    rules_unref(rules);
}

static void a_refusal_says_what_was_missing(void **state)
{
    (void)state;
    struct rules *rules = some_rules();
    struct caller *alice = some_caller();
    struct refusal refusal;
    const struct access anybody = {.rules = rules, .caller = NULL, .now_us = 99},
                        now = {.rules = rules, .caller = alice, .now_us = 99},
                        later = {.rules = rules, .caller = alice, .now_us = 100};
    assert_true(access_check(&now, ACTION_READ, STR("chat/a"), &refusal));
    assert_false(access_check(&anybody, ACTION_READ, STR("chat/a"), &refusal));
    assert_int_equal(refusal.problem, PROBLEM_UNAUTHORIZED);
    assert_non_null(strstr(refusal.detail, "`read`"));
    assert_false(access_check(&later, ACTION_READ, STR("chat/a"), &refusal));
    assert_int_equal(refusal.problem, PROBLEM_BAD_CREDENTIAL);
    assert_false(access_check(&now, ACTION_PUBLISH, STR("chat/b"), &refusal));
    assert_int_equal(refusal.problem, PROBLEM_FORBIDDEN);
    assert_non_null(strstr(refusal.detail, "`publish`"));
    assert_true(str_eq(refusal.term, STR("chat/b")));
    assert_string_equal(refusal.may, "publish");
    caller_unref(alice);
    rules_unref(rules);
}

/* ---- the model ------------------------------------------------------------------------------- */

/* Terms are of the segments `a`, `b`, `*` and a last `**`; names have `c` as well, which stands for
 * all segments that no term has, and are up to two segments longer than any term. */
enum { TERM_SEGMENTS = 3, NAME_SEGMENTS = 5, TEXT = 32, ROUNDS = 4000 };

struct text {
    char at[TEXT];
};

static struct str str_of(const struct text *text)
{
    return str_from(text->at);
}

/* A term of the first `kinds` of: a, b, `*`, and `**` as its last segment. */
static void random_term(struct text *ret, int kinds)
{
    static const char *const segments[] = {"a", "b", "*", "**"};
    int count = 1 + rand() % TERM_SEGMENTS;
    ret->at[0] = 0;
    for (int i = 0; i < count; i++) {
        int inner = kinds < 3 ? kinds : 3;
        const char *segment = segments[rand() % (i + 1 == count ? kinds : inner)];
        snprintf(ret->at + strlen(ret->at), TEXT - strlen(ret->at), "%s%s", i ? "/" : "", segment);
    }
}

struct model {
    struct text grants[3], prefixes[3];
    struct grant grant;
    struct str patterns[3];
    struct rule rules[3];
    size_t rules_count;
};

static bool is_under(struct str name, struct str prefix)
{
    return !prefix.len ||
           (str_starts(name, prefix) && (name.len == prefix.len || name.at[prefix.len] == '/'));
}

static bool model_allows_name(const struct model *model, struct str name)
{
    const struct rule *best = NULL;
    for (size_t i = 0; i < model->rules_count; i++) {
        const struct rule *rule = &model->rules[i];
        if (is_under(name, rule->prefix) && (!best || rule->prefix.len > best->prefix.len))
            best = rule;
    }
    bool allowed = best && best->authenticated & READ;
    for (size_t i = 0; i < model->grant.patterns_count; i++)
        allowed = allowed || pattern_matches(model->grant.patterns[i], name);
    return allowed;
}

/* Whether all names of the term are allowed, tried one by one. */
static bool model_allows(const struct model *model, struct str term)
{
    static const char alphabet[] = "abc";
    for (unsigned segments = 1, names = 3; segments <= NAME_SEGMENTS; segments++, names *= 3)
        for (unsigned nth = 0; nth < names; nth++) {
            char text[2 * NAME_SEGMENTS];
            unsigned rest = nth;
            for (size_t i = 0; i < segments; i++, rest /= 3) {
                text[2 * i] = alphabet[rest % 3];
                text[2 * i + 1] = '/';
            }
            struct str name = {text, 2 * (size_t)segments - 1};
            if (pattern_matches(term, name) && !model_allows_name(model, name))
                return false;
        }
    return true;
}

static void random_model(struct model *model)
{
    *model = (struct model){.grant = {model->patterns, (size_t)(rand() % 4), READ}};
    for (size_t i = 0; i < model->grant.patterns_count; i++) {
        random_term(&model->grants[i], 4);
        model->patterns[i] = str_of(&model->grants[i]);
    }
    size_t count = (size_t)(rand() % 4);
    for (size_t i = 0; i < count; i++) {
        random_term(&model->prefixes[i], 2);
        struct rule rule = {i ? str_of(&model->prefixes[i]) : STR_NONE, 0,
                            rand() % 2 ? READ : ACTIONS_NONE};
        bool known = false;
        for (size_t j = 0; j < model->rules_count; j++)
            known = known || str_eq(model->rules[j].prefix, rule.prefix);
        if (!known)
            model->rules[model->rules_count++] = rule;
    }
}

static void the_decision_is_that_over_all_names_one_by_one(void **state)
{
    (void)state;
    unsigned allowed = 0;
    srand(17);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct model model;
        struct text term;
        random_model(&model);
        random_term(&term, 4);
        struct rules *rules = rules_new(model.rules, model.rules_count);
        struct caller *caller = caller_new(&(const struct caller_facts){
            .kind = CALLER_KEY, .grants = &model.grant, .grants_count = 1});
        const struct access access = {.rules = rules, .caller = caller, .now_us = 0};
        bool expected = model_allows(&model, str_of(&term));
        bool found = access_decide(&access, ACTION_READ, str_of(&term)) == ACCESS_ALLOWED;
        if (found != expected)
            fail_msg("round %u, %s: decided %d, expected %d", round, term.at, found, expected);
        allowed += found;
        caller_unref(caller);
        rules_unref(rules);
    }
    assert_in_range(allowed, ROUNDS / 10, ROUNDS - ROUNDS / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_of_the_table_has_its_verdict),
        cmocka_unit_test(management_is_done_where_it_has_an_address_of_its_own_alone),
        cmocka_unit_test(a_refusal_of_management_elsewhere_has_the_same_words_for_all),
        cmocka_unit_test(open_rules_allow_everything_and_no_rules_nothing),
        cmocka_unit_test(the_administrator_of_the_whole_server_reads_its_own_channels),
        cmocka_unit_test(an_action_is_allowed_somewhere_or_nowhere),
        cmocka_unit_test(a_permission_adds_to_the_grants_of_the_credential_that_it_rests_on),
        cmocka_unit_test(a_caller_without_a_credential_has_its_grants_and_the_rules_for_anybody),
        cmocka_unit_test(the_channels_of_presence_take_presence_on_the_channel_behind_the_prefix),
        cmocka_unit_test(a_refusal_says_that_the_operators_server_was_asked),
        cmocka_unit_test(a_refusal_says_what_was_missing),
        cmocka_unit_test(the_decision_is_that_over_all_names_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
