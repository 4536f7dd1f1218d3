#include "access/issuers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#define NOW_US (INT64_C(1800000000) * 1000000)
#define SECRET_A "0123456789abcdef0123456789abcdeA"
#define SECRET_B "0123456789abcdef0123456789abcdeB"

static struct token_key *key_of(const char *secret, const char *kid)
{
    struct token_key *key = NULL;
    const char *why = "";
    if (token_key_of_secret(TOKEN_HS256, str_from(secret), str_from(kid), &key, &why))
        abort();
    return key;
}

static struct token_keys *set_of(const char *secret, const char *kid)
{
    struct token_keys *keys = token_keys_new();
    assert_true(token_keys_add(keys, key_of(secret, kid)));
    return keys;
}

/* A token by this key. */
static struct buf mint(const char *secret, const char *kid, const char *claims)
{
    struct token_key *key = key_of(secret, kid);
    struct buf text = {0};
    token_mint(key, str_from(claims), &text);
    token_key_free(key);
    return text;
}

static void add(struct issuers *issuers, struct token_keys *keys, const char *issuer,
                const char *url)
{
    assert_true(issuers_add(issuers, &(struct issuer){.keys = keys,
                                                      .issuer = str_from(issuer),
                                                      .claim = STR("freshet"),
                                                      .jwks_url = url}));
}

static struct identity ask(struct issuers *issuers, enum credential_kind kind, struct str text)
{
    struct identification identification = {.now_us = NOW_US};
    struct credential credential = {.kind = kind, .text = text};
    return issuers->source.identify(&issuers->source, &credential, &identification);
}

static void each_issuer_is_held_to_its_own_keys(void **state)
{
    (void)state;
    static const struct {
        const char *secret, *claims;
        enum identity_state expected;
    } rows[] = {
        {SECRET_A, "{\"exp\":1800000060,\"iss\":\"a\"}", IDENTITY_KNOWN},
        {SECRET_B, "{\"exp\":1800000060,\"iss\":\"b\"}", IDENTITY_KNOWN},
        {SECRET_A, "{\"exp\":1800000060,\"iss\":\"b\"}", IDENTITY_BAD},
        {SECRET_B, "{\"exp\":1800000060,\"iss\":\"a\"}", IDENTITY_BAD},
        {SECRET_B, "{\"exp\":1800000060}", IDENTITY_BAD},
    };
    struct issuers issuers;
    issuers_init(&issuers);
    add(&issuers, set_of(SECRET_A, ""), "a", NULL);
    add(&issuers, set_of(SECRET_B, ""), "b", NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct buf text = mint(rows[i].secret, "", rows[i].claims);
        struct identity identity = ask(&issuers, CREDENTIAL_BEARER, buf_str(&text));
        assert_int_equal(identity.state, rows[i].expected);
        assert_int_equal(identity.caller != NULL, identity.state == IDENTITY_KNOWN);
        caller_unref(identity.caller);
        buf_free(&text);
    }
    issuers_deinit(&issuers);
}

static void the_reason_is_that_of_the_issuer_that_came_nearest(void **state)
{
    (void)state;
    struct issuers issuers;
    issuers_init(&issuers);
    add(&issuers, set_of(SECRET_A, "a"), "", NULL);
    add(&issuers, set_of(SECRET_B, "b"), "", NULL);
    struct buf text = mint(SECRET_A, "a", "{\"exp\":5}");
    struct identity identity = ask(&issuers, CREDENTIAL_QUERY, buf_str(&text));
    assert_string_equal(identity.why, token_verdict_text(TOKEN_EXPIRED));
    buf_free(&text);
    issuers_deinit(&issuers);
}

static void credentials_of_another_kind_are_left_to_others(void **state)
{
    (void)state;
    struct issuers issuers;
    issuers_init(&issuers);
    assert_int_equal(ask(&issuers, CREDENTIAL_BEARER, STR("a.b.c")).state, IDENTITY_FOREIGN);
    add(&issuers, set_of(SECRET_A, ""), "", NULL);
    assert_int_equal(ask(&issuers, CREDENTIAL_BEARER, STR("a.b.c")).state, IDENTITY_BAD);
    assert_int_equal(ask(&issuers, CREDENTIAL_BEARER, STR("frk_abc")).state, IDENTITY_FOREIGN);
    assert_int_equal(ask(&issuers, CREDENTIAL_BASIC, STR("a.b.c")).state, IDENTITY_FOREIGN);
    assert_int_equal(ask(&issuers, CREDENTIAL_CERTIFICATE, STR("a.b.c")).state, IDENTITY_FOREIGN);
    issuers_deinit(&issuers);
}

static issuers_set fetched;

static const char *fetch(struct issuers *issuers, issuers_set wanted, struct str text,
                         struct identification *identification)
{
    (void)issuers, (void)text, (void)identification;
    fetched = wanted;
    return NULL;
}

