/* Digests and comparisons that must not leak: SHA-256, HMAC, random bytes. */
#pragma once

#include "base/str.h"

#include <stdint.h>

enum { HASH_SHA256_SIZE = 32, HASH_SHA1_SIZE = 20 };

/* Initializes the library before the first digest needs it: reading its configuration and loading
 * its providers takes a millisecond or more, and 60 KB. */
void hash_prepare(void);

void hash_sha256(struct str bytes, uint8_t ret[HASH_SHA256_SIZE]);
/* SHA-1 is broken. Only the WebSocket handshake may use it (RFC 6455 section 4.2.2). */
void hash_sha1(struct str bytes, uint8_t ret[HASH_SHA1_SIZE]);

/* HMAC-SHA-256 over the parts, as if they were joined. */
void hash_hmac_sha256(struct str key, const struct str *parts, size_t count,
                      uint8_t ret[HASH_SHA256_SIZE]);

/* The hashes that other sides use for an HMAC. SHA-1 is sound in an HMAC, and old senders know no
 * other. */
enum hash_kind { HASH_SHA1, HASH_SHA256, HASH_SHA384, HASH_SHA512, HASH_KINDS };
enum { HASH_SIZE_MAX = 64 };
/* Fills the first bytes of `ret` and returns their number. */
size_t hash_hmac(enum hash_kind kind, struct str key, const struct str *parts, size_t count,
                 uint8_t ret[HASH_SIZE_MAX]);
/* The kind with this name (`sha256`); HASH_KINDS if there is none. */
enum hash_kind hash_kind_of(struct str name);

/* Writes bytes as lowercase hexadecimal digits, two each, without a NUL behind them. */
void hash_write_hex(const uint8_t *bytes, size_t size, char *ret_digits);

/* Compares in a time that depends only on the lengths, so that a stranger cannot guess a secret
 * byte by byte. */
bool hash_equal(struct str a, struct str b);

/* Fills `out` with random bytes from the kernel; aborts if there are none. */
void hash_random(void *out, size_t size);
