#include "base/map.h"

#include "base/mem.h"

#include <stdlib.h>
#include <sys/random.h>

enum { SLOTS_FIRST = 16, CACHE_LINE = 64 };

static inline uint64_t rotl(uint64_t x, int b)
{
    return (x << b) | (x >> (64 - b));
}

#define SIP_ROUND(v)                                                                               \
    do {                                                                                           \
        (v)[0] += (v)[1];                                                                          \
        (v)[1] = rotl((v)[1], 13) ^ (v)[0];                                                        \
        (v)[0] = rotl((v)[0], 32);                                                                 \
        (v)[2] += (v)[3];                                                                          \
        (v)[3] = rotl((v)[3], 16) ^ (v)[2];                                                        \
        (v)[0] += (v)[3];                                                                          \
        (v)[3] = rotl((v)[3], 21) ^ (v)[0];                                                        \
        (v)[2] += (v)[1];                                                                          \
        (v)[1] = rotl((v)[1], 17) ^ (v)[2];                                                        \
        (v)[2] = rotl((v)[2], 32);                                                                 \
    } while (0)

uint64_t map_hash(const uint64_t seed[2], struct str bytes)
{
    uint64_t v[4] = {seed[0] ^ 0x736f6d6570736575, seed[1] ^ 0x646f72616e646f6d,
                     seed[0] ^ 0x6c7967656e657261, seed[1] ^ 0x7465646279746573};
    uint64_t word;
    size_t i = 0;
    for (; i + 8 <= bytes.len; i += 8) {
        memcpy(&word, bytes.at + i, 8);
        v[3] ^= word;
        SIP_ROUND(v);
        v[0] ^= word;
    }
    word = (uint64_t)bytes.len << 56;
    for (size_t k = 0; i + k < bytes.len; k++)
        word |= (uint64_t)(unsigned char)bytes.at[i + k] << (8 * k);
    v[3] ^= word;
    SIP_ROUND(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    SIP_ROUND(v);
    SIP_ROUND(v);
    SIP_ROUND(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static struct map_node **slot_of(const struct map *map, uint32_t hash)
{
    return &map->slots[hash & map->mask];
}

void map_init(struct map *map, bool (*key_is)(const struct map_node *node, struct str key))
{
    *map = (struct map){.mask = SLOTS_FIRST - 1, .key_is = key_is};
    map->slots = mem_alloc(SLOTS_FIRST * sizeof(struct map_node *));
    if (getrandom(map->seed, sizeof(map->seed), 0) != (ssize_t)sizeof(map->seed))
        abort();
}

void map_deinit(struct map *map)
{
    free(map->slots);
    map->slots = NULL;
    map->count = 0;
}

uint32_t map_prefetch_slot(const struct map *map, struct str key)
{
    uint32_t hash = (uint32_t)map_hash(map->seed, key);
    __builtin_prefetch(slot_of(map, hash));
    return hash;
}

void map_prefetch_node(const struct map *map, uint32_t hash)
{
    const struct map_node *node = *slot_of(map, hash);
    if (!node)
        return;
    __builtin_prefetch(node);
    /* Most keys are behind the node; a short one may end before. */
    __builtin_prefetch((const void *)((uintptr_t)node + CACHE_LINE));
}

struct map_node *map_find(const struct map *map, struct str key)
{
    uint32_t hash = (uint32_t)map_hash(map->seed, key);
    for (struct map_node *node = *slot_of(map, hash); node; node = node->next)
        if (node->hash == hash && map->key_is(node, key))
            return node;
    return NULL;
}

static void grow(struct map *map)
{
    size_t size = (map->mask + 1) * 2;
    struct map_node **slots = mem_try_alloc(size * sizeof(struct map_node *));
    if (!slots)
        return;
    memset(slots, 0, size * sizeof(struct map_node *));
    for (size_t i = 0; i <= map->mask; i++) {
        for (struct map_node *node = map->slots[i], *next; node; node = next) {
            next = node->next;
            struct map_node **slot = &slots[node->hash & (size - 1)];
            node->next = *slot;
            *slot = node;
        }
    }
    free(map->slots);
    map->slots = slots;
    map->mask = size - 1;
}

void map_add(struct map *map, struct map_node *node, struct str key)
{
    if (map->count > map->mask)
        grow(map);
    node->hash = (uint32_t)map_hash(map->seed, key);
    struct map_node **slot = slot_of(map, node->hash);
    node->next = *slot;
    *slot = node;
    map->count++;
}

void map_remove(struct map *map, struct map_node *node)
{
    struct map_node **link = slot_of(map, node->hash);
    while (*link && *link != node)
        link = &(*link)->next;
    if (!*link)
        return;
    *link = node->next;
    map->count--;
}

struct map_node *map_next(const struct map *map, const struct map_node *before)
{
    if (before && before->next)
        return before->next;
    size_t i = before ? (before->hash & map->mask) + 1 : 0;
    for (; i <= map->mask; i++)
        if (map->slots[i])
            return map->slots[i];
    return NULL;
}
