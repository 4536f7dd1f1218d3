/* An intrusive hash map by bytes: elements embed a node, the map owns only its table.
 *
 * The map grows a little with each addition, since locks are held over it: beside the new table the
 * old one stays until the additions that follow have moved all of its slots, a few each. A slot is
 * in one of the two tables at any time, so finding looks at one slot as before. */
#pragma once

#include "base/str.h"

#include <stdint.h>

struct map_node {
    struct map_node *next;
    uint32_t hash;
    uint32_t own; /* the element's, in what would be padding; the map leaves it alone */
};

/* Keys come from strangers, so the hash is keyed (SipHash-1-3) with a seed of the map's own. */
struct map {
    struct map_node **slots;
    size_t mask;
    size_t count;
    struct map_node **old; /* the table before, while its slots move; else NULL */
    size_t old_mask;
    size_t moved; /* slots of `old` below this one are in `slots` */
    size_t ahead; /* additions whose share of that was done before, see map_expect() */
    uint64_t seed[2];
    bool (*key_is)(const struct map_node *node, struct str key);
};

/* `key_is` says whether an element has that key. Aborts when there is no memory for a first table.
 */
void map_init(struct map *map, bool (*key_is)(const struct map_node *node, struct str key));

/* Makes an empty map's table fit for `count` elements, so that their additions need not grow it.
 * Without memory it stays as it is, and grows with them. */
void map_reserve(struct map *map, size_t count);

/* Frees the table; the elements are the caller's. */
void map_deinit(struct map *map);

/* Prefetch the slots of many keys, then the elements in them, so that their cache misses overlap
 * instead of adding up. The hash is for map_prefetch_node(), while the map does not change, and for
 * map_find_hashed().
 */
uint32_t map_prefetch_slot(const struct map *map, struct str key);
void map_prefetch_node(const struct map *map, uint32_t hash);

/* The element with this key, or NULL. */
struct map_node *map_find(const struct map *map, struct str key);

/* Adds an element under `key`, which must not be in the map yet. The map does not keep `key`. The
 * time does not depend on the size of the map. Growing may fail quietly: the map then gets slower,
 * never wrong. */
void map_add(struct map *map, struct map_node *node, struct str key);

/* Does now what an addition would do to make the table grow: for each of `soon` additions that will
 * be made under one hold of a lock, so that they are short. */
void map_expect(struct map *map, size_t soon);

/* map_find() and map_add() for a key whose hash the caller computes, always in the same way and
 * from something that strangers cannot foresee, such as a map_hash() of a part of the key. */
struct map_node *map_find_hashed(const struct map *map, uint32_t hash, struct str key);
void map_add_hashed(struct map *map, struct map_node *node, uint32_t hash);

void map_remove(struct map *map, struct map_node *node);

/* The memory of the map's tables. Pages of a table that its slots have not reached yet, or have
 * left, count for nothing. */
size_t map_bytes(const struct map *map);

/* Walks all elements in no order: start with NULL, then with the one before; NULL ends. The map
 * must not change meanwhile, except that the element just returned may be removed once the next
 * was asked for. */
struct map_node *map_next(const struct map *map, const struct map_node *before);

/* SipHash-1-3 of `bytes` under `seed`. */
uint64_t map_hash(const uint64_t seed[2], struct str bytes);
