/* The text of an API key: `fk_ID_SECRET`, and what is kept of it, `fk_ID:SHA256`. */
#pragma once

#include "base/hash.h"

/* Both parts are written in the lower-case alphabet of base32 (RFC 4648 section 6), 5 bits a
 * character. A double click selects all of a key, and secret scanners find it by
 * fk_[a-z2-7]{10}_[a-z2-7]{52}. */
enum {
    KEY_ID_LEN = 10,     /* 50 random bits: tells keys apart, and is no secret */
    KEY_SECRET_LEN = 52, /* 256 random bits */
    KEY_TEXT_LEN = 3 + KEY_ID_LEN + 1 + KEY_SECRET_LEN,
    KEY_DIGEST_LEN = 3 + KEY_ID_LEN + 1 + 2 * HASH_SHA256_SIZE,
};

/* The part of a key that the server keeps. The hash is a fast one: a secret of 256 random bits
 * cannot be guessed, however many guesses a second somebody has. */
struct key_digest {
    char id[KEY_ID_LEN + 1];
    uint8_t hash[HASH_SHA256_SIZE]; /* SHA-256 of the whole text */
};

/* Makes a key from the kernel's random bytes. The caller wipes the text (explicit_bzero()) once it
 * was shown. */
void key_text_make(char ret_text[KEY_TEXT_LEN + 1], struct key_digest *ret_digest);

/* Whether a credential looks like an API key at all, right or wrong; others are tokens. */
bool key_text_is(struct str text);

/* Reads what a client sent. False when it is not the text of a key. */
bool key_text_read(struct str text, struct key_digest *ret_digest);

/* Writes, and reads, a digest as text: `fk_ID:` and 64 hexadecimal digits. */
void key_digest_write(const struct key_digest *digest, char ret_text[KEY_DIGEST_LEN + 1]);
bool key_digest_read(struct str text, struct key_digest *ret_digest);

/* Whether both are of one key, in a time that does not depend on the hashes. */
bool key_digest_equal(const struct key_digest *a, const struct key_digest *b);

/* Whether the text is the id of a key, as digests have it. */
bool key_id_valid(struct str text);
