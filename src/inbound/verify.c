#include "inbound/verify.h"

#include "base/base64.h"
#include "http/token.h"

#include <errno.h>
#include <openssl/evp.h>

enum {
    DIGEST_TEXT_MAX = 4 * HASH_SIZE_MAX,
    PUBLIC_KEY_SIZE = 32,
    PUBLIC_SIGNATURE_SIZE = 64,
    STANDARD_KEY_LEAST = 16,
    STANDARD_KEY_MOST = 75
};
/* Numbers from here on are milliseconds: seconds since 1970 will not have twelve digits for 3,000
 * years. */
#define MILLISECONDS_FROM UINT64_C(100000000000)

/* The proof that a request brings; all parts are borrowed from it. */
struct proof {
    struct str timestamp; /* `at == NULL` if there is none */
    struct str id;        /* with Standard Webhooks */
    size_t count;
    struct candidate {
        struct str text;
        bool by_public_key; /* v1a */
    } candidates[VERIFY_CANDIDATES_MAX];
};

/* The signatures of a proof, decoded. */
struct claims {
    size_t count;
    struct buf signatures[VERIFY_CANDIDATES_MAX];
    bool by_public_key[VERIFY_CANDIDATES_MAX];
};

/* ---- secrets --------------------------------------------------------------------------------- */

static int decode_key(struct str text, size_t prefix, struct verify_secret *ret)
{
    int result = base64_decode(&ret->bytes, str_skip(text, prefix));
    return buf_failed(&ret->bytes) ? -ENOMEM : result;
}

static int read_standard(struct str text, struct verify_secret *ret, const char **ret_why)
{
    ret->is_public = str_starts(text, STR("whpk_"));
    bool dressed = ret->is_public || str_starts(text, STR("whsec_"));
    size_t prefix = !dressed ? 0 : ret->is_public ? 5 : 6;
    int result = decode_key(text, prefix, ret);
    size_t len = ret->bytes.len;
    bool fits = ret->is_public ? len == PUBLIC_KEY_SIZE
                               : len >= STANDARD_KEY_LEAST && len <= STANDARD_KEY_MOST;
    if (!result && !fits)
        result = -EINVAL;
    *ret_why = "a secret of Standard Webhooks is whsec_ (or whpk_, a public key) and base64";
    return result;
}

int verify_secret_read(enum verify_scheme scheme, struct str text, struct verify_secret *ret,
                       const char **ret_why)
{
    struct verify_secret secret = {0};
    int result = 0;
    *ret_why = NULL;
    if (scheme == VERIFY_STANDARD) {
        result = read_standard(text, &secret, ret_why);
    } else if (!text.len || (scheme == VERIFY_BASIC && !memchr(text.at, ':', text.len))) {
        *ret_why = scheme == VERIFY_BASIC ? "the secret of basic is user:password"
                                          : "a secret is not empty";
        result = -EINVAL;
    } else {
        buf_add_str(&secret.bytes, text);
        result = buf_failed(&secret.bytes) ? -ENOMEM : 0;
    }
    if (result)
        verify_secret_deinit(&secret);
    else
        *ret = secret;
    return result;
}

void verify_secret_deinit(struct verify_secret *secret)
{
    buf_wipe(&secret->bytes);
}

/* ---- the proof of a request ------------------------------------------------------------------ */

static void add_candidate(struct proof *proof, struct str text, bool by_public_key)
{
    if (text.len && proof->count < VERIFY_CANDIDATES_MAX)
        proof->candidates[proof->count++] = (struct candidate){text, by_public_key};
}

static bool begins(struct str value, struct str prefix)
{
    return value.len >= prefix.len && str_eq_nocase((struct str){value.at, prefix.len}, prefix);
}

/* Neither hexadecimal digits nor base64 have any of these. */
#define BETWEEN_SIGNATURES ",; \t"

static struct str behind_any(struct str rest, const char *of)
{
    while (rest.len && rest.at[0] && strchr(of, rest.at[0]))
        rest = str_skip(rest, 1);
    return rest;
}

/* Cuts what stands before any of these off the front of `*rest`. */
static struct str cut_at_any(struct str *rest, const char *of)
{
    struct str head = *rest;
    head.len = 0;
    while (head.len < rest->len && !(head.at[head.len] && strchr(of, head.at[head.len])))
        head.len++;
    *rest = str_skip(*rest, head.len + 1);
    return head;
}

/* Signatures that follow one another, each behind the prefix: a sender whose secret was replaced
 * signs by both. The prefix is looked for before the cut, since it may hold a comma (`v1,`). */
