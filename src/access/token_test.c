#include "access/token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "access/testing_tokens.h"
#include "base/base64.h"

#define NOW_S INT64_C(1800000000)
#define GRANTS                                                                                     \
    ",\"freshet\":{\"grants\":[{\"channels\":[\"chat/"                                             \
    "**\",\"news\"],\"may\":[\"read\",\"publish\"]}]}"

static const char secret[] = "0123456789abcdef0123456789abcdef";

static struct token_keys *keys_of(const char *kid)
{
    struct token_keys *keys = token_keys_new();
    struct token_key *key;
    const char *why;
    assert_int_equal(token_key_of_secret(TOKEN_HS256, str_from(secret), str_from(kid), &key, &why),
                     0);
    assert_true(token_keys_add(keys, key));
    return keys;
}

/* Signs any header and claims. */
static struct buf sign(const struct token_key *key, struct str header, struct str claims)
{
    struct buf text = {0}, signature = {0};
    base64url_add(&text, header);
    buf_add_char(&text, '.');
    base64url_add(&text, claims);
    token_key_sign(key, buf_str(&text), &signature);
    buf_add_char(&text, '.');
    base64url_add(&text, buf_str(&signature));
    buf_free(&signature);
    return text;
}

/* Parses and admits a copy that ends with its last byte, so that a sanitizer sees reads beyond. */
static enum token_verdict admit(struct str text, const struct token_check *check,
                                struct caller **ret)
{
    char *copy = malloc(text.len ? text.len : 1);
    struct token token;
    unsigned tries = TOKEN_TRIES_MAX;
    memcpy(copy, text.len ? text.at : "", text.len);
    enum token_verdict verdict = token_parse((struct str){copy, text.len}, &token);
    if (verdict == TOKEN_OK)
        verdict = token_admit(&token, check, NOW_S * 1000000, &tries, ret);
    token_deinit(&token);
    free(copy);
    return verdict;
}

static enum token_verdict admit_claims(struct str claims, const struct token_check *check)
{
    struct token_keys *keys = keys_of("");
    struct token_check own = check ? *check : (struct token_check){.claim = STR("freshet")};
    struct caller *caller = NULL;
    own.keys = keys;
    struct buf text = sign(keys->at[0], STR("{\"alg\":\"HS256\"}"), claims);
    enum token_verdict verdict = admit(buf_str(&text), &own, &caller);
    assert_int_equal(caller != NULL, verdict == TOKEN_OK);
    caller_unref(caller);
    buf_free(&text);
    token_keys_unref(keys);
    return verdict;
}

static struct caller *admitted(struct str text, const struct token_check *check)
{
    struct caller *caller = NULL;
    assert_int_equal(admit(text, check, &caller), TOKEN_OK);
    if (!caller)
        abort(); /* the analyser does not know that the line above does not return */
    return caller;
}

static void the_caller_is_who_the_token_says(void **state)
{
    (void)state;
    struct token_keys *keys = keys_of("k1");
    struct token_check check = {keys, STR(""), STR(""), STR("freshet"), 10, 0};
    struct buf text = {0};
    token_mint(keys->at[0], STR("{\"sub\":\"alice\",\"jti\":\"t1\",\"exp\":1800000060" GRANTS "}"),
               &text);
    struct caller *caller = admitted(buf_str(&text), &check);
    assert_int_equal(caller->facts.kind, CALLER_TOKEN);
    assert_true(str_eq(caller->facts.subject, STR("alice")));
    assert_true(str_eq(caller->facts.jti, STR("t1")));
    assert_int_equal(caller->facts.expires_us, (NOW_S + 70) * 1000000);
    assert_int_equal(caller->facts.grants_count, 1);
    assert_int_equal(caller->facts.grants[0].patterns_count, 2);
    assert_true(str_eq(caller->facts.grants[0].patterns[1], STR("news")));
    assert_int_equal(caller->facts.grants[0].may,
                     action_bit(ACTION_READ) | action_bit(ACTION_PUBLISH));
    caller_unref(caller);
    buf_free(&text);
    token_keys_unref(keys);
}

