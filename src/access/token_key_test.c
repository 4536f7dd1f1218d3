#include "access/token_key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "access/testing_tokens.h"
#include "base/base64.h"

#include <errno.h>

static const enum token_algorithm pairs[] = {TOKEN_RS256, TOKEN_PS256, TOKEN_ES256, TOKEN_EDDSA};
enum { PAIRS = sizeof(pairs) / sizeof(*pairs) };

static void every_algorithm_has_a_name_that_finds_it(void **state)
{
    (void)state;
    for (unsigned i = 0; i < TOKEN_ALGORITHMS; i++)
        assert_int_equal(token_algorithm_of(str_from(token_algorithm_name(i))), i);
    assert_int_equal(token_algorithm_of(STR("Ed25519")), TOKEN_EDDSA);
}

static void names_of_unsupported_algorithms_find_none(void **state)
{
    (void)state;
    const struct str names[] = {STR("none"),  STR("None"), STR("NONE"),   STR(""),
                                STR("hs256"), STR("HS25"), STR("HS2560"), STR("RS384"),
                                STR("ES512"), STR("dir"),  STR("Ed448"),  STR("HS256\0")};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        assert_int_equal(token_algorithm_of(names[i]), TOKEN_ALGORITHMS);
}

/* Signs, verifies, and looks at a changed text and a changed signature. */
static void check_round(const struct token_key *signer, const struct token_key *verifier)
{
    struct buf signature = {0};
    struct str text = STR("header.claims");
    token_key_sign(signer, text, &signature);
    assert_false(buf_failed(&signature));
    assert_true(token_key_verifies(verifier, text, buf_str(&signature)));
    assert_false(token_key_verifies(verifier, STR("header.claimz"), buf_str(&signature)));
    for (size_t i = 0; i < signature.len; i += 7) {
        signature.at[i] ^= 1;
        assert_false(token_key_verifies(verifier, text, buf_str(&signature)));
        signature.at[i] ^= 1;
    }
    for (size_t len = 0; len < signature.len; len += 9)
        assert_false(token_key_verifies(verifier, text, (struct str){signature.at, len}));
    buf_add_char(&signature, '\0');
    assert_false(token_key_verifies(verifier, text, buf_str(&signature)));
    buf_free(&signature);
}

static void a_secret_verifies_just_its_own_signatures(void **state)
{
    (void)state;
    struct str secret = STR("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
    for (unsigned i = TOKEN_HS256; i <= TOKEN_HS512; i++) {
        struct token_key *key;
        const char *why;
        assert_int_equal(token_key_of_secret(i, secret, STR("k1"), &key, &why), 0);
        assert_true(token_key_signs(key));
        assert_true(str_eq(token_key_kid(key), STR("k1")));
        check_round(key, key);
        token_key_free(key);
    }
}

static void a_pair_verifies_just_its_own_signatures(void **state)
{
    (void)state;
    for (size_t i = 0; i < PAIRS; i++) {
        EVP_PKEY *pair = pair_testing(pairs[i]);
        char *private = pem_testing(pair, true), *public = pem_testing(pair, false);
        struct token_key *signer = pem_key_testing(pairs[i], private);
        struct token_key *verifier = pem_key_testing(pairs[i], public);
        assert_true(token_key_signs(signer));
        assert_false(token_key_signs(verifier));
        check_round(signer, verifier);
        token_key_free(signer);
        token_key_free(verifier);
        free(private);
        free(public);
        EVP_PKEY_free(pair);
    }
}

static void a_pem_key_takes_the_algorithm_of_its_kind(void **state)
{
    (void)state;
    for (size_t i = 0; i < PAIRS; i++) {
        EVP_PKEY *pair = pair_testing(pairs[i]);
        char *public = pem_testing(pair, false);
        struct token_key *key = pem_key_testing(TOKEN_ALGORITHMS, public);
        enum token_algorithm expected = pairs[i] == TOKEN_PS256 ? TOKEN_RS256 : pairs[i];
        assert_int_equal(token_key_algorithm(key), expected);
        token_key_free(key);
        free(public);
        EVP_PKEY_free(pair);
    }
}

static void refuse_pem(enum token_algorithm algorithm, struct str pem)
{
    struct token_key *key = NULL;
    const char *why = NULL;
    assert_int_equal(token_key_of_pem(algorithm, pem, STR(""), &key, &why), -EINVAL);
    assert_non_null(why);
    assert_null(key);
}

/* A public key may not verify a signature by a secret (RFC 8725 section 2.1). */
static void a_pem_key_of_another_kind_than_the_algorithm_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < PAIRS; i++) {
        EVP_PKEY *pair = pair_testing(pairs[i]);
        char *public = pem_testing(pair, false);
        bool is_rsa = pairs[i] == TOKEN_RS256 || pairs[i] == TOKEN_PS256;
        for (unsigned other = 0; other < TOKEN_ALGORITHMS; other++)
            if (other != pairs[i] && !(is_rsa && (other == TOKEN_RS256 || other == TOKEN_PS256)))
                refuse_pem(other, str_from(public));
        free(public);
        EVP_PKEY_free(pair);
    }
}