static void read_signatures(const struct verifier *verifier, struct str rest, struct proof *proof)
{
    while ((rest = behind_any(rest, BETWEEN_SIGNATURES)).len) {
        bool ours = begins(rest, verifier->prefix);
        if (ours)
            rest = behind_any(str_skip(rest, verifier->prefix.len), " \t");
        struct str one = cut_at_any(&rest, BETWEEN_SIGNATURES);
        if (ours)
            add_candidate(proof, one, false);
    }
}

static struct str without_quotes(struct str value)
{
    bool quoted = value.len > 1 && value.at[0] == '"' && value.at[value.len - 1] == '"';
    return quoted ? (struct str){value.at + 1, value.len - 2} : value;
}

/* Pairs as in `t=1,v1=ab,v1=cd` or `ts=1;h1=ab`. */
static void read_pairs(const struct verifier *verifier, struct str rest, struct proof *proof)
{
    while (rest.len) {
        struct str value = str_trim(cut_at_any(&rest, ",;"));
        struct str name = str_cut(&value, '=');
        value = without_quotes(value);
        if (str_eq(name, verifier->timestamp_field))
            proof->timestamp = value;
        else if (str_eq(name, verifier->signature_field) && begins(value, verifier->prefix))
            add_candidate(proof, str_skip(value, verifier->prefix.len), false);
    }
}

/* A header that is there in several lines is one list (RFC 9110 section 5.3): proxies join them. */
static void read_header(const struct verifier *verifier, const struct http_fields *fields,
                        struct proof *proof)
{
    struct str value;
    for (size_t pos = 0; http_fields_next(fields, verifier->header, &pos, &value);) {
        if (verifier->scheme == VERIFY_TOKEN && begins(value, verifier->prefix))
            add_candidate(proof, str_trim(str_skip(value, verifier->prefix.len)), false);
        else if (verifier->scheme != VERIFY_TOKEN && verifier->signature_field.len)
            read_pairs(verifier, value, proof);
        else if (verifier->scheme != VERIFY_TOKEN)
            read_signatures(verifier, value, proof);
    }
    if (verifier->timestamp_header.len)
        proof->timestamp = http_fields_get(fields, verifier->timestamp_header);
}

struct verify_standard verify_standard_headers(const struct http_fields *fields)
{
    struct str id = http_fields_get(fields, STR("webhook-id"));
    if (id.at)
        return (struct verify_standard){id, http_fields_get(fields, STR("webhook-timestamp")),
                                        STR("webhook-signature")};
    return (struct verify_standard){http_fields_get(fields, STR("svix-id")),
                                    http_fields_get(fields, STR("svix-timestamp")),
                                    STR("svix-signature")};
}

/* `v1,SIGNATURE v1a,SIGNATURE …`. Where lines were joined a comma stands before the blank. */
static void read_standard_signatures(struct str rest, struct proof *proof)
{
    while ((rest = behind_any(rest, ", ")).len) {
        struct str one = cut_at_any(&rest, " ");
        struct str version = str_cut(&one, ',');
        one = cut_at_any(&one, ",");
        if (str_eq(version, STR("v1")) || str_eq(version, STR("v1a")))
            add_candidate(proof, one, version.len == 3);
    }
}

static void read_standard_headers(const struct http_fields *fields, struct proof *proof)
{
    struct verify_standard headers = verify_standard_headers(fields);
    struct str value;
    proof->id = headers.id;
    proof->timestamp = headers.timestamp;
    /* A dot in the id would let it be cut elsewhere than where it was joined. */
    if (!headers.id.len || memchr(headers.id.at, '.', headers.id.len))
        return;
    for (size_t pos = 0; http_fields_next(fields, headers.signature_name, &pos, &value);)
        read_standard_signatures(value, proof);
}

static struct proof read_proof(const struct verifier *verifier, const struct http_fields *fields)
{
    struct proof proof = {0};
    if (verifier->scheme == VERIFY_STANDARD)
        read_standard_headers(fields, &proof);
    else
        read_header(verifier, fields, &proof);
    return proof;
}

/* ---- the signed bytes ------------------------------------------------------------------------ */

enum { PARTS_MAX = TEMPLATE_PARTS_MAX };

static struct str part_value(const struct template_part *part, const struct proof *proof,
                             const struct inbound_request *request)
{
    switch (part->kind) {
    case TEMPLATE_HEADER:
        return http_fields_get(request->fields, part->text);
    case TEMPLATE_TIMESTAMP:
        return proof->timestamp;
    case TEMPLATE_BODY:
        return request->body;
    default:
        return part->text;
    }
}