/* A revocation of a subject spares what was issued later, but not what says so of the future. */
static void a_time_of_issue_in_the_future_is_none(void **state)
{
    (void)state;
    static const struct {
        struct str claims;
        int64_t issued_s;
    } rows[] = {
        {{"{\"exp\":1800000060,\"iat\":1799999000}", 35}, 1799999000},
        {{"{\"exp\":1800000060,\"iat\":1800000010}", 35}, 1800000010}, /* by the leeway */
        {{"{\"exp\":1800000060,\"iat\":1800000011}", 35}, 0},
        {{"{\"exp\":1800000060}", 18}, 0},
    };
    struct token_keys *keys = keys_of("");
    const struct token_check check = {keys, STR(""), STR(""), STR("freshet"), 10, 0};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf text = sign(keys->at[0], STR("{\"alg\":\"HS256\"}"), rows[i].claims);
        struct caller *caller = admitted(buf_str(&text), &check);
        assert_int_equal(caller->facts.issued_us, rows[i].issued_s * 1000000);
        caller_unref(caller);
        buf_free(&text);
    }
    token_keys_unref(keys);
}

/* The signatures of RFC 7515 appendices A.1 to A.3; their tokens expired in 2011. RFC 8037 appendix
 * A.4 signs a text that is no JSON. */