static void pem_keys_that_are_weak_or_of_other_curves_are_refused(void **state)
{
    (void)state;
    enum { WEAK = 4 };
    EVP_PKEY *const weak[WEAK] = {EVP_RSA_gen(1024), EVP_EC_gen("P-384"), EVP_EC_gen("secp256k1"),
                                  EVP_PKEY_Q_keygen(NULL, NULL, "ED448")};
    for (size_t i = 0; i < WEAK; i++) {
        char *public = pem_testing(weak[i], false);
        refuse_pem(TOKEN_ALGORITHMS, str_from(public));
        free(public);
        EVP_PKEY_free(weak[i]);
    }
}

static void texts_without_a_pem_key_are_refused(void **state)
{
    (void)state;
    refuse_pem(TOKEN_RS256, STR(""));
    refuse_pem(TOKEN_RS256, STR("secret"));
    refuse_pem(TOKEN_RS256, STR("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"));
}

static void secrets_shorter_than_the_digest_are_refused(void **state)
{
    (void)state;
    char secret[TOKEN_SECRET_MAX + 1] = {0};
    const size_t least[] = {32, 48, 64};
    for (unsigned i = TOKEN_HS256; i <= TOKEN_HS512; i++) {
        struct token_key *key = NULL;
        const char *why = NULL;
        struct str text = {secret, least[i] - 1};
        assert_int_equal(token_key_of_secret(i, text, STR(""), &key, &why), -EINVAL);
        text.len = sizeof(secret);
        assert_int_equal(token_key_of_secret(i, text, STR(""), &key, &why), -EINVAL);
        text.len = least[i];
        assert_int_equal(token_key_of_secret(i, text, STR(""), &key, &why), 0);
        token_key_free(key);
        assert_int_equal(token_key_of_secret(TOKEN_RS256, text, STR(""), &key, &why), -EINVAL);
    }
}

/* The numbers of a signature are 32 bytes each, even when they are small. */
static void an_es256_signature_is_64_bytes_long(void **state)
{
    (void)state;
    EVP_PKEY *pair = pair_testing(TOKEN_ES256);
    char *private = pem_testing(pair, true);
    struct token_key *key = pem_key_testing(TOKEN_ES256, private);
    for (unsigned i = 0; i < 300; i++) {
        struct buf signature = {0};
        token_key_sign(key, (struct str){(char *)&i, sizeof(i)}, &signature);
        assert_int_equal(signature.len, 64);
        assert_true(
            token_key_verifies(key, (struct str){(char *)&i, sizeof(i)}, buf_str(&signature)));
        buf_free(&signature);
    }
    token_key_free(key);
    free(private);
    EVP_PKEY_free(pair);
}

/* CVE-2022-21449: a library took them for everybody's signature. */
static void an_es256_signature_of_zeroes_is_refused(void **state)
{
    (void)state;
    struct token_keys *keys = jwks_testing(STR(RFC_P256_JWK));
    char zeroes[64] = {0};
    assert_false(token_key_verifies(keys->at[0], STR("x"), (struct str){zeroes, 64}));
    zeroes[31] = zeroes[63] = 1;
    assert_false(token_key_verifies(keys->at[0], STR("x"), (struct str){zeroes, 64}));
    token_keys_unref(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_algorithm_has_a_name_that_finds_it),
        cmocka_unit_test(names_of_unsupported_algorithms_find_none),
        cmocka_unit_test(a_secret_verifies_just_its_own_signatures),
        cmocka_unit_test(a_pair_verifies_just_its_own_signatures),
        cmocka_unit_test(a_pem_key_takes_the_algorithm_of_its_kind),
        cmocka_unit_test(a_pem_key_of_another_kind_than_the_algorithm_is_refused),
        cmocka_unit_test(pem_keys_that_are_weak_or_of_other_curves_are_refused),
        cmocka_unit_test(texts_without_a_pem_key_are_refused),
        cmocka_unit_test(secrets_shorter_than_the_digest_are_refused),
        cmocka_unit_test(an_es256_signature_is_64_bytes_long),
        cmocka_unit_test(an_es256_signature_of_zeroes_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
