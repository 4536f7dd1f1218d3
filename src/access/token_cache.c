#include "access/token_cache.h"

#include "base/list.h"
#include "base/map.h"

#include <pthread.h>
#include <stdlib.h>

enum { PARTS = 16 };

struct entry {
    struct map_node node;
    struct list by_use; /* the one unused for longest first */
    struct token_digest digest;
    uint64_t generation;
    int64_t from_us; /* when the token was judged: a clock that was set back may be before `nbf` */
    size_t bytes;
    struct caller *caller;
};

struct part {
    pthread_mutex_t lock;
    struct map map; /* by digest */
    struct list by_use;
    size_t bytes;
    uint64_t found, missed;
};

struct token_cache {
    atomic_size_t bytes_max; /* of a part */
    struct part parts[PARTS];
};

static struct str text_of(const struct token_digest *digest)
{
    return (struct str){(const char *)digest->bytes, sizeof(digest->bytes)};
}

static struct entry *of_node(struct map_node *node)
{
    return node ? container_of(node, struct entry, node) : NULL;
}

/* The time must not tell how much of a digest was right, although nobody can make a token from its
 * digest. */
static bool has_digest(const struct map_node *node, struct str key)
{
    return hash_equal(text_of(&container_of(node, struct entry, node)->digest), key);
}

/* ---- making ---------------------------------------------------------------------------------- */

struct token_cache *token_cache_new(size_t bytes_max)
{
    struct token_cache *cache = mem_alloc(sizeof(*cache));
    atomic_init(&cache->bytes_max, bytes_max / PARTS);
    for (size_t i = 0; i < PARTS; i++) {
        pthread_mutex_init(&cache->parts[i].lock, NULL);
        map_init(&cache->parts[i].map, has_digest);
        list_init(&cache->parts[i].by_use);
    }
    return cache;
}

static void entry_free(struct entry *entry)
{
    caller_unref(entry->caller);
    free(entry);
}

static void forget(struct part *part, struct entry *entry)
{
    map_remove(&part->map, &entry->node);
    list_remove(&entry->by_use);
    part->bytes -= entry->bytes;
    entry_free(entry);
}

static void shrink(struct part *part, size_t most)
{
    while (part->bytes > most)
        forget(part, container_of(part->by_use.next, struct entry, by_use));
}

void token_cache_free(struct token_cache *cache)
{
    if (!cache)
        return;
    for (size_t i = 0; i < PARTS; i++) {
        shrink(&cache->parts[i], 0);
        map_deinit(&cache->parts[i].map);
        pthread_mutex_destroy(&cache->parts[i].lock);
    }
    free(cache);
}

void token_cache_limit(struct token_cache *cache, size_t bytes_max)
{
    atomic_store_explicit(&cache->bytes_max, bytes_max / PARTS, memory_order_relaxed);
    for (size_t i = 0; i < PARTS; i++) {
        struct part *part = &cache->parts[i];
        pthread_mutex_lock(&part->lock);
        shrink(part, bytes_max / PARTS);
        pthread_mutex_unlock(&part->lock);
    }
}

static size_t most_of(const struct token_cache *cache)
{
    return atomic_load_explicit(&cache->bytes_max, memory_order_relaxed);
}

bool token_cache_is_on(const struct token_cache *cache)
{
    return cache && most_of(cache);
}

struct token_digest token_digest(struct str text)
{
    struct token_digest digest;
    hash_sha256(text, digest.bytes);
    return digest;
}

/* ---- finding --------------------------------------------------------------------------------- */

static struct part *part_of(struct token_cache *cache, const struct token_digest *digest)
{
    return &cache->parts[digest->bytes[0] % PARTS];
}

static bool counts(const struct entry *entry, uint64_t generation, int64_t now_us)
{
    return entry->generation == generation && now_us >= entry->from_us &&
           now_us < entry->caller->facts.expires_us;
}

/* An entry that does not count does not come to count again, but for a clock that was set back. */
static struct caller *find(struct part *part, const struct token_digest *digest,
                           uint64_t generation, int64_t now_us)
{
    struct entry *entry = of_node(map_find(&part->map, text_of(digest)));
    if (entry && !counts(entry, generation, now_us)) {
        forget(part, entry);
        entry = NULL;
    }
    part->found += entry != NULL;
    part->missed += entry == NULL;
    if (!entry)
        return NULL;
    list_remove(&entry->by_use);
    list_add_last(&part->by_use, &entry->by_use);
    return caller_ref(entry->caller);
}

struct caller *token_cache_find(struct token_cache *cache, const struct token_digest *digest,
                                uint64_t generation, int64_t now_us)
{
    struct part *part = part_of(cache, digest);
    pthread_mutex_lock(&part->lock);
    struct caller *caller = find(part, digest, generation, now_us);
    pthread_mutex_unlock(&part->lock);
    return caller;
}

/* ---- keeping --------------------------------------------------------------------------------- */

static struct entry *entry_new(const struct token_digest *digest, uint64_t generation,
                               int64_t now_us, const struct caller *caller)
{
    struct entry *entry = mem_try_alloc(sizeof(*entry));
    if (!entry)
        return NULL;
    *entry =
        (struct entry){.digest = *digest,
                       .generation = generation,
                       .from_us = now_us,
                       .bytes = mem_taken(sizeof(*entry)) + mem_taken(caller_size(&caller->facts)),
                       .caller = caller_ref(caller)};
    return entry;
}

static void add(struct part *part, struct entry *entry)
{
    struct entry *before = of_node(map_find(&part->map, text_of(&entry->digest)));
    if (before)
        forget(part, before);
    map_add(&part->map, &entry->node, text_of(&entry->digest));
    list_add_last(&part->by_use, &entry->by_use);
    part->bytes += entry->bytes;
}

void token_cache_put(struct token_cache *cache, const struct token_digest *digest,
                     uint64_t generation, int64_t now_us, const struct caller *caller)
{
    struct part *part = part_of(cache, digest);
    struct entry *entry =
        caller->facts.expires_us ? entry_new(digest, generation, now_us, caller) : NULL;
    if (!entry)
        return;
    pthread_mutex_lock(&part->lock);
    size_t most = most_of(cache); /* under the lock: a limit that comes later shrinks the part */
    if (entry->bytes <= most)
        add(part, entry);
    else
        entry_free(entry);
    shrink(part, most);
    pthread_mutex_unlock(&part->lock);
}

struct token_cache_stats token_cache_stats(struct token_cache *cache)
{
    struct token_cache_stats stats = {0};
    for (size_t i = 0; cache && i < PARTS; i++) {
        struct part *part = &cache->parts[i];
        pthread_mutex_lock(&part->lock);
        stats.found += part->found;
        stats.missed += part->missed;
        stats.tokens += part->map.count;
        stats.bytes += part->bytes;
        pthread_mutex_unlock(&part->lock);
    }
    return stats;
}
