#include "access/token.h"

#include "access/revocations.h"
#include "base/base64.h"
#include "base/json.h"
#include "base/json_text.h"
#include "base/json_writer.h"

#include <errno.h>

/* Behind the year 9999 no reader of times agrees with another. */
#define TIME_S_MAX INT64_C(253402300799)

const char *token_verdict_text(enum token_verdict verdict)
{
    static const char *const texts[TOKEN_VERDICTS] = {
        [TOKEN_OK] = "the token is good",
        [TOKEN_NO_MEMORY] = "there is no memory to read the token",
        [TOKEN_BAD_FORM] = "the token is no JWT: three parts in base64url, joined by dots",
        [TOKEN_TOO_LONG] = "the token has more than 8192 bytes",
        [TOKEN_ENCRYPTED] = "the token is encrypted (JWE); send one that is only signed",
        [TOKEN_BAD_HEADER] = "the token's header is no JSON object with an `alg`",
        [TOKEN_CRITICAL] = "the token's header has `crit`, which is not supported",
        [TOKEN_BAD_TYPE] = "the token's `typ` is neither JWT nor at+jwt, or it holds another token",
        [TOKEN_UNKNOWN_KEY] = "no key of this server has the token's `kid`",
        [TOKEN_BAD_ALGORITHM] = "no key of this server is for the token's `alg`",
        [TOKEN_BAD_SIGNATURE] = "the token's signature is not by a key of this server",
        [TOKEN_BAD_CLAIMS] = "the token's claims are no JSON object, or name a claim twice",
        [TOKEN_BAD_SUBJECT] =
            "the token's `sub` is no text of 1 to 255 bytes, or has control codes",
        [TOKEN_BAD_ID] = "the token's `jti` is no text of 1 to 255 bytes, or has control codes",
        [TOKEN_BAD_TIME] = "the token's `exp`, `nbf` or `iat` is no number of seconds since 1970",
        [TOKEN_ENDLESS] = "the token has no `exp`: a token must end",
        [TOKEN_EXPIRED] = "the token has expired",
        [TOKEN_EARLY] = "the token is not valid yet (`nbf`)",
        [TOKEN_BAD_ISSUER] = "the token's `iss` is not the issuer that this server trusts",
        [TOKEN_BAD_AUDIENCE] = "the token's `aud` does not name this server",
        [TOKEN_BAD_GRANTS] =
            "the token's grants are no list of objects with just `channels` and `may`",
    };
    return texts[verdict];
}

bool token_is_meant(struct str text)
{
    size_t dots = 0;
    for (size_t i = 0; i < text.len; i++)
        dots += text.at[i] == '.';
    return dots >= 2;
}

/* ---- parts ----------------------------------------------------------------------------------- */

/* Decodes a part and parses the object in it, which has no member twice at any depth. */
static json_t *read_object(struct str part, size_t size_max, enum token_verdict fault,
                           enum token_verdict *ret_verdict)
{
    struct buf text = {0};
    json_t *object = NULL;
    *ret_verdict = fault;
    if (base64url_decode(&text, part) == -ENOMEM)
        *ret_verdict = TOKEN_NO_MEMORY;
    else if (text.len && text.len <= size_max &&
             json_check(buf_str(&text), TOKEN_DEPTH_MAX, NULL) == JSON_OK)
        object = json_loadb(text.at, text.len, JSON_REJECT_DUPLICATES, NULL);
    buf_free(&text);
    if (json_is_object(object))
        return object;
    json_decref(object);
    return NULL;
}

/* The text of a string member of 1 to `most` bytes. False if it is anything else. */
static bool read_text(const json_t *value, size_t most, struct str *ret)
{
    if (!json_is_string(value) || !json_string_length(value) || json_string_length(value) > most)
        return false;
    *ret = json_text(value);
    return true;
}