static void newer_keys_are_asked_for_when_the_id_is_unknown(void **state)
{
    (void)state;
    struct issuers issuers;
    issuers_init(&issuers);
    issuers.fetch = fetch;
    add(&issuers, set_of(SECRET_A, ""), "", NULL);
    add(&issuers, set_of(SECRET_B, "old"), "", "https://idp/keys");
    struct buf text = mint(SECRET_B, "new", "{\"exp\":1800000060}");
    fetched = 0;
    assert_int_equal(ask(&issuers, CREDENTIAL_BEARER, buf_str(&text)).state, IDENTITY_LATER);
    assert_int_equal(fetched, 2);
    issuers_set_keys(&issuers, 1, set_of(SECRET_B, "new"));
    struct identity identity = ask(&issuers, CREDENTIAL_BEARER, buf_str(&text));
    assert_int_equal(identity.state, IDENTITY_KNOWN);
    caller_unref(identity.caller);
    buf_free(&text);
    issuers_deinit(&issuers);
}

/* Else its holder would hear that the server is unavailable while the keys of another issuer are
 * missing, and not get a new token. */
static void no_keys_are_asked_for_when_an_issuer_knows_the_token_as_expired(void **state)
{
    (void)state;
    static const char *const claims[] = {"{\"exp\":5}", "{\"nbf\":1800000060,\"exp\":1800000090}"};
    struct issuers issuers;
    issuers_init(&issuers);
    issuers.fetch = fetch;
    add(&issuers, set_of(SECRET_A, ""), "", NULL);
    add(&issuers, NULL, "", "https://idp/keys");
    fetched = 0;
    for (size_t i = 0; i < 2; i++) {
        struct buf text = mint(SECRET_A, "new", claims[i]);
        assert_int_equal(ask(&issuers, CREDENTIAL_BEARER, buf_str(&text)).state, IDENTITY_BAD);
        buf_free(&text);
    }
    assert_int_equal(ask(&issuers, CREDENTIAL_BEARER, STR("a.b.c")).state, IDENTITY_BAD);
    assert_int_equal(fetched, 0);
    issuers_deinit(&issuers);
}

/* Issuers that publish a single key often leave the id out, and rotate it all the same. */
static void newer_keys_are_asked_for_by_tokens_without_an_id(void **state)
{
    (void)state;
    struct issuers issuers;
    issuers_init(&issuers);
    issuers.fetch = fetch;
    add(&issuers, set_of(SECRET_A, ""), "", "https://idp/keys");
    fetched = 0;
    struct buf text = mint(SECRET_B, "", "{\"exp\":1800000060}");
    assert_int_equal(ask(&issuers, CREDENTIAL_BEARER, buf_str(&text)).state, IDENTITY_LATER);
    assert_int_equal(fetched, 1);
    buf_free(&text);
    issuers_deinit(&issuers);
}

static void an_issuer_whose_keys_are_missing_admits_nobody(void **state)
{
    (void)state;
    struct issuers issuers;
    issuers_init(&issuers);
    add(&issuers, set_of(SECRET_A, "old"), "", "https://idp/keys");
    issuers_set_keys(&issuers, 0, NULL);
    struct buf text = mint(SECRET_A, "old", "{\"exp\":1800000060}");
    assert_int_equal(ask(&issuers, CREDENTIAL_BEARER, buf_str(&text)).state, IDENTITY_UNAVAILABLE);
    buf_free(&text);
    issuers_deinit(&issuers);
}

/* Keys without an id are tried one after the other, and one set may have more than there are tries.
 */
static void the_keys_of_one_issuer_do_not_use_up_the_tries_of_the_next(void **state)
{
    (void)state;
    struct issuers issuers;
    struct token_keys *many = token_keys_new();
    for (unsigned i = 0; i < TOKEN_KEYS_MAX; i++)
        assert_true(token_keys_add(many, key_of(SECRET_B, "")));
    issuers_init(&issuers);
    add(&issuers, many, "", NULL);
    for (unsigned i = 2; i < ISSUERS_MAX; i++)
        add(&issuers, set_of(SECRET_B, ""), "", NULL);
    add(&issuers, set_of(SECRET_A, ""), "", NULL);
    struct buf text = mint(SECRET_A, "", "{\"exp\":1800000060}");
    struct identity identity = ask(&issuers, CREDENTIAL_BEARER, buf_str(&text));
    assert_int_equal(identity.state, IDENTITY_KNOWN);
    caller_unref(identity.caller);
    buf_free(&text);
    issuers_deinit(&issuers);
}

/* ---- tokens that are remembered ---- */

static struct identity ask_at(struct issuers *issuers, struct str text, int64_t now_us)
{
    struct identification identification = {.now_us = now_us};
    struct credential credential = {.kind = CREDENTIAL_BEARER, .text = text};
    return issuers->source.identify(&issuers->source, &credential, &identification);
}

static bool is_known(struct issuers *issuers, struct str text, int64_t now_us)
{
    struct identity identity = ask_at(issuers, text, now_us);
    caller_unref(identity.caller);
    return identity.state == IDENTITY_KNOWN;
}

