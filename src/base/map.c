#include "base/map.h"

#include "base/mem.h"

#include <stdlib.h>
#include <sys/random.h>

enum {
    SLOTS_FIRST = 16,
    CACHE_LINE = 64,
    /* Slots that an addition moves. There are twice as many additions as slots before the next
     * growth, so one slot would do; more free the old table sooner. */
    MOVE = 8,
    /* Tables of this many slots or more are pages from the kernel: malloc() would clear them, and
     * free() release them, in one long step. */
    PAGED = 16384,
    DROP = 16384, /* slots whose pages are given back in one step of about 10 µs */
};

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

/* The last `count` bytes, fewer than 8, as a little-endian number. */
static inline uint64_t last_bytes(struct str bytes, size_t count)
{
    uint64_t word = 0;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (bytes.len >= 8 && count) { /* a part of the last word, without a loop */
        memcpy(&word, bytes.at + bytes.len - 8, 8);
        return word >> (8 * (8 - count));
    }
#endif
    for (size_t k = 0; k < count; k++)
        word |= (uint64_t)(unsigned char)bytes.at[bytes.len - count + k] << (8 * k);
    return word;
}

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
    word = (uint64_t)bytes.len << 56 | last_bytes(bytes, bytes.len - i);
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
    if (__builtin_expect(map->old != NULL, 0) && (hash & map->old_mask) >= map->moved)
        return &map->old[hash & map->old_mask];
    return &map->slots[hash & map->mask];
}

static struct map_node **table_new(size_t size)
{
    size_t bytes = size * sizeof(struct map_node *);
    if (size >= PAGED)
        return mem_try_pages(bytes);
    struct map_node **slots = mem_try_alloc(bytes);
    if (slots)
        memset(slots, 0, bytes);
    return slots;
}

static void table_free(struct map_node **slots, size_t size)
{
    if (size >= PAGED)
        mem_free_pages(slots, size * sizeof(struct map_node *));
    else
        free(slots);
}

void map_init(struct map *map, bool (*key_is)(const struct map_node *node, struct str key))
{
    *map = (struct map){.mask = SLOTS_FIRST - 1, .key_is = key_is};
    map->slots = mem_alloc(SLOTS_FIRST * sizeof(struct map_node *));
    if (getrandom(map->seed, sizeof(map->seed), 0) != (ssize_t)sizeof(map->seed))
        abort();
}

void map_reserve(struct map *map, size_t count)
{
    size_t size = map->mask + 1;
    while (size < count && size <= SIZE_MAX / sizeof(struct map_node *) / 2)
        size *= 2;
    if (map->count || map->old || size == map->mask + 1)
        return;
    struct map_node **slots = table_new(size);
    if (!slots)
        return;
    table_free(map->slots, map->mask + 1);
    map->slots = slots;
    map->mask = size - 1;
}

void map_deinit(struct map *map)
{
    if (map->slots)
        table_free(map->slots, map->mask + 1);
    if (map->old)
        table_free(map->old, map->old_mask + 1);
    map->slots = map->old = NULL;
    map->count = 0;
}

void map_share_seed(struct map *map, const uint64_t seed[2])
{
    memcpy(map->seed, seed, sizeof(map->seed));
}

void map_prefetch_slot(const struct map *map, uint32_t hash)
{
    __builtin_prefetch(slot_of(map, hash));
}

void map_prefetch_node(const struct map *map, uint32_t hash)
{
    const struct map_node *node = *slot_of(map, hash);
    if (!node)
        return;
    __builtin_prefetch(node);
    /* Most keys lie behind the node, on the next cache line; a short one may end before. */
    __builtin_prefetch((const void *)((uintptr_t)node + CACHE_LINE));
}

struct map_node *map_find(const struct map *map, struct str key)
{
    return map_find_hashed(map, map_hash_of(map, key), key);
}

struct map_node *map_find_hashed(const struct map *map, uint32_t hash, struct str key)
{
    for (struct map_node *node = *slot_of(map, hash); node; node = node->next)
        if (node->hash == hash && map->key_is(node, key))
            return node;
    return NULL;
}

static void begin_growth(struct map *map)
{
    size_t size = map->mask + 1;
    struct map_node **slots = table_new(size * 2);
    if (!slots)
        return;
    map->old = map->slots;
    map->old_mask = map->mask;
    map->moved = 0;
    map->slots = slots;
    map->mask = size * 2 - 1;
}

static void move_slot(struct map *map)
{
    for (struct map_node *node = map->old[map->moved++], *next; node; node = next) {
        next = node->next;
        struct map_node **slot = &map->slots[node->hash & map->mask];
        node->next = *slot;
        *slot = node;
    }
    if (map->moved % DROP == 0 && map->old_mask + 1 >= PAGED)
        mem_drop_pages(&map->old[map->moved - DROP], DROP * sizeof(struct map_node *));
}

static void go_on_growing(struct map *map)
{
    for (int i = 0; i < MOVE && map->moved <= map->old_mask; i++)
        move_slot(map);
    if (map->moved <= map->old_mask)
        return;
    table_free(map->old, map->old_mask + 1);
    map->old = NULL;
    map->ahead = 0;
}

void map_expect(struct map *map, size_t soon)
{
    if (!map->old && map->count + soon > map->mask)
        begin_growth(map);
    if (!map->old)
        return;
    map->ahead++;
    go_on_growing(map);
}

void map_add(struct map *map, struct map_node *node, struct str key)
{
    map_add_hashed(map, node, map_hash_of(map, key));
}

void map_add_hashed(struct map *map, struct map_node *node, uint32_t hash)
{
    if (map->old && map->ahead)
        map->ahead--;
    else if (map->old)
        go_on_growing(map);
    else if (map->count > map->mask)
        begin_growth(map);
    node->hash = hash;
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

size_t map_bytes(const struct map *map)
{
    size_t slots = map->mask + 1;
    if (map->old && slots >= PAGED)
        slots = map->moved * (slots / (map->old_mask + 1)) + (map->old_mask + 1 - map->moved);
    else if (map->old)
        slots += map->old_mask + 1;
    return slots * sizeof(struct map_node *);
}

/* The first element in slots `from` and above. */
static struct map_node *first_in(struct map_node **slots, size_t from, size_t mask)
{
    for (size_t i = from; i <= mask; i++)
        if (slots[i])
            return slots[i];
    return NULL;
}

/* Slots that have not moved yet come first. */
struct map_node *map_next(const struct map *map, const struct map_node *before)
{
    struct map_node *node = before ? before->next : NULL;
    bool in_old = map->old && (!before || (before->hash & map->old_mask) >= map->moved);
    if (!node && in_old)
        node = first_in(map->old, before ? (before->hash & map->old_mask) + 1 : map->moved,
                        map->old_mask);
    if (!node)
        node =
            first_in(map->slots, before && !in_old ? (before->hash & map->mask) + 1 : 0, map->mask);
    return node;
}