/* RFC 8725 section 3.11: tokens for other purposes say so in `typ`. */
static bool is_type_of_token(const json_t *header)
{
    const json_t *type = json_object_get(header, "typ");
    struct str text;
    if (json_object_get(header, "cty"))
        return false;
    if (!type)
        return true;
    if (!read_text(type, TOKEN_NAME_MAX, &text))
        return false;
    if (text.len > 12 && str_eq_nocase((struct str){text.at, 12}, STR("application/")))
        text = str_skip(text, 12);
    return str_eq_nocase(text, STR("JWT")) || str_eq_nocase(text, STR("at+jwt"));
}

static enum token_verdict read_header(struct token *token)
{
    const json_t *kid = json_object_get(token->header, "kid");
    if (!read_text(json_object_get(token->header, "alg"), TOKEN_NAME_MAX, &token->alg))
        return TOKEN_BAD_HEADER;
    token->has_kid = kid != NULL;
    if (kid && !read_text(kid, TOKEN_KID_MAX, &token->kid))
        return TOKEN_BAD_HEADER;
    if (json_object_get(token->header, "crit"))
        return TOKEN_CRITICAL;
    return is_type_of_token(token->header) ? TOKEN_OK : TOKEN_BAD_TYPE;
}

static enum token_verdict read_signature(struct token *token, struct str part)
{
    if (part.len > TOKEN_SIGNATURE_MAX * 4 / 3 + 1)
        return TOKEN_BAD_FORM;
    switch (base64url_decode(&token->signature, part)) {
    case 0:
        return TOKEN_OK;
    case -ENOMEM:
        return TOKEN_NO_MEMORY;
    default:
        return TOKEN_BAD_FORM;
    }
}

static size_t count_dots(struct str text)
{
    size_t dots = 0;
    for (size_t i = 0; i < text.len; i++)
        dots += text.at[i] == '.';
    return dots;
}

enum token_verdict token_parse(struct str text, struct token *ret)
{
    enum token_verdict verdict;
    *ret = (struct token){0};
    if (text.len > TOKEN_BYTES_MAX)
        return TOKEN_TOO_LONG;
    size_t dots = count_dots(text);
    if (dots != 2)
        return dots == 4 ? TOKEN_ENCRYPTED : TOKEN_BAD_FORM;
    struct str rest = text;
    struct str header = str_cut(&rest, '.');
    ret->claims_text = str_cut(&rest, '.');
    ret->signed_text = (struct str){text.at, header.len + 1 + ret->claims_text.len};
    ret->header = read_object(header, TOKEN_HEADER_MAX, TOKEN_BAD_HEADER, &verdict);
    if (!ret->header)
        return verdict;
    verdict = read_header(ret);
    return verdict == TOKEN_OK ? read_signature(ret, rest) : verdict;
}

void token_deinit(struct token *token)
{
    json_decref(token->header);
    buf_free(&token->signature);
    *token = (struct token){0};
}

/* ---- signature ------------------------------------------------------------------------------- */

/* Whether a key may be the one: a key without id is for every token of its algorithm, and a token
 * without id may be by every key. */
static bool has_id(const struct token_key *key, const struct token *token)
{
    struct str kid = token_key_kid(key);
    return !token->has_kid || !kid.len || str_eq(kid, token->kid);
}

enum token_verdict token_verify(const struct token *token, const struct token_keys *keys,
                                unsigned *tries)
{
    enum token_algorithm algorithm = token_algorithm_of(token->alg);
    enum token_verdict verdict = TOKEN_UNKNOWN_KEY;
    for (size_t i = 0; keys && i < keys->count; i++) {
        const struct token_key *key = keys->at[i];
        if (!has_id(key, token))
            continue;
        if (token_key_algorithm(key) != algorithm) {
            verdict = verdict == TOKEN_BAD_SIGNATURE ? verdict : TOKEN_BAD_ALGORITHM;
            continue;
        }
        verdict = TOKEN_BAD_SIGNATURE;
        if (!*tries)
            return verdict;
        --*tries;
        if (token_key_verifies(key, token->signed_text, buf_str(&token->signature)))
            return TOKEN_OK;
    }
    return verdict;
}

