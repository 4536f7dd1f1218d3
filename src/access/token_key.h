/* Keys that sign and verify tokens. Each is bound to one algorithm (RFC 7518, RFC 8037). */
#pragma once

#include "base/buf.h"

enum token_algorithm {
    TOKEN_HS256,
    TOKEN_HS384,
    TOKEN_HS512,
    TOKEN_RS256,
    TOKEN_PS256,
    TOKEN_ES256,
    TOKEN_EDDSA,
    TOKEN_ALGORITHMS, /* also: none of these */
};

enum {
    TOKEN_KID_MAX = 255,
    TOKEN_SECRET_MAX = 1024,
    TOKEN_RSA_BITS_LEAST = 2048, /* RFC 7518 section 3.3 */
    TOKEN_RSA_BITS_MOST = 8192,  /* a larger one makes each verification slow */
    TOKEN_SIGNATURE_MAX = TOKEN_RSA_BITS_MOST / 8,
    TOKEN_PEM_MAX = 64 << 10,
};

/* The name of an algorithm, as `alg` has it, and the algorithm of a name. `Ed25519` is EdDSA with
 * the one curve that is supported (RFC 9864). */
const char *token_algorithm_name(enum token_algorithm algorithm);
enum token_algorithm token_algorithm_of(struct str name);

/* Whether the algorithm signs by a secret that both sides know. */
static inline bool token_algorithm_is_shared(enum token_algorithm algorithm)
{
    return algorithm <= TOKEN_HS512;
}

/* A key. Immutable once made, so any thread may use it. */
struct token_key;

/* Makes a key of a shared secret. It must have as many bytes as the digest, or anybody who has a
 * token can try secrets (RFC 7518 section 3.2). 0, -ENOMEM, or -EINVAL with a hint in `*ret_why`,
 * which is static, as below. */
int token_key_of_secret(enum token_algorithm algorithm, struct str secret, struct str kid,
                        struct token_key **ret, const char **ret_why);

/* Makes a key of a public key, a certificate or a private key in PEM form. Only a private key can
 * sign. The key decides what algorithms are possible: TOKEN_ALGORITHMS takes RS256 for RSA, ES256
 * for the curve P-256, EdDSA for Ed25519. */
int token_key_of_pem(enum token_algorithm algorithm, struct str pem, struct str kid,
                     struct token_key **ret, const char **ret_why);

/* Make public keys of the numbers that a JWK has (RFC 7518 sections 6.2 and 6.3, RFC 8037),
 * big-endian. */
int token_key_of_rsa(enum token_algorithm algorithm, struct str n, struct str e, struct str kid,
                     struct token_key **ret, const char **ret_why);
int token_key_of_p256(struct str x, struct str y, struct str kid, struct token_key **ret,
                      const char **ret_why);
int token_key_of_ed25519(struct str x, struct str kid, struct token_key **ret,
                         const char **ret_why);

/* NULL is allowed. Secrets are wiped. */
void token_key_free(struct token_key *key);

enum token_algorithm token_key_algorithm(const struct token_key *key);

/* The key's id; empty without one. */
struct str token_key_kid(const struct token_key *key);

/* Whether the key can sign as well. */
bool token_key_signs(const struct token_key *key);

/* Whether `signature` is the key's signature of `text`. False if the library fails, too. */
bool token_key_verifies(const struct token_key *key, struct str text, struct str signature);

/* Adds the signature of `text`, as a token has it. Marks `out` failed if the library fails. The key
 * must be one that signs. */
void token_key_sign(const struct token_key *key, struct str text, struct buf *out);
