#include "log/keys.h"

#include <errno.h>
#include <stdlib.h>

/* Each new key frees up to two expired ones, so that their number falls even while keys come. */
enum { FREED_PER_ADD = 2 };

static struct str bytes_of(const struct event_key *key)
{
    return (struct str){(const char *)key->key, sizeof(key->key)};
}

static struct keys_entry *of_node(const struct map_node *node)
{
    return container_of(node, struct keys_entry, node);
}

static bool key_is(const struct map_node *node, struct str key)
{
    return str_eq(bytes_of(&of_node(node)->key), key);
}

void keys_init(struct keys *keys, uint64_t count_max)
{
    *keys = (struct keys){.count_max = count_max, .expired_us = INT64_MIN};
    map_init(&keys->map, key_is);
    list_init(&keys->by_age);
}

static void drop(struct keys *keys, struct keys_entry *entry)
{
    map_remove(&keys->map, &entry->node);
    list_remove(&entry->by_age);
    free(entry);
}

static struct keys_entry *oldest(const struct keys *keys)
{
    return list_empty(&keys->by_age) ? NULL
                                     : container_of(keys->by_age.next, struct keys_entry, by_age);
}

void keys_deinit(struct keys *keys)
{
    for (struct keys_entry *entry; (entry = oldest(keys));)
        drop(keys, entry);
    map_deinit(&keys->map);
}

static bool is_expired(const struct keys *keys, const struct keys_entry *entry)
{
    return entry->time_us <= keys->expired_us;
}

void keys_expire(struct keys *keys, int64_t upto_us)
{
    if (upto_us > keys->expired_us)
        keys->expired_us = upto_us;
}

bool keys_free_expired(struct keys *keys, unsigned most)
{
    struct keys_entry *entry = oldest(keys);
    for (; most && entry && is_expired(keys, entry); most--) {
        drop(keys, entry);
        entry = oldest(keys);
    }
    return entry && is_expired(keys, entry);
}

void keys_expect(struct keys *keys, const struct event_key *key, size_t soon)
{
    map_expect(&keys->map, soon);
    map_prefetch_slot(&keys->map, map_hash_of(&keys->map, bytes_of(key)));
}

static struct keys_entry *find_any(const struct keys *keys, const struct event_key *key)
{
    struct map_node *node = map_find(&keys->map, bytes_of(key));
    return node ? of_node(node) : NULL;
}

struct keys_entry *keys_find(const struct keys *keys, const struct event_key *key)
{
    struct keys_entry *entry = find_any(keys, key);
    return entry && !is_expired(keys, entry) ? entry : NULL;
}

static int add(struct keys *keys, const struct event_key *key, uint64_t id, int64_t time_us)
{
    struct keys_entry *entry = mem_try_alloc(sizeof(*entry));
    if (!entry)
        return -ENOMEM;
    *entry = (struct keys_entry){.key = *key, .id = id, .time_us = time_us};
    map_add(&keys->map, &entry->node, bytes_of(&entry->key));
    list_add_last(&keys->by_age, &entry->by_age);
    return 0;
}

int keys_add(struct keys *keys, const struct event_key *key, uint64_t id, int64_t time_us)
{
    if (keys_free_expired(keys, FREED_PER_ADD))
        keys_remove(keys, key); /* the entry may have expired */
    if (keys->map.count >= keys->count_max)
        return KEYS_E_FULL;
    return add(keys, key, id, time_us);
}

int keys_load(struct keys *keys, const struct event_key *key, uint64_t id, int64_t time_us,
              uint64_t *dropped)
{
    keys_remove(keys, key);
    if (keys->map.count && keys->map.count >= keys->count_max) {
        drop(keys, oldest(keys));
        ++*dropped;
    }
    return add(keys, key, id, time_us);
}

void keys_remove(struct keys *keys, const struct event_key *key)
{
    struct keys_entry *entry = find_any(keys, key);
    if (entry)
        drop(keys, entry);
}
