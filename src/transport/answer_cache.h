/* A cache of a worker's last page answers: a thousand polls of a channel that wait at the same
 * position share one. */
#pragma once

#include "base/buf.h"
#include "http/accept.h"

enum { ANSWER_CACHE_SIZE = 4, ANSWER_CACHE_BYTES = 16 << 10 };

/* Everything that the bytes of a page's answer depend on: equal keys have equal answers. */
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
    enum http_gzip_wish gzip;
    struct str origin; /* the Origin that may read it; empty if the request had none */
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

/* The whole answer, valid until the next answer_cache_keep(); `at == NULL` if it is not in the
 * cache. */
struct str answer_cache_find(const struct answer_cache *cache, const struct page_key *key);

/* Puts a copy of an answer into the cache, in place of the oldest. Not if the answer and its key
 * are longer than ANSWER_CACHE_BYTES, or if there is no memory. */
void answer_cache_keep(struct answer_cache *cache, const struct page_key *key, struct str bytes);

void answer_cache_deinit(struct answer_cache *cache);
