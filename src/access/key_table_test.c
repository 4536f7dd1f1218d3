#include "access/key_table.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NOW INT64_C(1800000000000000)

/* Adds a key that ends at `expires_us`, and returns its text. */
static const char *add_key(struct key_table *table, const char *name, int64_t expires_us)
{
    static char text[KEY_TEXT_LEN + 1];
    struct key_digest digest;
    const struct api_key_facts facts = {.name = str_from(name), .expires_us = expires_us};
    key_text_make(text, &digest);
    key_table_put(table, api_key_new(&digest, &facts));
    return text;
}

static struct identity ask(struct key_table *table, enum credential_kind kind, const char *text)
{
    const struct credential credential = {.kind = kind, .text = str_from(text)};
    struct identification identification = {.now_us = NOW};
    return table->source.identify(&table->source, &credential, &identification);
}

static int set_up(void **state)
{
    static struct key_table table;
    key_table_init(&table);
    *state = &table;
    return 0;
}

static int tear_down(void **state)
{
    key_table_deinit(*state);
    return 0;
}

static void a_key_makes_a_caller_of_its_name(void **state)
{
    char both[200];
    const char *text = add_key(*state, "site", 0);
    static const enum credential_kind kinds[] = {CREDENTIAL_BEARER,  CREDENTIAL_QUERY,
                                                 CREDENTIAL_COOKIE,  CREDENTIAL_SUBPROTOCOL,
                                                 CREDENTIAL_MESSAGE, CREDENTIAL_BASIC};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct identity identity = ask(*state, kinds[i], text);
        assert_int_equal(identity.state, IDENTITY_KNOWN);
        assert_true(str_eq(caller_subject(identity.caller), STR("site")));
        caller_unref(identity.caller);
    }
    static const char *const forms[] = {"%s:", "anybody:%s", ":%s"};
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        const char *colon = strchr(forms[i], '%');
        snprintf(both, sizeof(both), "%.*s%s%s", (int)(colon - forms[i]), forms[i], text,
                 colon + 2);
        struct identity identity = ask(*state, CREDENTIAL_BASIC, both);
        assert_int_equal(identity.state, IDENTITY_KNOWN);
        caller_unref(identity.caller);
    }
}

static void a_key_with_any_other_character_is_refused(void **state)
{
    char wrong[KEY_TEXT_LEN + 1];
    const char *text = add_key(*state, "site", 0);
    for (size_t i = 3; i < KEY_TEXT_LEN; i++) {
        memcpy(wrong, text, sizeof(wrong));
        wrong[i] = wrong[i] == 'a' ? 'b' : 'a';
        assert_int_equal(ask(*state, CREDENTIAL_BEARER, wrong).state, IDENTITY_BAD);
    }
    assert_int_equal(ask(*state, CREDENTIAL_BEARER, "fk_").state, IDENTITY_BAD);
}

static void other_credentials_are_left_to_other_sources(void **state)
{
    const char *text = add_key(*state, "site", 0);
    static const char *const others[] = {"", "eyJhbGciOiJub25lIn0.e30.", "user:password", "FK_abc"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_int_equal(ask(*state, CREDENTIAL_BEARER, others[i]).state, IDENTITY_FOREIGN);
        assert_int_equal(ask(*state, CREDENTIAL_BASIC, others[i]).state, IDENTITY_FOREIGN);
    }
    assert_int_equal(ask(*state, CREDENTIAL_CERTIFICATE, text).state, IDENTITY_FOREIGN);
}

static void a_key_that_has_expired_is_refused(void **state)
{
    char first[KEY_TEXT_LEN + 1];
    memcpy(first, add_key(*state, "old", NOW), sizeof(first));
    assert_int_equal(ask(*state, CREDENTIAL_BEARER, first).state, IDENTITY_BAD);
    struct identity identity = ask(*state, CREDENTIAL_BEARER, add_key(*state, "new", NOW + 1));
    assert_int_equal(identity.state, IDENTITY_KNOWN);
    caller_unref(identity.caller);
}

