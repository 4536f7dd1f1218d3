#include "access/token_keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "access/testing_tokens.h"
#include "base/base64.h"

#include <errno.h>
#include <openssl/bn.h>

static void the_keys_of_the_rfcs_are_taken(void **state)
{
    (void)state;
    struct token_keys *keys = jwks_testing(STR("{\"keys\":[" RFC_SECRET_JWK "," RFC_RSA_JWK
                                               "," RFC_P256_JWK "," RFC_ED25519_JWK "]}"));
    const enum token_algorithm expected[] = {TOKEN_HS256, TOKEN_RS256, TOKEN_ES256, TOKEN_EDDSA};
    assert_int_equal(keys->count, 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(token_key_algorithm(keys->at[i]), expected[i]);
    token_keys_unref(keys);
}

/* A member `name` with this value, before the others of the RSA key. */
static struct token_keys *with(const char *member, const char **ret_why)
{
    struct buf text = {0};
    struct token_keys *keys = NULL;
    buf_addf(&text, "{\"keys\":[{%s,%s]}", member, &RFC_RSA_JWK[1]);
    int result = token_keys_of_jwks(buf_str(&text), JWKS_PUBLIC, &keys, ret_why);
    assert_int_equal(result, keys ? 0 : -EINVAL);
    buf_free(&text);
    return keys;
}

static void the_algorithm_of_a_key_is_that_of_its_alg(void **state)
{
    (void)state;
    const char *why;
    struct token_keys *keys = with("\"alg\":\"PS256\",\"kid\":\"2026\",\"use\":\"sig\"", &why);
    assert_int_equal(token_key_algorithm(keys->at[0]), TOKEN_PS256);
    assert_true(str_eq(token_key_kid(keys->at[0]), STR("2026")));
    token_keys_unref(keys);
}

static void keys_that_cannot_verify_tokens_are_left_out(void **state)
{
    (void)state;
    const char *const members[] = {
        "\"alg\":\"RSA-OAEP\"", "\"alg\":\"none\"",       "\"alg\":\"HS256\"",
        "\"alg\":\"ES256\"",    "\"alg\":\"RS384\"",      "\"alg\":7",
        "\"use\":\"enc\"",      "\"use\":null",           "\"key_ops\":[\"encrypt\"]",
        "\"key_ops\":[]",       "\"key_ops\":\"verify\"", "\"d\":\"AQAB\"",
    };
    for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++) {
        const char *why = NULL;
        struct token_keys *keys = with(members[i], &why);
        if (keys)
            fail_msg("%s", members[i]);
        assert_non_null(why);
    }
}

static void a_broken_key_does_not_spoil_the_others(void **state)
{
    (void)state;
    struct token_keys *keys = jwks_testing(
        STR("{\"keys\":[7,{},{\"kty\":\"RSA\"},{\"kty\":\"new\"}," RFC_P256_JWK ",null]}"));
    assert_int_equal(keys->count, 1);
    assert_int_equal(token_key_algorithm(keys->at[0]), TOKEN_ES256);
    token_keys_unref(keys);
}

static void a_set_that_anybody_can_fetch_has_no_secrets(void **state)
{
    (void)state;
    struct token_keys *keys = NULL;
    const char *why;
    assert_int_equal(token_keys_of_jwks(STR(RFC_SECRET_JWK), JWKS_PUBLIC, &keys, &why), -EINVAL);
    assert_null(keys);
}

static void sets_without_a_usable_key_are_refused(void **state)
{
    (void)state;
    const struct str texts[] = {
        STR(""),
        STR("[]"),
        STR("null"),
        STR("{}"),
        STR("{\"keys\":[]}"),
        STR("{\"keys\":{}}"),
        STR("{\"keys\":7}"),
        STR("{\"keys\":[],\"keys\":[" RFC_RSA_JWK "]}"),
        STR("{\"kty\":\"oct\",\"kty\":\"oct\",\"k\":\"AAAA\"}"),
        STR("{\"kty\":\"oct\",\"k\":\"c2hvcnQ\"}"),
        STR("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_"
            "7TyWQHOg7hcvPapiMlrwIaaPcH\"}"),
        STR("{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"11qYAYKxCrfVS_"
            "7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}"),
        /* a point that is not on the curve */
        STR("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":"
            "\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
            "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a1\"}"),
        STR("{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":"
            "\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
            "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}"),
        STR("{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}"),
        STR("{\"kty\":\"RSA\",\"n\":\"\",\"e\":\"AQAB\"}"),
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct token_keys *keys = NULL;
        const char *why = NULL;
        if (token_keys_of_jwks(texts[i], JWKS_PRIVATE, &keys, &why) != -EINVAL)
            fail_msg("%.*s", STR_FMT(texts[i]));
        assert_non_null(why);
    }
}

