#include "webhooks/endpoint/directory.h"

static bool id_is(const struct map_node *node, struct str key)
{
    return str_eq(str_from(container_of(node, const struct endpoint, links.in_map)->row.id), key);
}

static struct str key_of(const struct endpoint *endpoint)
{
    const struct creation *creation = &endpoint->row.creation;
    return (struct str){(const char *)creation->key, sizeof(creation->key)};
}

static bool key_is(const struct map_node *node, struct str key)
{
    return str_eq(key_of(container_of(node, const struct endpoint, links.in_keys)), key);
}

void directory_init(struct courier *courier)
{
    list_init(&courier->endpoints);
    list_init(&courier->visits);
    map_init(&courier->by_id, id_is);
    map_init(&courier->by_key, key_is);
}

int directory_count_by_subject(struct courier *courier, uint32_t loaded)
{
    uint32_t most = courier->config.endpoints_max;
    return quota_init(&courier->subjects, loaded > most ? loaded : most);
}

void directory_deinit(struct courier *courier)
{
    quota_deinit(&courier->subjects);
    map_deinit(&courier->by_id);
    map_deinit(&courier->by_key);
}

static void count_endpoints(struct courier *courier)
{
    atomic_store_explicit(&courier->stats.endpoints, courier->by_id.count, memory_order_relaxed);
}

static struct endpoint *find_key(const struct courier *courier, struct str key)
{
    struct map_node *node = map_find(&courier->by_key, key);
    return node ? container_of(node, struct endpoint, links.in_keys) : NULL;
}

static void forget_key(struct endpoint *endpoint)
{
    if (endpoint->links.has_key)
        map_remove(&endpoint->courier->by_key, &endpoint->links.in_keys);
    endpoint->links.has_key = false;
}

static void remember_key(struct endpoint *endpoint)
{
    if (!endpoint->row.creation.keyed)
        return;
    struct endpoint *older = find_key(endpoint->courier, key_of(endpoint));
    if (older) /* the key had expired */
        forget_key(older);
    map_add(&endpoint->courier->by_key, &endpoint->links.in_keys, key_of(endpoint));
    endpoint->links.has_key = true;
}

static uint64_t holder_of(const struct courier *courier, const struct caller *caller)
{
    return quota_holder(&courier->subjects, caller_subject(caller));
}

void directory_count(struct endpoint *endpoint)
{
    struct courier *courier = endpoint->courier;
    quota_give(&courier->subjects, endpoint->links.place);
    endpoint->links.place = QUOTA_NONE;
    if (!row_is_inside(&endpoint->row) && courier->subjects.places)
        endpoint->links.place =
            quota_take(&courier->subjects, holder_of(courier, endpoint->row.maker), UINT32_MAX);
}

void directory_add(struct endpoint *endpoint)
{
    struct courier *courier = endpoint->courier;
    directory_count(endpoint);
    list_add_last(&courier->endpoints, &endpoint->links.node);
    if (row_is_inside(&endpoint->row) && !list_linked(&endpoint->links.visit))
        list_add_last(&courier->visits, &endpoint->links.visit);
    map_add(&courier->by_id, &endpoint->links.in_map, str_from(endpoint->row.id));
    remember_key(endpoint);
    count_endpoints(courier);
}

void directory_remove(struct endpoint *endpoint)
{
    struct courier *courier = endpoint->courier;
    list_remove(&endpoint->links.ready);
    list_remove(&endpoint->links.changed);
    list_remove(&endpoint->links.node);
    list_remove(&endpoint->links.visit);
    map_remove(&courier->by_id, &endpoint->links.in_map);
    forget_key(endpoint);
    count_endpoints(courier);
}

struct endpoint *directory_find(const struct courier *courier, const char *id)
{
    struct map_node *node = map_find(&courier->by_id, str_from(id));
    return node ? container_of(node, struct endpoint, links.in_map) : NULL;
}

struct endpoint *directory_find_key(const struct courier *courier,
                                    const uint8_t key[HASH_SHA256_SIZE])
{
    return find_key(courier, (struct str){(const char *)key, HASH_SHA256_SIZE});
}

struct endpoint *directory_next(const struct courier *courier, const struct list *node)
{
    return node->next == &courier->endpoints
               ? NULL
               : container_of(node->next, struct endpoint, links.node);
}

bool directory_has_all_of(struct courier *courier, const struct caller *caller)
{
    uint32_t max = courier->config.subject_endpoints_max;
    return max && quota_count(&courier->subjects, holder_of(courier, caller)) >= max;
}