/* ---- claims ---------------------------------------------------------------------------------- */

/* Reads an optional name: `sub` or `jti`. */
static bool read_name(const json_t *root, const char *claim, struct str *ret)
{
    const json_t *value = json_object_get(root, claim);
    return !value || (read_text(value, TOKEN_NAME_MAX, ret) && revoked_name_valid(*ret));
}

/* Reads an optional time in seconds, which may have a fraction (RFC 7519 section 2). */
static bool read_time(const json_t *root, const char *claim, int64_t *ret)
{
    const json_t *value = json_object_get(root, claim);
    if (!value)
        return true;
    if (!json_is_number(value))
        return false;
    double seconds = json_number_value(value);
    if (!(seconds >= 0 && seconds <= (double)TIME_S_MAX))
        return false;
    *ret = (int64_t)seconds;
    return true;
}

static bool is_audience(const json_t *audience)
{
    size_t i;
    const json_t *item;
    if (!audience || json_is_string(audience))
        return true;
    json_array_foreach(audience, i, item) if (!json_is_string(item)) return false;
    return json_is_array(audience);
}

/* Reads the claim with the grants. A token without one grants nothing by itself; rules may give
 * something to whoever has a valid token. */
static enum token_verdict read_grants(struct token_claims *claims, const json_t *claim)
{
    if (!claim)
        return TOKEN_OK;
    if (json_object_size(claim) != 1 ||
        grant_list_read(json_object_get(claim, "grants"), &claims->grants))
        return TOKEN_BAD_GRANTS;
    return TOKEN_OK;
}

static enum token_verdict read_times(struct token_claims *claims)
{
    if (!read_time(claims->root, "exp", &claims->expires_s) ||
        !read_time(claims->root, "nbf", &claims->starts_s) ||
        !read_time(claims->root, "iat", &claims->issued_s))
        return TOKEN_BAD_TIME;
    return json_object_get(claims->root, "exp") ? TOKEN_OK : TOKEN_ENDLESS;
}

static enum token_verdict read_names(struct token_claims *claims)
{
    const json_t *issuer = json_object_get(claims->root, "iss");
    claims->audience = json_object_get(claims->root, "aud");
    if (!read_name(claims->root, "sub", &claims->subject))
        return TOKEN_BAD_SUBJECT;
    if (!read_name(claims->root, "jti", &claims->jti))
        return TOKEN_BAD_ID;
    if (issuer && !read_text(issuer, TOKEN_BYTES_MAX, &claims->issuer))
        return TOKEN_BAD_ISSUER;
    return is_audience(claims->audience) ? TOKEN_OK : TOKEN_BAD_AUDIENCE;
}

enum token_verdict token_claims_read(const struct token *token, struct str grants_claim,
                                     struct token_claims *ret)
{
    enum token_verdict verdict;
    *ret = (struct token_claims){0};
    ret->root = read_object(token->claims_text, TOKEN_BYTES_MAX, TOKEN_BAD_CLAIMS, &verdict);
    if (!ret->root)
        return verdict;
    verdict = read_names(ret);
    if (verdict == TOKEN_OK)
        verdict = read_times(ret);
    if (verdict == TOKEN_OK)
        verdict = read_grants(ret, json_object_getn(ret->root, grants_claim.at, grants_claim.len));
    return verdict;
}

void token_claims_deinit(struct token_claims *claims)
{
    grant_list_deinit(&claims->grants);
    json_decref(claims->root);
    *claims = (struct token_claims){0};
}

