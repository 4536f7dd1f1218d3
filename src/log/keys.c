#include "log/keys.h"

#include <errno.h>
#include <stdlib.h>

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

void keys_init(struct keys *keys, int64_t life_us, uint64_t count_max)
{
    *keys = (struct keys){.life_us = life_us, .count_max = count_max};
    map_init(&keys->map, key_is);
    list_init(&keys->by_age);
}

static void drop(struct keys *keys, struct keys_entry *entry)
{
    map_remove(&keys->map, &entry->node);
    list_remove(&entry->by_age);
    free(entry);
}

void keys_deinit(struct keys *keys)
{
    keys_expire(keys, INT64_MAX);
    map_deinit(&keys->map);
}

void keys_expire(struct keys *keys, int64_t now_us)
{
    list_each (&keys->by_age, node) {
        struct keys_entry *entry = container_of(node, struct keys_entry, by_age);
        if (entry->time_us > now_us - keys->life_us)
            break;
        drop(keys, entry);
    }
}

const struct keys_entry *keys_find(const struct keys *keys, const struct event_key *key)
{
    struct map_node *node = map_find(&keys->map, bytes_of(key));
    return node ? of_node(node) : NULL;
}

int keys_add(struct keys *keys, const struct event_key *key, uint64_t id, int64_t time_us)
{
    if (keys->map.count >= keys->count_max)
        return KEYS_E_FULL;
    struct keys_entry *entry = mem_try_alloc(sizeof(*entry));
    if (!entry)
        return -ENOMEM;
    *entry = (struct keys_entry){.key = *key, .id = id, .time_us = time_us};
    map_add(&keys->map, &entry->node, bytes_of(&entry->key));
    list_add_last(&keys->by_age, &entry->by_age);
    return 0;
}

void keys_remove(struct keys *keys, const struct event_key *key)
{
    struct map_node *node = map_find(&keys->map, bytes_of(key));
    if (node)
        drop(keys, of_node(node));
}
