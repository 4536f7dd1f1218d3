/* Registrations under an Idempotency-Key. The key and the body of the request are kept as hashes
 * with the endpoint that it made, so they are as durable as the endpoint and bounded like it. */
#include "webhooks/endpoint/endpoint.h"

/* How long a key counts, if its webhook is there for as long. */
#define KEY_US (INT64_C(86400) * 1000000)

static struct str key_of(const struct endpoint *endpoint)
{
    const struct creation *creation = &endpoint->row.creation;
    return (struct str){(const char *)creation->key, sizeof(creation->key)};
}

static bool key_is(const struct map_node *node, struct str key)
{
    return str_eq(key_of(container_of(node, const struct endpoint, in_keys)), key);
}

static bool creates_under(const struct map_node *node, struct str key)
{
    return str_eq(buf_str(&container_of(node, const struct courier_request, in_keys)->key), key);
}

void creations_init(struct courier *courier)
{
    map_init(&courier->by_key, key_is);
    map_init(&courier->creating, creates_under);
}

void creations_deinit(struct courier *courier)
{
    map_deinit(&courier->by_key);
    map_deinit(&courier->creating);
}

struct creation creation_of(const struct courier_request *request)
{
    struct creation creation = {.keyed = request->key.len > 0};
    if (!creation.keyed)
        return creation;
    hash_sha256(buf_str(&request->key), creation.key);
    hash_sha256(buf_str(&request->body), creation.body);
    return creation;
}

static struct endpoint *find(const struct courier *courier, struct str key)
{
    struct map_node *node = map_find(&courier->by_key, key);
    return node ? container_of(node, struct endpoint, in_keys) : NULL;
}

void endpoint_forget_key(struct endpoint *endpoint)
{
    if (endpoint->has_key)
        map_remove(&endpoint->courier->by_key, &endpoint->in_keys);
    endpoint->has_key = false;
}

void endpoint_remember_key(struct endpoint *endpoint)
{
    if (!endpoint->row.creation.keyed)
        return;
    struct endpoint *older = find(endpoint->courier, key_of(endpoint));
    if (older) /* the key expired before it was used again */
        endpoint_forget_key(older);
    map_add(&endpoint->courier->by_key, &endpoint->in_keys, key_of(endpoint));
    endpoint->has_key = true;
}

static bool is_recent(const struct endpoint *endpoint)
{
    int64_t age_us = clock_wall_us(endpoint->courier->config.clock) - endpoint->row.created_us;
    return age_us < KEY_US;
}

/* The secret is told again: the first answer may have been lost, and only that had it. */
static void answer_again(struct courier_request *request, const struct endpoint *endpoint,
                         const struct creation *creation)
{
    if (memcmp(creation->body, endpoint->row.creation.body, sizeof(creation->body)) != 0) {
        request_refuse(request, COURIER_E_KEY,
                       "a webhook was made under this key by another body: send that, or choose "
                       "another key");
        return;
    }
    request->repeated = true;
    endpoint_tell(endpoint, &request->answer, TELL_SECRET);
    request_answer(request);
}

void creation_ends(struct courier_request *request)
{
    if (request->creates)
        map_remove(&request->courier->creating, &request->in_keys);
    request->creates = false;
}

bool creation_is_settled(struct courier *courier, struct courier_request *request)
{
    struct creation creation = creation_of(request);
    if (!creation.keyed)
        return false;
    struct endpoint *endpoint =
        find(courier, (struct str){(const char *)creation.key, sizeof(creation.key)});
    if (endpoint && is_recent(endpoint)) {
        answer_again(request, endpoint, &creation);
        return true;
    }
    if (map_find(&courier->creating, buf_str(&request->key))) {
        request_refuse(request, COURIER_E_NOW,
                       "a request with this key is under way: repeat it for its answer");
        return true;
    }
    map_add(&courier->creating, &request->in_keys, buf_str(&request->key));
    request->creates = true;
    request->courier = courier;
    return false;
}
