/* An intrusive hash map by bytes: elements embed a node, the map owns only its table.
 *
 * The map grows a little with each addition, since callers hold locks meanwhile. The old table
 * stays beside the new one until the following additions have moved all of its slots, a few each. A
 * slot is in one of the two tables at any time, so a search looks at one slot only. */
#pragma once

#include "base/str.h"

#include <stdint.h>

struct map_node {
    struct map_node *next;
    uint32_t hash;
    uint32_t own; /* for the element's use, in bytes that would be padding; the map leaves it
                   * alone */
};

/* Keys come from strangers, so the hash is keyed (SipHash-1-3) with a random seed of this map. */
struct map {
    struct map_node **slots;
    size_t mask;
    size_t count;
    struct map_node **old; /* the previous table while its slots move; else NULL */
    size_t old_mask;
    size_t moved; /* slots of `old` below this one are in `slots` */
    size_t ahead; /* additions whose share of moving was done before, see map_expect() */
    uint64_t seed[2];
    bool (*key_is)(const struct map_node *node, struct str key);
};

/* `key_is` says whether an element has that key. Aborts when there is no memory for a first table.
 */
void map_init(struct map *map, bool (*key_is)(const struct map_node *node, struct str key));

/* Sizes the table of an empty map for `count` elements, so that their additions need not grow it.
 * Without memory the table stays as it is and grows as usual. */
void map_reserve(struct map *map, size_t count);

/* Frees the table. The elements are the caller's. */
void map_deinit(struct map *map);

/* Has an empty map use the seed of another, so that one hash of a key serves both. */
void map_share_seed(struct map *map, const uint64_t seed[2]);

/* SipHash-1-3 of `bytes` under `seed`; and the hash of a key, for the functions that take one. */
uint64_t map_hash(const uint64_t seed[2], struct str bytes);

static inline uint32_t map_hash_of(const struct map *map, struct str key)
{
    return (uint32_t)map_hash(map->seed, key);
}

/* Prefetch the slots of many keys, then the elements in them, so that their cache misses overlap
 * instead of adding up. */
void map_prefetch_slot(const struct map *map, uint32_t hash);
void map_prefetch_node(const struct map *map, uint32_t hash);

/* The element with this key, or NULL. */
struct map_node *map_find(const struct map *map, struct str key);

/* Adds an element under `key`, which must not be in the map yet. The map does not keep `key`. The
 * time does not depend on the size of the map. If the table cannot grow for lack of memory, the map
 * gets slower but stays right. */
void map_add(struct map *map, struct map_node *node, struct str key);

/* Does ahead of time the growing of the table that one of `soon` additions would do. Called once
 * for each of them before a lock is taken under which all are made, to keep the lock short. */
void map_expect(struct map *map, size_t soon);

/* map_find() and map_add() with a hash that the caller computes. The caller must always compute it
 * the same way, from a value that strangers cannot foresee, such as a map_hash() of a part of the
 * key. */
struct map_node *map_find_hashed(const struct map *map, uint32_t hash, struct str key);
void map_add_hashed(struct map *map, struct map_node *node, uint32_t hash);

void map_remove(struct map *map, struct map_node *node);

/* The memory of the map's tables. Pages that slots have not reached yet, or have left, are not
 * counted. */
size_t map_bytes(const struct map *map);

/* Walks all elements in no order: start with NULL, then with the one before; NULL ends. The map
 * must not change meanwhile, except that the element just returned may be removed once the next
 * was asked for. */
struct map_node *map_next(const struct map *map, const struct map_node *before);
