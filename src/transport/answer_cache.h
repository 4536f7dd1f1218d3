/* A cache of the last answers that were pages, for requests with the very same answer: a thousand
 * polls of a channel share it. */
#pragma once

#include "base/buf.h"

enum { ANSWER_CACHE_SIZE = 4, ANSWER_CACHE_BYTES = 16 << 10 };

/* All that the bytes of a page's answer depend on; two answers with equal keys are equal. */
struct page_key {
    int64_t unix_seconds; /* of its Date */
    uint64_t cursor;
    uint64_t told;  /* see page_content */
    uint64_t first; /* see page_content */
    uint32_t wait_s;
    bool prefer_wait;
    bool more;
    bool waited;
    bool is_head;
    bool keep_alive;
    bool http10;
    struct str origin; /* the origin that may read it; empty if no browser asked */
    struct str channel;
    struct str kept; /* see struct reading */
    struct str events;
};

struct cached_answer {
    struct page_key key;
    struct str bytes; /* head and body; `at == NULL` if there are none */
    struct buf texts; /* memory of `bytes` and of the key's strings */
};

/* The cache of a worker. Zeroes are a valid start. */
struct answer_cache {
    struct cached_answer at[ANSWER_CACHE_SIZE];
    unsigned next; /* to be replaced */
};

/* The whole answer, valid until answer_cache_keep(); `at == NULL` if it is not in the cache. */
struct str answer_cache_find(const struct answer_cache *cache, const struct page_key *key);

/* Keeps a copy of an answer instead of the oldest, unless it is longer than ANSWER_CACHE_BYTES with
 * all that belongs to it, or there is no memory. */
void answer_cache_keep(struct answer_cache *cache, const struct page_key *key, struct str bytes);

void answer_cache_deinit(struct answer_cache *cache);