static size_t signed_parts(const struct verifier *verifier, const struct proof *proof,
                           const struct inbound_request *request, struct str parts[PARTS_MAX])
{
    if (verifier->scheme == VERIFY_STANDARD) {
        const struct str standard[] = {proof->id, STR("."), proof->timestamp, STR("."),
                                       request->body};
        memcpy(parts, standard, sizeof(standard));
        return sizeof(standard) / sizeof(standard[0]);
    }
    const struct template *template = verifier->signed_bytes;
    for (size_t i = 0; i < template->count; i++)
        parts[i] = part_value(&template->parts[i], proof, request);
    return template->count;
}

/* ---- comparing ------------------------------------------------------------------------------- */

static bool decode_hex(struct str text, struct buf *out)
{
    if (text.len % 2)
        return false;
    for (size_t i = 0; i < text.len; i += 2) {
        int high = http_hex(text.at[i]), low = http_hex(text.at[i + 1]);
        if (high < 0 || low < 0)
            return false;
        buf_add_char(out, (char)(high << 4 | low));
    }
    return true;
}

static bool decode(const struct verifier *verifier, struct str text, struct buf *out)
{
    buf_clear(out);
    if (text.len > DIGEST_TEXT_MAX)
        return false;
    if (verifier->scheme == VERIFY_STANDARD || verifier->encoding == VERIFY_BASE64)
        return base64_decode(out, text) == 0;
    return decode_hex(text, out);
}

/* Whether a signature is by the private key of this public key. */
static int check_public(const struct verify_secret *secret, struct str joined, struct str signature,
                        bool *ret_good)
{
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(
        EVP_PKEY_ED25519, NULL, (const unsigned char *)secret->bytes.at, secret->bytes.len);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool able = key && context && EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1;
    *ret_good =
        able && EVP_DigestVerify(context, (const unsigned char *)signature.at, signature.len,
                                 (const unsigned char *)joined.at, joined.len) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    return able ? 0 : -ENOMEM;
}

/* Compares the signatures that are made with secrets with a digest for each secret. The body is
 * read once for each secret, however many signatures are claimed. */
static void check_digests(const struct verifier *verifier, const struct claims *claims,
                          const struct str *parts, size_t count, bool *ret_good)
{
    bool claimed = false;
    for (size_t i = 0; i < claims->count; i++)
        claimed = claimed || !claims->by_public_key[i];
    for (size_t i = 0; claimed && i < verifier->secrets_count; i++) {
        const struct verify_secret *secret = &verifier->secrets[i];
        uint8_t digest[HASH_SIZE_MAX];
        if (secret->is_public)
            continue;
        size_t size = hash_hmac(verifier->hash, buf_str(&secret->bytes), parts, count, digest);
        for (size_t k = 0; k < claims->count; k++)
            *ret_good |=
                !claims->by_public_key[k] && hash_equal((struct str){(const char *)digest, size},
                                                        buf_str(&claims->signatures[k]));
    }
}

static int check_joined(const struct verifier *verifier, const struct claims *claims,
                        struct str joined, bool *ret_good)
{
    unsigned checks = 0;
    int result = 0;
    for (size_t i = 0; i < claims->count * verifier->secrets_count && !result; i++) {
        size_t claim = i / verifier->secrets_count;
        const struct verify_secret *secret = &verifier->secrets[i % verifier->secrets_count];
        bool good = false;
        if (!claims->by_public_key[claim] || !secret->is_public)
            continue;
        if (checks++ == VERIFY_PUBLIC_MAX)
            break;
        result = check_public(secret, joined, buf_str(&claims->signatures[claim]), &good);
        *ret_good |= good;
    }
    return result;
}

/* Checks the signatures that are made with private keys against each public key. Returns 0 or
 * -ENOMEM. */
static int check_public_keys(const struct verifier *verifier, const struct claims *claims,
                             const struct str *parts, size_t count, bool *ret_good)
{
    struct buf joined = {0};
    bool claimed = false, have_key = false;
    for (size_t i = 0; i < claims->count; i++)
        claimed = claimed || claims->by_public_key[i];
    for (size_t i = 0; i < verifier->secrets_count; i++)
        have_key = have_key || verifier->secrets[i].is_public;
    if (!claimed || !have_key)
        return 0;
    for (size_t i = 0; i < count; i++)
        buf_add_str(&joined, parts[i]);
    int result =
        buf_failed(&joined) ? -ENOMEM : check_joined(verifier, claims, buf_str(&joined), ret_good);
    buf_free(&joined);
    return result;
}