static void signatures_of_the_rfcs_are_verified(void **state)
{
    (void)state;
    static const struct {
        struct str jwk, text;
        enum token_verdict verdict;
    } rows[] = {
        {STR(RFC_SECRET_JWK),
         STR("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." RFC_CLAIMS
             ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
         TOKEN_EXPIRED},
        {STR(RFC_RSA_JWK),
         STR("eyJhbGciOiJSUzI1NiJ9." RFC_CLAIMS
             ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_"
             "lF5YKt_"
             "O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_"
             "nZLgrnbyTyWzO75vRK5h6xBArLIAR"
             "NPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-"
             "eOkHWEsqtFZESc6BfI7noOPqvh"
             "J1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_"
             "IoypGlUPQGe77Rw"),
         TOKEN_EXPIRED},
        {STR(RFC_P256_JWK),
         STR("eyJhbGciOiJFUzI1NiJ9." RFC_CLAIMS
             ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-"
             "Kg6NU1"
             "Q"),
         TOKEN_EXPIRED},
        {STR(RFC_ED25519_JWK),
         STR("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
             ".hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_"
             "MuM0KA"
             "g"),
         TOKEN_BAD_CLAIMS},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct token_keys *keys = jwks_testing(rows[i].jwk);
        struct token_check check = {.keys = keys, .claim = STR("freshet")};
        struct caller *caller = NULL;
        assert_int_equal(admit(rows[i].text, &check, &caller), rows[i].verdict);
        token_keys_unref(keys);
    }
}

/* RFC 7519 section 6.1 and RFC 8725 section 2.1. */
static void a_token_without_a_signature_is_refused(void **state)
{
    (void)state;
    static const struct str texts[] = {
        STR("eyJhbGciOiJub25lIn0." RFC_CLAIMS "."), /* alg none */
        STR("eyJhbGciOiJOb25lIn0." RFC_CLAIMS "."), /* alg: None */
        STR("eyJhbGciOiJub25lIn0." RFC_CLAIMS ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
        STR("eyJhbGciOiJIUzI1NiJ9." RFC_CLAIMS "."),
    };
    static const struct str jwks[] = {STR(RFC_SECRET_JWK), STR(RFC_RSA_JWK), STR(RFC_P256_JWK),
                                      STR(RFC_ED25519_JWK)};
    for (size_t k = 0; k < sizeof(jwks) / sizeof(*jwks); k++) {
        struct token_keys *keys = jwks_testing(jwks[k]);
        struct token_check check = {.keys = keys, .claim = STR("freshet")};
        for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
            struct caller *caller = NULL;
            enum token_verdict verdict = admit(texts[i], &check, &caller);
            assert_true(verdict == TOKEN_BAD_ALGORITHM || verdict == TOKEN_BAD_SIGNATURE);
        }
        token_keys_unref(keys);
    }
}

/* The public key, which everybody has, as the secret of an HMAC (RFC 8725 section 2.1). */
static void a_public_key_is_never_taken_for_a_secret(void **state)
{
    (void)state;
    EVP_PKEY *pair = pair_testing(TOKEN_RS256);
    char *pem = pem_testing(pair, false);
    struct token_keys *keys = token_keys_new();
    struct token_check check = {.keys = keys, .claim = STR("freshet")};
    struct token_key *forger;
    struct caller *caller = NULL;
    const char *why;
    assert_true(token_keys_add(keys, pem_key_testing(TOKEN_RS256, pem)));
    assert_int_equal(token_key_of_secret(TOKEN_HS256, str_from(pem), STR(""), &forger, &why), 0);
    struct str claims = STR("{\"exp\":1800000060}");
    struct buf text = sign(forger, STR("{\"alg\":\"HS256\"}"), claims);
    assert_int_equal(admit(buf_str(&text), &check, &caller), TOKEN_BAD_ALGORITHM);
    buf_free(&text);
    text = sign(forger, STR("{\"alg\":\"RS256\"}"), claims);
    assert_int_equal(admit(buf_str(&text), &check, &caller), TOKEN_BAD_SIGNATURE);
    buf_free(&text);
    token_key_free(forger);
    token_keys_unref(keys);
    free(pem);
    EVP_PKEY_free(pair);
}

/* A key is bound to one algorithm, even if it could serve another. */
static void a_key_for_rs256_does_not_verify_ps256(void **state)
{
    (void)state;
    EVP_PKEY *pair = pair_testing(TOKEN_RS256);
    char *pem = pem_testing(pair, true);
    struct token_key *signer = pem_key_testing(TOKEN_PS256, pem);
    struct token_keys *keys = token_keys_new();
    struct token_check check = {.keys = keys, .claim = STR("freshet")};
    struct caller *caller = NULL;
    assert_true(token_keys_add(keys, pem_key_testing(TOKEN_RS256, pem)));
    struct buf text = {0};
    token_mint(signer, STR("{\"exp\":1800000060}"), &text);
    assert_int_equal(admit(buf_str(&text), &check, &caller), TOKEN_BAD_ALGORITHM);
    buf_free(&text);
    token_key_free(signer);
    token_keys_unref(keys);
    free(pem);
    EVP_PKEY_free(pair);
}

static void hostile_headers_are_refused(void **state)
{
    (void)state;
    static const struct {
        struct str header;
        enum token_verdict verdict;
    } rows[] = {
        {STR("{\"alg\":\"HS256\"}"), TOKEN_OK},
        {STR("{\"alg\":\"HS256\",\"typ\":\"jwt\",\"kid\":\"k1\"}"), TOKEN_OK},
        {STR("{\"alg\":\"HS256\",\"typ\":\"application/at+jwt\"}"), TOKEN_OK},
        {STR("{\"alg\":\"HS256\",\"jwk\":" RFC_P256_JWK ",\"jku\":\"http://evil\"}"), TOKEN_OK},
        {STR("{\"alg\":\"HS256\",\"typ\":\"dpop+jwt\"}"), TOKEN_BAD_TYPE},
        {STR("{\"alg\":\"HS256\",\"typ\":7}"), TOKEN_BAD_TYPE},
        {STR("{\"alg\":\"HS256\",\"cty\":\"JWT\"}"), TOKEN_BAD_TYPE},
        {STR("{\"alg\":\"HS256\",\"crit\":[\"exp\"]}"), TOKEN_CRITICAL},
        {STR("{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}"), TOKEN_CRITICAL},
        {STR("{\"alg\":\"HS256\",\"crit\":null}"), TOKEN_CRITICAL},
        {STR("{\"alg\":\"HS256\",\"alg\":\"none\"}"), TOKEN_BAD_HEADER},
        {STR("{\"alg\":\"none\",\"\\u0061lg\":\"HS256\"}"), TOKEN_BAD_HEADER},
        {STR("{\"alg\":[\"HS256\"]}"), TOKEN_BAD_HEADER},
        {STR("{\"alg\":\"\"}"), TOKEN_BAD_HEADER},
        {STR("{\"alg\":null}"), TOKEN_BAD_HEADER},
        {STR("{\"ALG\":\"HS256\"}"), TOKEN_BAD_HEADER},
        {STR("{}"), TOKEN_BAD_HEADER},
        {STR("[\"HS256\"]"), TOKEN_BAD_HEADER},
        {STR("\"HS256\""), TOKEN_BAD_HEADER},
        {STR(""), TOKEN_BAD_HEADER},
        {STR("{\"alg\":\"HS256\"}x"), TOKEN_BAD_HEADER},
        {STR("{\"alg\":\"HS256\",\"x\":[[[[[[[[[[]]]]]]]]]]}"), TOKEN_BAD_HEADER},
        {STR("{\"alg\":\"HS256\\u0000\"}"), TOKEN_BAD_HEADER},
        {STR("{\"alg\":\"HS256\",\"kid\":7}"), TOKEN_BAD_HEADER},
        {STR("{\"alg\":\"HS256\",\"kid\":\"\"}"), TOKEN_BAD_HEADER},
        {STR("{\"alg\":\"HS256\",\"kid\":\"../../dev/null\"}"), TOKEN_UNKNOWN_KEY},
        {STR("{\"alg\":\"HS256\",\"kid\":\"k1' OR '1'='1\"}"), TOKEN_UNKNOWN_KEY},
        {STR("{\"alg\":\"HS256\",\"kid\":\"k\"}"), TOKEN_UNKNOWN_KEY},
        {STR("{\"alg\":\"HS384\"}"), TOKEN_BAD_ALGORITHM},
        {STR("{\"alg\":\"hs256\"}"), TOKEN_BAD_ALGORITHM},
    };
    struct token_keys *keys = keys_of("k1");
    struct token_check check = {.keys = keys, .claim = STR("freshet")};
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct caller *caller = NULL;
        struct buf text = sign(keys->at[0], rows[i].header, STR("{\"exp\":1800000060}"));
        enum token_verdict verdict = admit(buf_str(&text), &check, &caller);
        if (verdict != rows[i].verdict)
            fail_msg("%.*s: %s", STR_FMT(rows[i].header), token_verdict_text(verdict));
        caller_unref(caller);
        buf_free(&text);
    }
    token_keys_unref(keys);
}

