/* Feeds texts of tokens, headers and claims that are signed, key sets and PEM files with hostile
 * bytes: nothing may crash or read too far, nothing unsigned may pass, and a caller has an end in
 * the future and valid patterns. The first byte says which of them the rest is. */
#include "require.h"

#include "access/token.h"

#include "base/base64.h"

#define NOW_S INT64_C(1800000000)

static struct token_key *make_key(void)
{
    struct token_key *key = NULL;
    const char *why;
    require(!token_key_of_secret(TOKEN_HS256, STR("0123456789abcdef0123456789abcdef"), STR("k1"),
                                 &key, &why));
    return key;
}

static struct token_keys *make_keys(void)
{
    struct token_keys *keys = token_keys_new();
    require(token_keys_add(keys, make_key()));
    return keys;
}

static void check_caller(struct caller *caller)
{
    require(caller->facts.expires_us > NOW_S * 1000000);
    require(caller->facts.grants_count <= GRANTS_MAX);
    for (size_t i = 0; i < caller->facts.grants_count; i++) {
        const struct grant *grant = &caller->facts.grants[i];
        require(grant->patterns_count <= GRANT_PATTERNS_MAX);
        for (size_t j = 0; j < grant->patterns_count; j++)
            require(pattern_valid(grant->patterns[j], NULL));
    }
    caller_unref(caller);
}

static enum token_verdict admit(struct str text)
{
    struct token_keys *keys = make_keys();
    struct token_check check = {.keys = keys, .claim = STR("freshet")};
    struct token token;
    struct caller *caller = NULL;
    unsigned tries = TOKEN_TRIES_MAX;
    enum token_verdict verdict = token_parse(text, &token);
    if (verdict == TOKEN_OK)
        verdict = token_admit(&token, &check, NOW_S * 1000000, &tries, &caller);
    require((verdict == TOKEN_OK) == (caller != NULL));
    if (caller)
        check_caller(caller);
    require(token_verdict_text(verdict) != NULL);
    token_deinit(&token);
    token_keys_unref(keys);
    return verdict;
}

/* Signs `header`, a zero byte and `claims`, and admits the token. */
static void admit_signed(struct str text)
{
    struct token_key *key = make_key();
    struct buf token = {0}, signature = {0};
    struct str claims = text, header = str_cut(&claims, '\0');
    base64url_add(&token, header);
    buf_add_char(&token, '.');
    base64url_add(&token, claims);
    token_key_sign(key, buf_str(&token), &signature);
    buf_add_char(&token, '.');
    base64url_add(&token, buf_str(&signature));
    (void)admit(buf_str(&token));
    buf_free(&signature);
    buf_free(&token);
    token_key_free(key);
}

static void read_jwks(struct str text, enum jwks_source source)
{
    struct token_keys *keys = NULL;
    const char *why = NULL;
    int result = token_keys_of_jwks(text, source, &keys, &why);
    require(result ? why && !keys : keys && keys->count && keys->count <= TOKEN_KEYS_MAX);
    for (size_t i = 0; !result && i < keys->count; i++)
        require(!token_key_verifies(keys->at[i], STR("text"), STR("signature")));
    token_keys_unref(keys);
}

static void read_pem(struct str text)
{
    struct token_key *key = NULL;
    const char *why = NULL;
    int result = token_key_of_pem(TOKEN_ALGORITHMS, text, STR("k"), &key, &why);
    require(result ? why && !key : key != NULL);
    token_key_free(key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    struct str text = {(const char *)data + 1, size - 1};
    switch (data[0]) {
    case 't':
        require(admit(text) != TOKEN_OK);
        break;
    case 's':
        admit_signed(text);
        break;
    case 'j':
        read_jwks(text, JWKS_PUBLIC);
        read_jwks(text, JWKS_PRIVATE);
        break;
    case 'p':
        read_pem(text);
        break;
    default:
        break;
    }
    return 0;
}