/* A token that names audiences is for them alone (RFC 7519 section 4.1.3). */
static bool is_for(const json_t *audience, struct str name)
{
    size_t i;
    const json_t *item;
    struct str text;
    if (!audience)
        return !name.len;
    if (json_is_string(audience))
        return read_text(audience, TOKEN_BYTES_MAX, &text) && name.len && str_eq(text, name);
    json_array_foreach(audience, i, item) if (name.len && read_text(item, TOKEN_BYTES_MAX, &text) &&
                                              str_eq(text, name)) return true;
    return false;
}

enum token_verdict token_claims_judge(const struct token_claims *claims,
                                      const struct token_check *check, int64_t now_us)
{
    int64_t now_s = now_us / 1000000;
    if (check->issuer.len && !str_eq(check->issuer, claims->issuer))
        return TOKEN_BAD_ISSUER;
    if (!is_for(claims->audience, check->audience))
        return TOKEN_BAD_AUDIENCE;
    if (now_s >= claims->expires_s + check->leeway_s)
        return TOKEN_EXPIRED;
    return now_s < claims->starts_s - check->leeway_s ? TOKEN_EARLY : TOKEN_OK;
}

/* ---- admission and minting ------------------------------------------------------------------- */

/* The time of issue; 0, which is unknown, if it is in the future: revocations of a subject spare
 * what was issued after them. */
static int64_t issued_us(const struct token_claims *claims, int64_t leeway_s, int64_t now_us)
{
    return claims->issued_s > now_us / 1000000 + leeway_s ? 0 : claims->issued_s * 1000000;
}

static enum token_verdict make_caller(const struct token *token, const struct token_claims *claims,
                                      const struct token_check *check, int64_t now_us,
                                      struct caller **ret)
{
    char digits[CALLER_DIGEST_LEN];
    *ret = caller_new(&(struct caller_facts){
        .kind = CALLER_TOKEN,
        .subject = claims->subject,
        .digest = claims->subject.len ? STR_NONE : caller_digest(token->signed_text, digits),
        .jti = claims->jti,
        .issued_us = issued_us(claims, check->leeway_s, now_us),
        .expires_us = (claims->expires_s + check->leeway_s) * 1000000,
        .voucher = check->voucher,
        .grants = claims->grants.grants,
        .grants_count = claims->grants.count,
    });
    return *ret ? TOKEN_OK : TOKEN_NO_MEMORY;
}

enum token_verdict token_admit(const struct token *token, const struct token_check *check,
                               int64_t now_us, unsigned *tries, struct caller **ret)
{
    struct token_claims claims = {0};
    enum token_verdict verdict = token_verify(token, check->keys, tries);
    if (verdict == TOKEN_OK)
        verdict = token_claims_read(token, check->claim, &claims);
    if (verdict == TOKEN_OK)
        verdict = token_claims_judge(&claims, check, now_us);
    if (verdict == TOKEN_OK)
        verdict = make_caller(token, &claims, check, now_us, ret);
    token_claims_deinit(&claims);
    return verdict;
}

void token_mint(const struct token_key *key, struct str claims, struct buf *out)
{
    struct buf header = {0};
    struct json_writer writer = json_writer(&header);
    size_t begin = out->len;
    json_object_begin(&writer);
    json_member_string(&writer, "alg", str_from(token_algorithm_name(token_key_algorithm(key))));
    json_member_string(&writer, "typ", STR("JWT"));
    if (token_key_kid(key).len)
        json_member_string(&writer, "kid", token_key_kid(key));
    json_object_end(&writer);
    base64url_add(out, buf_str(&header));
    buf_add_char(out, '.');
    base64url_add(out, claims);
    out->failed |= buf_failed(&header);
    buf_free(&header);
    if (buf_failed(out))
        return;
    struct buf signature = {0}; /* apart: the text that is signed may move while `out` grows */
    token_key_sign(key, (struct str){out->at + begin, out->len - begin}, &signature);
    buf_add_char(out, '.');
    base64url_add(out, buf_str(&signature));
    out->failed |= buf_failed(&signature);
    buf_free(&signature);
}