static void hostile_claims_are_refused(void **state)
{
    (void)state;
    static const struct {
        struct str claims;
        enum token_verdict verdict;
    } rows[] = {
        {STR("{\"exp\":1800000060}"), TOKEN_OK},
        {STR("{\"exp\":1800000060.75,\"nbf\":1799999999.5,\"iat\":1}"), TOKEN_OK},
        {STR("{\"exp\":1.80000006e9}"), TOKEN_OK},
        {STR("{}"), TOKEN_ENDLESS},
        {STR("{\"exp\":1800000000}"), TOKEN_EXPIRED},
        {STR("{\"exp\":1}"), TOKEN_EXPIRED},
        {STR("{\"exp\":1800000060,\"nbf\":1800000001}"), TOKEN_EARLY},
        {STR("{\"exp\":\"1800000060\"}"), TOKEN_BAD_TIME},
        {STR("{\"exp\":null}"), TOKEN_BAD_TIME},
        {STR("{\"exp\":true}"), TOKEN_BAD_TIME},
        {STR("{\"exp\":[1800000060]}"), TOKEN_BAD_TIME},
        {STR("{\"exp\":-1}"), TOKEN_BAD_TIME},
        {STR("{\"exp\":253402300800}"), TOKEN_BAD_TIME},
        {STR("{\"exp\":1e300}"), TOKEN_BAD_TIME},
        {STR("{\"exp\":9223372036854775807}"), TOKEN_BAD_TIME},
        {STR("{\"exp\":9223372036854775808}"), TOKEN_BAD_CLAIMS},
        {STR("{\"exp\":18446744073709551616}"), TOKEN_BAD_CLAIMS},
        {STR("{\"exp\":1e999}"), TOKEN_BAD_CLAIMS},
        {STR("{\"exp\":1800000060,\"nbf\":\"0\"}"), TOKEN_BAD_TIME},
        {STR("{\"exp\":1800000060,\"iat\":-5}"), TOKEN_BAD_TIME},
        {STR("{\"exp\":1,\"exp\":1800000060}"), TOKEN_BAD_CLAIMS},
        {STR("{\"exp\":1800000060,\"x\":{\"a\":1,\"a\":2}}"), TOKEN_BAD_CLAIMS},
        {STR("{\"exp\":1800000060,\"sub\":\"a\",\"s\\u0075b\":\"root\"}"), TOKEN_BAD_CLAIMS},
        {STR("[{\"exp\":1800000060}]"), TOKEN_BAD_CLAIMS},
        {STR("null"), TOKEN_BAD_CLAIMS},
        {STR(""), TOKEN_BAD_CLAIMS},
        {STR("{\"exp\":1800000060"), TOKEN_BAD_CLAIMS},
        {STR("{\"exp\":1800000060}{}"), TOKEN_BAD_CLAIMS},
        {STR("{\"exp\":1800000060,\"x\":\"\xff\"}"), TOKEN_BAD_CLAIMS},
        {STR("{\"exp\":1800000060,\"x\":[[[[[[[[[]]]]]]]]]}"), TOKEN_BAD_CLAIMS},
        {STR("{\"exp\":1800000060,\"sub\":7}"), TOKEN_BAD_SUBJECT},
        {STR("{\"exp\":1800000060,\"sub\":\"\"}"), TOKEN_BAD_SUBJECT},
        {STR("{\"exp\":1800000060,\"sub\":null}"), TOKEN_BAD_SUBJECT},
        {STR("{\"exp\":1800000060,\"sub\":\"a\\nb\"}"), TOKEN_BAD_SUBJECT},
        {STR("{\"exp\":1800000060,\"jti\":[]}"), TOKEN_BAD_ID},
        {STR("{\"exp\":1800000060,\"jti\":\"\\u007f\"}"), TOKEN_BAD_ID},
        {STR("{\"exp\":1800000060,\"iss\":7}"), TOKEN_BAD_ISSUER},
        {STR("{\"exp\":1800000060,\"aud\":7}"), TOKEN_BAD_AUDIENCE},
        {STR("{\"exp\":1800000060,\"aud\":[\"a\",7]}"), TOKEN_BAD_AUDIENCE},
        {STR("{\"exp\":1800000060,\"aud\":\"other\"}"), TOKEN_BAD_AUDIENCE},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        enum token_verdict verdict = admit_claims(rows[i].claims, NULL);
        if (verdict != rows[i].verdict)
            fail_msg("%.*s: %s", STR_FMT(rows[i].claims), token_verdict_text(verdict));
    }
}