static void a_key_that_was_removed_is_refused_and_its_callers_are_told_apart(void **state)
{
    char text[KEY_TEXT_LEN + 1];
    memcpy(text, add_key(*state, "site", 0), sizeof(text));
    struct caller *caller = ask(*state, CREDENTIAL_BEARER, text).caller;
    struct caller *allowed =
        caller_new(&(const struct caller_facts){.kind = CALLER_BACKEND, .base = caller});
    assert_false(key_table_is_gone(*state, caller));
    assert_false(key_table_is_gone(*state, allowed));
    assert_false(key_table_is_gone(*state, NULL));
    assert_true(key_table_remove(*state, caller->facts.key_id));
    assert_false(key_table_remove(*state, caller->facts.key_id));
    assert_true(key_table_is_gone(*state, caller));
    assert_true(key_table_is_gone(*state, allowed));
    assert_int_equal(ask(*state, CREDENTIAL_BEARER, text).state, IDENTITY_BAD);
    assert_int_equal(key_table_count(*state), 0);
    caller_unref(caller);
    caller_unref(allowed);
}

static void note_use_of(void *context, struct api_key *key)
{
    int64_t *used_us = context;
    *used_us = atomic_load(&key->used_us);
}

static void a_use_is_noted(void **state)
{
    int64_t used_us = -1;
    const char *text = add_key(*state, "site", 0);
    const struct str id = {text + 3, KEY_ID_LEN};
    assert_true(key_table_look(*state, id, note_use_of, &used_us));
    assert_true(used_us == 0);
    caller_unref(ask(*state, CREDENTIAL_BEARER, text).caller);
    assert_true(key_table_look(*state, id, note_use_of, &used_us));
    assert_true(used_us == NOW);
    assert_false(key_table_look(*state, STR("abcdefghij"), note_use_of, &used_us));
}

/* A key of the configuration with this text and a grant of this pattern. */
static struct api_key *configured(const char *text, const char *pattern)
{
    const struct str patterns[] = {str_from(pattern)};
    const struct grant grants[] = {{patterns, 1, action_bit(ACTION_READ)}};
    const struct api_key_facts facts = {
        .name = STR("site"), .grants = grants, .grants_count = 1, .is_configured = true};
    struct key_digest digest;
    assert_true(key_text_read(str_from(text), &digest));
    return api_key_new(&digest, &facts);
}

static void keys_of_the_configuration_are_replaced_and_equal_ones_stay(void **state)
{
    char texts[2][KEY_TEXT_LEN + 1];
    struct key_digest digest;
    const char *made = add_key(*state, "made", 0);
    struct caller *by_api = ask(*state, CREDENTIAL_BEARER, made).caller;
    for (size_t i = 0; i < 2; i++)
        key_text_make(texts[i], &digest);
    struct api_key *keys[] = {configured(texts[0], "a"), configured(texts[1], "a")};
    assert_false(key_table_replace_configured(*state, keys, 2));
    assert_null(keys[0]);
    struct caller *before = ask(*state, CREDENTIAL_BEARER, texts[0]).caller;

    struct api_key *same[] = {configured(texts[0], "a"), configured(texts[1], "a")};
    assert_false(key_table_replace_configured(*state, same, 2));
    assert_null(key_table_renew(*state, before));

    struct api_key *fewer[] = {configured(texts[0], "b")};
    assert_true(key_table_replace_configured(*state, fewer, 1));
    struct caller *now = key_table_renew(*state, before);
    assert_false(caller_equal(now, before));
    caller_unref(now);
    assert_int_equal(ask(*state, CREDENTIAL_BEARER, texts[1]).state, IDENTITY_BAD);

    assert_true(key_table_replace_configured(*state, NULL, 0));
    assert_true(key_table_is_gone(*state, before));
    assert_null(key_table_renew(*state, before));
    assert_false(key_table_is_gone(*state, by_api)); /* keys of the API stay */
    caller_unref(before);
    caller_unref(by_api);
}

static bool add_name(void *context, struct api_key *key)
{
    struct buf *seen = context;
    buf_add_str(seen, key->caller->facts.subject);
    return seen->len < 3;
}

static struct api_key *key_made_at(int64_t at_us, const char *id_and_name)
{
    const struct api_key_facts facts = {.name = {id_and_name, 1}, .created_us = at_us};
    struct key_digest digest = {.hash = {0}};
    memset(digest.id, id_and_name[0], KEY_ID_LEN);
    return api_key_new(&digest, &facts);
}