static void a_token_that_comes_again_is_not_verified_again(void **state)
{
    (void)state;
    struct issuers issuers;
    issuers_init(&issuers);
    issuers_remember(&issuers, 1 << 20);
    add(&issuers, set_of(SECRET_A, ""), "", NULL);
    struct buf text = mint(SECRET_A, "", "{\"exp\":1800000060,\"sub\":\"alice\"}");
    struct identity first = ask_at(&issuers, buf_str(&text), NOW_US);
    struct identity again = ask_at(&issuers, buf_str(&text), NOW_US);
    assert_ptr_equal(first.caller, again.caller);
    assert_int_equal(token_cache_stats(issuers.cache).found, 1);
    assert_false(is_known(&issuers, buf_str(&text), NOW_US + INT64_C(60) * 1000000));
    caller_unref(first.caller);
    caller_unref(again.caller);
    buf_free(&text);
    issuers_deinit(&issuers);
}

/* The signature stays that of the claims before. */
static void a_token_that_was_changed_is_verified_anew(void **state)
{
    (void)state;
    struct issuers issuers;
    issuers_init(&issuers);
    issuers_remember(&issuers, 1 << 20);
    add(&issuers, set_of(SECRET_A, ""), "", NULL);
    struct buf text = mint(SECRET_A, "", "{\"exp\":1800000060}");
    assert_true(is_known(&issuers, buf_str(&text), NOW_US));
    for (size_t i = 0; i < text.len; i++) {
        text.at[i] ^= 1;
        assert_false(is_known(&issuers, buf_str(&text), NOW_US));
        text.at[i] ^= 1;
    }
    assert_int_equal(token_cache_stats(issuers.cache).tokens, 1);
    buf_free(&text);
    issuers_deinit(&issuers);
}

static void a_remembered_token_ends_with_its_key(void **state)
{
    (void)state;
    struct issuers issuers;
    issuers_init(&issuers);
    issuers_remember(&issuers, 1 << 20);
    add(&issuers, set_of(SECRET_A, ""), "", "https://idp/keys");
    struct buf text = mint(SECRET_A, "", "{\"exp\":1800000060}");
    assert_true(is_known(&issuers, buf_str(&text), NOW_US));
    issuers_set_keys(&issuers, 0, set_of(SECRET_B, ""));
    assert_false(is_known(&issuers, buf_str(&text), NOW_US));
    issuers_set_keys(&issuers, 0, set_of(SECRET_A, ""));
    assert_true(is_known(&issuers, buf_str(&text), NOW_US));
    issuers_set_keys(&issuers, 0, NULL);
    assert_false(is_known(&issuers, buf_str(&text), NOW_US));
    buf_free(&text);
    issuers_deinit(&issuers);
}

static void tokens_that_are_refused_are_not_remembered(void **state)
{
    (void)state;
    struct issuers issuers;
    issuers_init(&issuers);
    issuers_remember(&issuers, 1 << 20);
    add(&issuers, set_of(SECRET_A, ""), "", NULL);
    struct buf early = mint(SECRET_A, "", "{\"exp\":1800000060,\"nbf\":1800000020}");
    struct buf other = mint(SECRET_B, "", "{\"exp\":1800000060}");
    assert_false(is_known(&issuers, buf_str(&early), NOW_US));
    assert_false(is_known(&issuers, buf_str(&other), NOW_US));
    assert_int_equal(token_cache_stats(issuers.cache).tokens, 0);
    assert_true(is_known(&issuers, buf_str(&early), NOW_US + INT64_C(30) * 1000000));
    assert_false(is_known(&issuers, buf_str(&early), NOW_US));
    buf_free(&early);
    buf_free(&other);
    issuers_deinit(&issuers);
}

static void there_are_16_issuers_at_most(void **state)
{
    (void)state;
    struct issuers issuers;
    issuers_init(&issuers);
    for (unsigned i = 0; i < ISSUERS_MAX; i++)
        add(&issuers, NULL, "", NULL);
    assert_false(issuers_add(&issuers, &(struct issuer){.leeway_s = 0}));
    issuers_deinit(&issuers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_issuer_is_held_to_its_own_keys),
        cmocka_unit_test(the_reason_is_that_of_the_issuer_that_came_nearest),
        cmocka_unit_test(credentials_of_another_kind_are_left_to_others),
        cmocka_unit_test(newer_keys_are_asked_for_when_the_id_is_unknown),
        cmocka_unit_test(no_keys_are_asked_for_when_an_issuer_knows_the_token_as_expired),
        cmocka_unit_test(newer_keys_are_asked_for_by_tokens_without_an_id),
        cmocka_unit_test(an_issuer_whose_keys_are_missing_admits_nobody),
        cmocka_unit_test(the_keys_of_one_issuer_do_not_use_up_the_tries_of_the_next),
        cmocka_unit_test(a_token_that_comes_again_is_not_verified_again),
        cmocka_unit_test(a_token_that_was_changed_is_verified_anew),
        cmocka_unit_test(a_remembered_token_ends_with_its_key),
        cmocka_unit_test(tokens_that_are_refused_are_not_remembered),
        cmocka_unit_test(there_are_16_issuers_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