static void hostile_grants_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *claim;
        enum token_verdict verdict;
    } rows[] = {
        {"{\"grants\":[]}", TOKEN_OK},
        {"{\"grants\":[{\"channels\":[],\"may\":[]}]}", TOKEN_BAD_GRANTS},
        {"{\"grants\":[{\"channels\":[\"*\",\"a/**\"],\"may\":[\"read\",\"admin\"]}]}", TOKEN_OK},
        {"null", TOKEN_BAD_GRANTS},
        {"[]", TOKEN_BAD_GRANTS},
        {"{}", TOKEN_BAD_GRANTS},
        {"{\"grants\":null}", TOKEN_BAD_GRANTS},
        {"{\"grants\":{}}", TOKEN_BAD_GRANTS},
        {"{\"grants\":[],\"deny\":[]}", TOKEN_BAD_GRANTS},
        {"{\"grants\":[7]}", TOKEN_BAD_GRANTS},
        {"{\"grants\":[{\"channels\":[\"a\"]}]}", TOKEN_BAD_GRANTS},
        {"{\"grants\":[{\"may\":[\"read\"]}]}", TOKEN_BAD_GRANTS},
        {"{\"grants\":[{\"channels\":\"a\",\"may\":[\"read\"]}]}", TOKEN_BAD_GRANTS},
        {"{\"grants\":[{\"channels\":[\"a\"],\"may\":\"read\"}]}", TOKEN_BAD_GRANTS},
        {"{\"grants\":[{\"channels\":[\"a\"],\"may\":[\"write\"]}]}", TOKEN_BAD_GRANTS},
        {"{\"grants\":[{\"channels\":[\"a\"],\"may\":[7]}]}", TOKEN_BAD_GRANTS},
        {"{\"grants\":[{\"channels\":[7],\"may\":[\"read\"]}]}", TOKEN_BAD_GRANTS},
        {"{\"grants\":[{\"channels\":[\"\"],\"may\":[\"read\"]}]}", TOKEN_BAD_GRANTS},
        {"{\"grants\":[{\"channels\":[\"a//b\"],\"may\":[\"read\"]}]}", TOKEN_BAD_GRANTS},
        {"{\"grants\":[{\"channels\":[\"**/a\"],\"may\":[\"read\"]}]}", TOKEN_BAD_GRANTS},
        {"{\"grants\":[{\"channels\":[\"a\"],\"may\":[\"read\"],\"until\":5}]}", TOKEN_BAD_GRANTS},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct buf claims = {0};
        buf_addf(&claims, "{\"exp\":1800000060,\"freshet\":%s}", rows[i].claim);
        if (admit_claims(buf_str(&claims), NULL) != rows[i].verdict)
            fail_msg("%s", rows[i].claim);
        buf_free(&claims);
    }
}

