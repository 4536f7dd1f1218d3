/* Verified tokens, so that a token that comes again costs a digest instead of a signature.
 *
 * A token is found by the SHA-256 of all of its text. Neither the token nor a secret is kept, only
 * that digest and the caller. Only tokens that were good are kept, since a stranger can make any
 * number of bad ones. An entry counts while its token does, and only for the generation of keys
 * that it was verified with. Revocations and rules are not part of it: they are asked for each
 * request, whether its token was found here or not.
 *
 * The memory is bounded: what was not used for longest gives way. Many threads use a cache at a
 * time, so it has parts, each under a lock of its own. */
#pragma once

#include "access/caller.h"
#include "base/hash.h"

struct token_cache;

struct token_digest {
    uint8_t bytes[HASH_SHA256_SIZE];
};

/* A cache of at most so many bytes; 0: it keeps nothing, until token_cache_limit(). Aborts without
 * memory. */
struct token_cache *token_cache_new(size_t bytes_max);
/* NULL is fine. */
void token_cache_free(struct token_cache *cache);

/* Changes the limit, at once. Any thread. */
void token_cache_limit(struct token_cache *cache, size_t bytes_max);

/* Whether it keeps anything: otherwise nobody needs a digest. NULL is fine. Any thread. */
bool token_cache_is_on(const struct token_cache *cache);

struct token_digest token_digest(struct str text);

/* The caller of a token that was verified by keys of this generation, with a reference; NULL if it
 * is not known. Any thread. */
struct caller *token_cache_find(struct token_cache *cache, const struct token_digest *digest,
                                uint64_t generation, int64_t now_us);

/* Keeps the caller of a token that was good at `now_us`. A caller without an end, or one that is
 * larger than its part of the cache, is not kept; nor is anything without memory. Any thread. */
void token_cache_put(struct token_cache *cache, const struct token_digest *digest,
                     uint64_t generation, int64_t now_us, const struct caller *caller);

struct token_cache_stats {
    uint64_t found, missed; /* tokens that were looked for */
    uint64_t tokens, bytes; /* of the tokens that are kept */
};

/* NULL is fine: all zeroes. Any thread. */
struct token_cache_stats token_cache_stats(struct token_cache *cache);