static void keys_are_listed_from_a_place_by_time_and_id_up_to_where_that_is_enough(void **state)
{
    struct key_table *table = *state;
    static const struct {
        struct made after;
        const char *seen;
    } rows[] = {
        {{-1, {"", 0}}, "abc"},
        {{0, {"bbbbbbbbbb", 10}}, "cdx"},
        {{0, {"bbbbbbbbba", 10}}, "bcd"},
        {{0, {"zzzzzzzzzz", 10}}, "dx"},
        {{5, {"", 0}}, "dx"},
        {{5, {"dddddddddd", 10}}, "x"},
        {{6, {"dddddddddd", 10}}, "x"},
        {{7, {"xxxxxxxxxx", 10}}, ""},
        {{INT64_MAX, {"", 0}}, ""},
    };
    key_table_put(table, key_made_at(7, "x"));
    key_table_put(table, key_made_at(0, "c"));
    key_table_put(table, key_made_at(0, "a"));
    key_table_put(table, key_made_at(5, "d"));
    key_table_put(table, key_made_at(0, "b"));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf seen = {0};
        key_table_each_behind(table, rows[i].after, add_name, &seen);
        assert_true(str_eq(buf_str(&seen), str_from(rows[i].seen)));
        buf_free(&seen);
    }
}

/* The bearer of a key, to whom the operator's server has allowed more in two answers. */
static struct caller *permitted(struct caller *key, int64_t expires_us)
{
    const struct str patterns[] = {STR("site/**")};
    const struct grant grant = {patterns, 1, action_bit(ACTION_READ)};
    struct caller_facts facts = {.kind = CALLER_BACKEND,
                                 .subject = STR("alice"),
                                 .base = key,
                                 .expires_us = expires_us,
                                 .grants = &grant,
                                 .grants_count = 1};
    struct caller *first = caller_new(&facts);
    facts.base = first;
    struct caller *second = caller_new(&facts);
    caller_unref(first);
    return second;
}

static void a_caller_that_rests_on_a_key_loses_what_the_key_does(void **state)
{
    static const int64_t ends_us[] = {0, NOW + 5};
    char text[KEY_TEXT_LEN + 1];
    struct key_digest digest;
    for (size_t i = 0; i < sizeof(ends_us) / sizeof(ends_us[0]); i++) {
        key_text_make(text, &digest);
        struct api_key *keys[] = {configured(text, "a")}, *fewer[] = {configured(text, "b")};
        key_table_replace_configured(*state, keys, 1);
        struct caller *key = ask(*state, CREDENTIAL_BEARER, text).caller;
        struct caller *before = permitted(key, ends_us[i]);
        assert_null(key_table_renew(*state, before));

        key_table_replace_configured(*state, fewer, 1);
        struct caller *now = key_table_renew(*state, before);
        const struct caller *base = now->facts.base->facts.base;
        assert_true(str_eq(base->facts.grants[0].patterns[0], STR("b")));
        assert_null(base->facts.base);
        assert_true(caller_equal(now, before)); /* what was allowed besides is as before */
        caller_unref(now);
        caller_unref(before);
        caller_unref(key);
    }
}

static void a_caller_that_rests_on_a_key_ends_with_it(void **state)
{
    struct caller *old = caller_new(&(const struct caller_facts){.kind = CALLER_KEY});
    static const int64_t rows[][3] = {/* of the permission, of the key, of both */
                                      {0, 0, 0},
                                      {9, 0, 9},
                                      {0, 7, 7},
                                      {9, 7, 7},
                                      {7, 9, 7}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct caller_facts facts = {.kind = CALLER_KEY, .expires_us = rows[i][1]};
        struct caller *before = permitted(old, rows[i][0]);
        struct caller *now = caller_on(before, caller_new(&facts));
        assert_int_equal(now->facts.expires_us, rows[i][2]);
        assert_int_equal(now->facts.base->facts.kind, CALLER_KEY);
        caller_unref(now);
        caller_unref(before);
    }
    caller_unref(old);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_key_makes_a_caller_of_its_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_with_any_other_character_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(other_credentials_are_left_to_other_sources, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_key_that_has_expired_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_key_that_was_removed_is_refused_and_its_callers_are_told_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_use_is_noted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_of_the_configuration_are_replaced_and_equal_ones_stay,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            keys_are_listed_from_a_place_by_time_and_id_up_to_where_that_is_enough, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(a_caller_that_rests_on_a_key_loses_what_the_key_does,
                                        set_up, tear_down),
        cmocka_unit_test(a_caller_that_rests_on_a_key_ends_with_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