/* Adds `count` times the text, with commas between. */
static void repeat(struct buf *out, const char *text, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        buf_addf(out, "%s%s", i ? "," : "", text);
}

static void grants_are_bounded(void **state)
{
    (void)state;
    for (unsigned more = 0; more < 2; more++) {
        struct buf claims = {0};
        buf_add_lit(&claims, "{\"exp\":1800000060,\"freshet\":{\"grants\":[");
        repeat(&claims, "{\"channels\":[\"a\"],\"may\":[\"read\"]}", GRANTS_MAX + more);
        buf_add_lit(&claims, "]}}");
        assert_int_equal(admit_claims(buf_str(&claims), NULL), more ? TOKEN_BAD_GRANTS : TOKEN_OK);
        buf_clear(&claims);
        buf_add_lit(&claims, "{\"exp\":1800000060,\"freshet\":{\"grants\":[{\"channels\":[");
        repeat(&claims, "\"a\"", GRANT_PATTERNS_MAX + more);
        buf_add_lit(&claims, "],\"may\":[\"read\"]}]}}");
        assert_int_equal(admit_claims(buf_str(&claims), NULL), more ? TOKEN_BAD_GRANTS : TOKEN_OK);
        buf_free(&claims);
    }
}

static void issuer_audience_and_leeway_are_those_of_the_check(void **state)
{
    (void)state;
    static const struct {
        struct str claims;
        enum token_verdict verdict;
    } rows[] = {
        {STR("{\"exp\":1800000060,\"iss\":\"idp\",\"aud\":\"us\"}"), TOKEN_OK},
        {STR("{\"exp\":1800000060,\"iss\":\"idp\",\"aud\":[\"them\",\"us\"]}"), TOKEN_OK},
        {STR("{\"exp\":1799999991,\"iss\":\"idp\",\"aud\":\"us\"}"), TOKEN_OK},
        {STR("{\"exp\":1800000060,\"nbf\":1800000010,\"iss\":\"idp\",\"aud\":\"us\"}"), TOKEN_OK},
        {STR("{\"exp\":1799999990,\"iss\":\"idp\",\"aud\":\"us\"}"), TOKEN_EXPIRED},
        {STR("{\"exp\":1800000060,\"nbf\":1800000011,\"iss\":\"idp\",\"aud\":\"us\"}"),
         TOKEN_EARLY},
        {STR("{\"exp\":1800000060,\"iss\":\"idp2\",\"aud\":\"us\"}"), TOKEN_BAD_ISSUER},
        {STR("{\"exp\":1800000060,\"aud\":\"us\"}"), TOKEN_BAD_ISSUER},
        {STR("{\"exp\":1800000060,\"iss\":\"idp\",\"aud\":\"US\"}"), TOKEN_BAD_AUDIENCE},
        {STR("{\"exp\":1800000060,\"iss\":\"idp\",\"aud\":[]}"), TOKEN_BAD_AUDIENCE},
        {STR("{\"exp\":1800000060,\"iss\":\"idp\"}"), TOKEN_BAD_AUDIENCE},
    };
    struct token_check check = {NULL, STR("idp"), STR("us"), STR("freshet"), 10, 0};
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        enum token_verdict verdict = admit_claims(rows[i].claims, &check);
        if (verdict != rows[i].verdict)
            fail_msg("%.*s: %s", STR_FMT(rows[i].claims), token_verdict_text(verdict));
    }
}

