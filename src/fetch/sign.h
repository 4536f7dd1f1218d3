/* Secrets and signatures as Standard Webhooks 1.0.0 has them: HMAC-SHA256, tagged v1, and
 * ed25519, tagged v1a. */
#pragma once

#include "base/buf.h"

#include <stdint.h>

enum { SIGN_KEY_LEAST = 24, SIGN_KEY_MOST = 64, SIGN_KEY_MADE = 32 };

/* A key as it is used, without its clothes. */
struct sign_key {
    uint8_t bytes[SIGN_KEY_MOST];
    uint8_t len;
};

/* A new random key. */
void sign_key_make(struct sign_key *ret);

/* Reads `whsec_` and base64 of 24 to 64 bytes. -EINVAL when it is anything else. */
int sign_key_read(struct str text, struct sign_key *ret);

/* Adds it as it is shown: `whsec_` and base64. */
void sign_key_add(struct buf *out, const struct sign_key *key);

/* Adds `v1,` and the signature of an attempt: over id, time and body, joined by dots. `id` must
 * have no dot. */
void sign_add(struct buf *out, const struct sign_key *key, struct str id, int64_t unix_seconds,
              struct str body);

/* An ed25519 key pair; all zeroes is none. */
struct sign_pair {
    uint8_t seed[32];
    uint8_t open[32]; /* the public key */
    bool set;
};

/* A new random pair. 0 or -ENOMEM. */
int sign_pair_make(struct sign_pair *ret);

/* Reads `whsk_` and base64 of the seed alone or of seed and public key. -EINVAL when it is anything
 * else, or the public key is another's. */
int sign_pair_read(struct str text, struct sign_pair *ret);

/* Adds `whpk_` and base64 of the public key. */
void sign_pair_add_public(struct buf *out, const struct sign_pair *pair);

/* Adds `v1a,` and the signature, over the same bytes as sign_add(). Marks `out` failed when there
 * is no memory. */
void sign_pair_add(struct buf *out, const struct sign_pair *pair, struct str id,
                   int64_t unix_seconds, struct str body);
