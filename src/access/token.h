/* Tokens: JSON Web Tokens (RFC 7519) in the compact form of signatures (RFC 7515), read as strictly
 * as RFC 8725 asks.
 *
 *     token_parse()         three parts; a header of which alg, kid, typ and crit are looked at
 *     token_verify()        a key of a check, of just this algorithm and id, has made the signature
 *     token_claims_read()   the claims, each of its right type
 *     token_claims_judge()  the time, the issuer and the audience
 *
 * token_admit() does the last three in this order, so no claim of a stranger is parsed. The
 * algorithm belongs to the key: the header's only has to be the same. Keys in a header (jwk, jku,
 * x5c, x5u) are never looked at. */
#pragma once

#include "access/caller.h"
#include "access/grant_json.h"
#include "access/token_keys.h"

#include <jansson.h>

enum {
    TOKEN_BYTES_MAX = 8192,
    TOKEN_HEADER_MAX = 2048, /* decoded */
    TOKEN_DEPTH_MAX = 8,     /* of the JSON in it */
    TOKEN_NAME_MAX = 255,    /* bytes of `sub` and `jti` */
    TOKEN_TRIES_MAX = 16,    /* signatures that are computed for one token, at most */
};

enum token_verdict {
    TOKEN_OK,
    TOKEN_NO_MEMORY,
    TOKEN_BAD_FORM,
    TOKEN_TOO_LONG,
    TOKEN_ENCRYPTED,
    TOKEN_BAD_HEADER,
    TOKEN_CRITICAL,      /* `crit` */
    TOKEN_BAD_TYPE,      /* `typ` or `cty` */
    TOKEN_UNKNOWN_KEY,   /* no key has this id: a key set may have a newer one */
    TOKEN_BAD_ALGORITHM, /* no key is for this algorithm, `none` included */
    TOKEN_BAD_SIGNATURE,
    TOKEN_BAD_CLAIMS,
    TOKEN_BAD_SUBJECT,
    TOKEN_BAD_ID,
    TOKEN_BAD_TIME,
    TOKEN_ENDLESS,
    TOKEN_EXPIRED,
    TOKEN_EARLY,
    TOKEN_BAD_ISSUER,
    TOKEN_BAD_AUDIENCE,
    TOKEN_BAD_GRANTS,
    TOKEN_VERDICTS,
};

/* A sentence for the holder of the token. Static memory. */
const char *token_verdict_text(enum token_verdict verdict);

/* The demands on a token. All is borrowed; keys may be NULL while none are known. */
struct token_check {
    const struct token_keys *keys;
    struct str issuer;   /* empty: any */
    struct str audience; /* empty: only tokens that name none */
    struct str claim;    /* the claim that holds the grants: `freshet` */
    int64_t leeway_s;    /* for clocks that differ */
    uint64_t voucher;    /* of the issuer: that of the callers */
};

/* A token that was taken apart. Deinit it in any case. */
struct token {
    struct str signed_text; /* borrowed: header and claims as they came */
    struct str claims_text; /* borrowed: in base64url */
    struct str alg, kid;    /* of the header */
    bool has_kid;
    json_t *header;
    struct buf signature;
};

enum token_verdict token_parse(struct str text, struct token *ret);
void token_deinit(struct token *token);

/* Whether a key of the check has signed the token: TOKEN_OK, TOKEN_UNKNOWN_KEY, TOKEN_BAD_ALGORITHM
 * or TOKEN_BAD_SIGNATURE. `tries` counts down with each signature that is computed. */
enum token_verdict token_verify(const struct token *token, const struct token_keys *keys,
                                unsigned *tries);

/* The claims. Texts are borrowed from `root`. Deinit them in any case. */
struct token_claims {
    json_t *root;
    struct str subject, jti, issuer;
    const json_t *audience; /* a string, an array of strings, or NULL */
    int64_t expires_s;
    int64_t starts_s; /* 0 without nbf */
    int64_t issued_s; /* 0 without iat */
    struct grant_list grants;
};

enum token_verdict token_claims_read(const struct token *token, struct str grants_claim,
                                     struct token_claims *ret);
void token_claims_deinit(struct token_claims *claims);

enum token_verdict token_claims_judge(const struct token_claims *claims,
                                      const struct token_check *check, int64_t now_us);

/* Holds a token against a check: TOKEN_OK with a caller, which ends when the token does, leeway
 * included. `tries` counts down as above. Any thread. */
enum token_verdict token_admit(const struct token *token, const struct token_check *check,
                               int64_t now_us, unsigned *tries, struct caller **ret);

/* Whether a credential is meant to be a token: it has the two dots of one. */
bool token_is_meant(struct str text);

/* Adds a token with these claims, which are a JSON object. Marks `out` failed if the library
 * fails. The key must be one that signs. */
void token_mint(const struct token_key *key, struct str claims, struct buf *out);