static void texts_of_another_form_are_refused(void **state)
{
    (void)state;
    static const struct {
        struct str text;
        enum token_verdict verdict;
    } rows[] = {
        {STR(""), TOKEN_BAD_FORM},
        {STR("."), TOKEN_BAD_FORM},
        {STR(".."), TOKEN_BAD_HEADER},
        {STR("..."), TOKEN_BAD_FORM},
        {STR("a.b.c.d.e"), TOKEN_ENCRYPTED},
        {STR("a.b.c.d.e.f"), TOKEN_BAD_FORM},
        {STR("eyJhbGciOiJIUzI1NiJ9"), TOKEN_BAD_FORM},
        {STR("eyJhbGciOiJIUzI1NiJ9=." RFC_CLAIMS ".AAAA"), TOKEN_BAD_HEADER},
        {STR("eyJhbGciOiJIUzI1NiJ9." RFC_CLAIMS ".AA=="), TOKEN_BAD_FORM},
        {STR("eyJhbGciOiJIUzI1NiJ9." RFC_CLAIMS ".A+/A"), TOKEN_BAD_FORM},
        {STR("eyJhbGciOiJIUzI1NiJ9." RFC_CLAIMS ".AAAA\n"), TOKEN_BAD_FORM},
        {STR(" eyJhbGciOiJIUzI1NiJ9." RFC_CLAIMS ".AAAA"), TOKEN_BAD_HEADER},
        {STR("{\"protected\":\"e30\",\"payload\":\"\",\"signature\":\"\"}"), TOKEN_BAD_FORM},
    };
    struct token_keys *keys = keys_of("");
    struct token_check check = {.keys = keys, .claim = STR("freshet")};
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct caller *caller = NULL;
        if (admit(rows[i].text, &check, &caller) != rows[i].verdict)
            fail_msg("%.*s", STR_FMT(rows[i].text));
    }
    token_keys_unref(keys);
}

static void a_token_cut_anywhere_is_refused(void **state)
{
    (void)state;
    struct token_keys *keys = keys_of("");
    struct token_check check = {.keys = keys, .claim = STR("freshet")};
    struct caller *caller = NULL;
    struct buf text = {0};
    token_mint(keys->at[0], STR("{\"sub\":\"alice\",\"exp\":1800000060" GRANTS "}"), &text);
    for (size_t len = 0; len < text.len; len++)
        assert_int_not_equal(admit((struct str){text.at, len}, &check, &caller), TOKEN_OK);
    for (size_t i = 0; i < text.len; i++) {
        text.at[i] ^= 1;
        assert_int_not_equal(admit(buf_str(&text), &check, &caller), TOKEN_OK);
        text.at[i] ^= 1;
    }
    buf_free(&text);
    token_keys_unref(keys);
}

