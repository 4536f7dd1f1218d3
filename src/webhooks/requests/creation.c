#include "webhooks/requests/creation.h"

#include "webhooks/endpoint/directory.h"
#include "webhooks/endpoint/rights.h"
#include "webhooks/endpoint/state_json.h"

/* How long a key is remembered, unless its webhook is deleted before. */
#define KEY_US (INT64_C(86400) * 1000000)

static struct str key_of(const uint8_t *key)
{
    return (struct str){(const char *)key, HASH_SHA256_SIZE};
}

static bool creates_under(const struct map_node *node, struct str key)
{
    return str_eq(key_of(container_of(node, const struct courier_request, in_keys)->key_hash), key);
}

void creations_init(struct courier *courier)
{
    map_init(&courier->creating, creates_under);
}

void creations_deinit(struct courier *courier)
{
    map_deinit(&courier->creating);
}

/* The keys of callers are their own: the answer to a repetition has the webhook's secret. Callers
 * whom neither a subject nor a digest tells apart share theirs, as docs/api.md says. */
static void hash_key(const struct courier_request *request, uint8_t ret[HASH_SHA256_SIZE])
{
    struct str name = caller_name(request->access.caller), key = buf_str(&request->key);
    struct buf both = {0};
    if (!name.len) {
        hash_sha256(key, ret);
        return;
    }
    buf_add_str(&both, name);
    buf_add_char(&both, '\0');
    buf_add_str(&both, key);
    if (buf_failed(&both))
        hash_random(ret, HASH_SHA256_SIZE); /* equal to none: the repetition makes a second one */
    else
        hash_sha256(buf_str(&both), ret);
    buf_free(&both);
}

struct creation creation_of(const struct courier_request *request)
{
    struct creation creation = {.keyed = request->key.len > 0};
    if (!creation.keyed)
        return creation;
    hash_key(request, creation.key);
    hash_sha256(buf_str(&request->body), creation.body);
    return creation;
}

static bool is_recent(const struct endpoint *endpoint)
{
    int64_t age_us = courier_wall_us(endpoint->courier) - endpoint->row.created_us;
    return age_us < KEY_US;
}

/* Repeat the secret in the answer, because the first answer, the only one to have it, may have been
 * lost. The asker may have lost the right to the webhook meanwhile, or the webhook may have other
 * channels. */
static void answer_again(struct courier_request *request, const struct endpoint *endpoint,
                         const struct creation *creation)
{
    if (memcmp(creation->body, endpoint->row.creation.body, sizeof(creation->body)) != 0) {
        request_refuse(request, COURIER_E_KEY,
                       "a webhook was made under this key by another body: send that, or choose "
                       "another key");
        return;
    }
    if (!rights_reach(request, endpoint)) {
        request_refuse(request, COURIER_E_GRANT,
                       "a webhook was made under this key, and this credential has no right to it "
                       "any more");
        return;
    }
    request->repeated = true;
    endpoint_state_answer(endpoint, request, STATE_SECRET);
    request_answer(request);
}

bool creation_begin(struct courier *courier, struct courier_request *request)
{
    struct creation creation = creation_of(request);
    if (!creation.keyed)
        return true;
    struct endpoint *endpoint = directory_find_key(courier, creation.key);
    if (endpoint && is_recent(endpoint)) {
        answer_again(request, endpoint, &creation);
        return false;
    }
    memcpy(request->key_hash, creation.key, sizeof(request->key_hash));
    if (map_find(&courier->creating, key_of(request->key_hash))) {
        request_refuse(request, COURIER_E_NOW,
                       "a request with this key is under way: repeat it for its answer");
        return false;
    }
    map_add(&courier->creating, &request->in_keys, key_of(request->key_hash));
    request->creates = true;
    request->courier = courier;
    return true;
}