static void an_rsa_key_with_a_trivial_exponent_is_refused(void **state)
{
    (void)state;
    struct buf text = {0};
    struct token_keys *keys = NULL;
    const char *why;
    size_t len = sizeof(RFC_RSA_JWK) - 1 - (sizeof("\"AQAB\"}") - 1);
    buf_add(&text, RFC_RSA_JWK, len);
    buf_add_lit(&text, "\"AQ\"}");
    assert_int_equal(token_keys_of_jwks(buf_str(&text), JWKS_PUBLIC, &keys, &why), -EINVAL);
    buf_free(&text);
}

/* The result for a key of 8192 bits with this modulus and exponent. */
static int read_rsa_of(BIGNUM *modulus, const char *exponent)
{
    unsigned char bytes[TOKEN_RSA_BITS_MOST / 8];
    struct buf text = {0};
    struct token_keys *keys = NULL;
    const char *why;
    assert_int_equal(BN_bn2binpad(modulus, bytes, sizeof(bytes)), sizeof(bytes));
    BN_free(modulus);
    buf_addf(&text, "{\"kty\":\"RSA\",\"e\":\"%s\",\"n\":\"", exponent);
    base64url_add(&text, (struct str){(const char *)bytes, sizeof(bytes)});
    buf_add_lit(&text, "\"}");
    int result = token_keys_of_jwks(buf_str(&text), JWKS_PUBLIC, &keys, &why);
    token_keys_unref(keys);
    buf_free(&text);
    return result;
}

/* To find out that a number of 8192 bits is prime takes a second, and a set has room for hundreds
 * of such keys: the thread that reads it would answer nobody meanwhile. */
static void the_modulus_of_an_rsa_key_is_odd_and_not_searched_for_factors(void **state)
{
    (void)state;
    BIGNUM *even = BN_get_rfc3526_prime_8192(NULL);
    assert_int_equal(BN_sub_word(even, 1), 1);
    assert_int_equal(read_rsa_of(BN_get_rfc3526_prime_8192(NULL), "AQAB"), 0);
    assert_int_equal(read_rsa_of(BN_get_rfc3526_prime_8192(NULL), "AQAA"), -EINVAL);
    assert_int_equal(read_rsa_of(even, "AQAB"), -EINVAL);
}

static void a_set_has_64_keys_at_most(void **state)
{
    (void)state;
    struct buf text = {0};
    buf_add_lit(&text, "{\"keys\":[");
    for (unsigned i = 0; i < TOKEN_KEYS_MAX + 10; i++)
        buf_addf(&text, "%s%s", i ? "," : "", RFC_ED25519_JWK);
    buf_add_lit(&text, "]}");
    struct token_keys *keys = jwks_testing(buf_str(&text));
    assert_int_equal(keys->count, TOKEN_KEYS_MAX);
    assert_ptr_equal(token_keys_ref(keys), keys);
    token_keys_unref(keys);
    token_keys_unref(keys);
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_keys_of_the_rfcs_are_taken),
        cmocka_unit_test(the_algorithm_of_a_key_is_that_of_its_alg),
        cmocka_unit_test(keys_that_cannot_verify_tokens_are_left_out),
        cmocka_unit_test(a_broken_key_does_not_spoil_the_others),
        cmocka_unit_test(a_set_that_anybody_can_fetch_has_no_secrets),
        cmocka_unit_test(sets_without_a_usable_key_are_refused),
        cmocka_unit_test(an_rsa_key_with_a_trivial_exponent_is_refused),
        cmocka_unit_test(the_modulus_of_an_rsa_key_is_odd_and_not_searched_for_factors),
        cmocka_unit_test(a_set_has_64_keys_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