static void a_huge_token_is_refused_unread(void **state)
{
    (void)state;
    struct token_keys *keys = keys_of("");
    struct token_check check = {.keys = keys, .claim = STR("freshet")};
    struct caller *caller = NULL;
    struct buf claims = {0};
    buf_add_lit(&claims, "{\"exp\":1800000060,\"x\":\"");
    for (unsigned i = 0; i < TOKEN_BYTES_MAX; i++)
        buf_add_char(&claims, 'x');
    buf_add_lit(&claims, "\"}");
    struct buf text = sign(keys->at[0], STR("{\"alg\":\"HS256\"}"), buf_str(&claims));
    assert_int_equal(admit(buf_str(&text), &check, &caller), TOKEN_TOO_LONG);
    buf_free(&text);
    text = sign(keys->at[0], buf_str(&claims), STR("{}"));
    text.len = TOKEN_BYTES_MAX;
    assert_int_not_equal(admit(buf_str(&text), &check, &caller), TOKEN_OK);
    buf_free(&text);
    buf_free(&claims);
    token_keys_unref(keys);
}

/* A token that names no key makes nobody compute signatures without end. */
static void eight_keys_are_tried_at_most(void **state)
{
    (void)state;
    struct token_keys *keys = token_keys_new();
    struct token_check check = {.keys = keys, .claim = STR("freshet")};
    for (unsigned i = 0; i < TOKEN_TRIES_MAX + 1; i++) {
        char own[33];
        struct token_key *key;
        const char *why;
        snprintf(own, sizeof(own), "%032u", i);
        assert_int_equal(token_key_of_secret(TOKEN_HS256, str_from(own), STR(""), &key, &why), 0);
        assert_true(token_keys_add(keys, key));
    }
    for (unsigned i = 0; i < TOKEN_TRIES_MAX + 1; i++) {
        struct caller *caller = NULL;
        struct buf text = {0};
        token_mint(keys->at[i], STR("{\"exp\":1800000060}"), &text);
        assert_int_equal(admit(buf_str(&text), &check, &caller),
                         i < TOKEN_TRIES_MAX ? TOKEN_OK : TOKEN_BAD_SIGNATURE);
        caller_unref(caller);
        buf_free(&text);
    }
    token_keys_unref(keys);
}

static void a_check_without_keys_admits_nothing(void **state)
{
    (void)state;
    struct token_check check = {.claim = STR("freshet")};
    struct caller *caller = NULL;
    assert_int_equal(admit(STR("eyJhbGciOiJIUzI1NiJ9." RFC_CLAIMS ".AAAA"), &check, &caller),
                     TOKEN_UNKNOWN_KEY);
}

static void texts_with_two_dots_are_meant_for_tokens(void **state)
{
    (void)state;
    assert_true(token_is_meant(STR("a.b.c")));
    assert_true(token_is_meant(STR("a.b.c.d.e")));
    assert_false(token_is_meant(STR("frk_abc")));
    assert_false(token_is_meant(STR("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_caller_is_who_the_token_says),
        cmocka_unit_test(a_time_of_issue_in_the_future_is_none),
        cmocka_unit_test(signatures_of_the_rfcs_are_verified),
        cmocka_unit_test(a_token_without_a_signature_is_refused),
        cmocka_unit_test(a_public_key_is_never_taken_for_a_secret),
        cmocka_unit_test(a_key_for_rs256_does_not_verify_ps256),
        cmocka_unit_test(hostile_headers_are_refused),
        cmocka_unit_test(hostile_claims_are_refused),
        cmocka_unit_test(hostile_grants_are_refused),
        cmocka_unit_test(grants_are_bounded),
        cmocka_unit_test(issuer_audience_and_leeway_are_those_of_the_check),
        cmocka_unit_test(texts_of_another_form_are_refused),
        cmocka_unit_test(a_token_cut_anywhere_is_refused),
        cmocka_unit_test(a_huge_token_is_refused_unread),
        cmocka_unit_test(eight_keys_are_tried_at_most),
        cmocka_unit_test(a_check_without_keys_admits_nothing),
        cmocka_unit_test(texts_with_two_dots_are_meant_for_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
