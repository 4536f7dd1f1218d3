/* A set of keys that verify tokens: read from a JWK Set (RFC 7517), or made of single keys. */
#pragma once

#include "access/token_key.h"

#include <stdatomic.h>

enum {
    TOKEN_KEYS_MAX = 64,       /* the keys of one set; more are left out */
    TOKEN_JWKS_MAX = 256 << 10 /* bytes */
};

/* Immutable once made, and shared between threads by reference. */
struct token_keys {
    atomic_uint refs;
    size_t count;
    struct token_key *at[TOKEN_KEYS_MAX];
};

/* A set without keys. */
struct token_keys *token_keys_new(void);

/* Adds a key before the set is shared, and takes it over. False, with the key freed, if the set is
 * full. */
bool token_keys_add(struct token_keys *keys, struct token_key *key);

/* Any thread, NULL included. */
struct token_keys *token_keys_ref(struct token_keys *keys);
struct token_keys *token_keys_unref(struct token_keys *keys);

/* Where a JWK Set is from decides about shared secrets: a set that anybody can fetch has none. */
enum jwks_source { JWKS_PUBLIC, JWKS_PRIVATE };

/* Reads a JWK Set, or a single JWK. Keys for other purposes or of unsupported algorithms are left
 * out (RFC 7517 section 5), as are broken ones and private keys. `count` of the set is at least 1.
 * 0, -ENOMEM, or -EINVAL with a static hint in `*ret_why`. */
int token_keys_of_jwks(struct str json, enum jwks_source source, struct token_keys **ret,
                       const char **ret_why);