/* Decodes the texts that can be signatures. Each must be freed. Returns false if there is no
 * memory. */
static bool read_claims(const struct verifier *verifier, const struct proof *proof,
                        struct claims *claims)
{
    bool failed = false;
    for (size_t i = 0; i < proof->count && !failed; i++) {
        struct buf *signature = &claims->signatures[claims->count];
        bool by_public_key = proof->candidates[i].by_public_key;
        bool readable = decode(verifier, proof->candidates[i].text, signature);
        failed = buf_failed(signature);
        claims->by_public_key[claims->count] = by_public_key;
        claims->count += readable && (!by_public_key || signature->len == PUBLIC_SIGNATURE_SIZE);
    }
    return !failed;
}

static int check_signatures(const struct verifier *verifier, const struct proof *proof,
                            const struct inbound_request *request)
{
    struct str parts[PARTS_MAX];
    struct claims claims = {.count = 0};
    size_t count = signed_parts(verifier, proof, request, parts);
    bool good = false;
    int result = read_claims(verifier, proof, &claims) ? 0 : -ENOMEM;
    if (!result) {
        check_digests(verifier, &claims, parts, count, &good);
        result = check_public_keys(verifier, &claims, parts, count, &good);
    }
    for (size_t i = 0; i < VERIFY_CANDIDATES_MAX; i++)
        buf_free(&claims.signatures[i]);
    return result ? result : good ? VERIFY_OK : VERIFY_E_WRONG;
}

bool verify_is_text(struct str secret, struct str given)
{
    uint8_t right[HASH_SHA256_SIZE], mine[HASH_SHA256_SIZE];
    hash_sha256(given, mine);
    hash_sha256(secret, right);
    return hash_equal((struct str){(const char *)right, sizeof(right)},
                      (struct str){(const char *)mine, sizeof(mine)});
}

static bool is_secret(const struct verifier *verifier, struct str given)
{
    bool good = false;
    for (size_t i = 0; i < verifier->secrets_count; i++)
        good |= verify_is_text(buf_str(&verifier->secrets[i].bytes), given);
    return good;
}

/* Whether any of the tokens is a secret. */
static int check_tokens(const struct verifier *verifier, const struct proof *proof)
{
    bool good = false;
    for (size_t i = 0; i < proof->count; i++)
        good |= is_secret(verifier, proof->candidates[i].text);
    return good ? VERIFY_OK : VERIFY_E_WRONG;
}

static int check_basic(const struct verifier *verifier, struct str value)
{
    struct buf given = {0};
    struct str rest = value;
    struct str scheme = str_cut(&rest, ' ');
    if (!str_eq_nocase(scheme, STR("basic")) || !rest.at)
        return VERIFY_E_MISSING;
    bool good = base64_decode(&given, str_trim(rest)) == 0 && is_secret(verifier, buf_str(&given));
    int result = buf_failed(&given) ? -ENOMEM : good ? VERIFY_OK : VERIFY_E_WRONG;
    buf_free(&given);
    return result;
}

static bool is_stale(const struct verifier *verifier, struct str timestamp, int64_t now_s)
{
    uint64_t then;
    if (http_number(timestamp, &then) || then > INT64_MAX)
        return true;
    if (then >= MILLISECONDS_FROM)
        then /= 1000;
    int64_t off_s = now_s - (int64_t)then;
    return off_s > verifier->tolerance_s || off_s < -verifier->tolerance_s;
}

static bool has_timestamp(const struct verifier *verifier)
{
    return verifier->scheme == VERIFY_STANDARD || verifier->timestamp_header.len ||
           verifier->timestamp_field.len;
}

int verify_request(const struct verifier *verifier, const struct inbound_request *request)
{
    if (verifier->scheme == VERIFY_NONE)
        return VERIFY_OK;
    if (verifier->scheme == VERIFY_BASIC)
        return check_basic(verifier, http_fields_get(request->fields, STR("authorization")));
    struct proof proof = read_proof(verifier, request->fields);
    if (!proof.count || (has_timestamp(verifier) && !proof.timestamp.len))
        return VERIFY_E_MISSING;
    if (verifier->scheme == VERIFY_TOKEN)
        return check_tokens(verifier, &proof);
    /* Before the body is read: a stale request is refused whether it is signed or not. */
    if (has_timestamp(verifier) && is_stale(verifier, proof.timestamp, request->now_s))
        return VERIFY_E_STALE;
    return check_signatures(verifier, &proof, request);
}
