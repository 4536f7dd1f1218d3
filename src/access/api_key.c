#include "access/api_key.h"

#include "access/grant_json.h"
#include "base/json_text.h"
#include "base/mem.h"
#include "base/rfc3339.h"
#include "base/utf8.h"

#include <stdlib.h>

#define EXPIRES_IN_MAX_S INT64_C(315360000000) /* 10,000 years */

static const char no_memory[] = "no memory: try again";

/* ---- making ---------------------------------------------------------------------------------- */

bool api_key_name_valid(struct str name)
{
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.at[i] < ' ' || name.at[i] == 0x7f)
            return false;
    return name.len && name.len <= API_KEY_NAME_MAX && utf8_valid(name);
}

struct api_key *api_key_new(const struct key_digest *digest, const struct api_key_facts *facts)
{
    const struct caller_facts caller = {.kind = CALLER_KEY,
                                        .subject = facts->name,
                                        .key_id = {digest->id, KEY_ID_LEN},
                                        .issued_us = facts->created_us,
                                        .expires_us = facts->expires_us,
                                        .grants = facts->grants,
                                        .grants_count = facts->grants_count};
    struct api_key *key = mem_try_alloc(sizeof(*key));
    if (!key)
        return NULL;
    *key = (struct api_key){.digest = *digest,
                            .caller = caller_new(&caller),
                            .made_by = mem_try_alloc(facts->made_by.len + 1),
                            .created_us = facts->created_us,
                            .saved_used_us = facts->used_us,
                            .is_configured = facts->is_configured};
    atomic_init(&key->used_us, facts->used_us);
    if (!key->caller || !key->made_by) {
        api_key_free(key);
        return NULL;
    }
    if (facts->made_by.len)
        memcpy(key->made_by, facts->made_by.at, facts->made_by.len);
    key->made_by[facts->made_by.len] = '\0';
    return key;
}

void api_key_free(struct api_key *key)
{
    if (!key)
        return;
    caller_unref(key->caller);
    free(key->made_by);
    free(key);
}

/* ---- a request ------------------------------------------------------------------------------- */

static const char *read_expiry(const json_t *root, int64_t now_us, int64_t *ret_us)
{
    const json_t *at = json_object_get(root, "expires");
    const json_t *in = json_object_get(root, "expires_in_s");
    *ret_us = 0;
    if ((!at || json_is_null(at)) && !in)
        return NULL;
    if (at && in)
        return "give expires or expires_in_s, not both";
    int64_t seconds = json_is_integer(in) ? json_integer_value(in) : 0;
    if (in && (seconds < 1 || seconds > EXPIRES_IN_MAX_S))
        return "expires_in_s is a number of seconds, 1 or more";
    if (in)
        *ret_us = now_us + seconds * 1000000;
    else if (rfc3339_parse(json_text(at), ret_us) || *ret_us <= now_us)
        return "expires is a time to come, such as 2030-01-31T12:00:00Z, or null for never";
    return NULL;
}

static bool has_only_known_members(const json_t *root)
{
    static const char *const names[] = {"name", "grants", "expires", "expires_in_s"};
    size_t known = 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        known += json_object_get(root, names[i]) != NULL;
    return known == json_object_size(root);
}

static const char *read_request(const json_t *root, int64_t now_us, struct grant_list *grants,
                                struct api_key_facts *facts)
{
    if (!json_is_object(root) || !has_only_known_members(root))
        return "a key is made by a JSON object with name, grants and perhaps expires or "
               "expires_in_s";
    facts->name = json_text(json_object_get(root, "name"));
    if (!api_key_name_valid(facts->name))
        return "name is a text of 1 to 100 bytes without control characters, by which people know "
               "the key";
    const char *fault = grant_list_read(json_object_get(root, "grants"), grants);
    if (fault)
        return fault;
    facts->grants = grants->grants;
    facts->grants_count = grants->count;
    return read_expiry(root, now_us, &facts->expires_us);
}

const char *api_key_request(struct str body, int64_t now_us, struct str made_by,
                            char ret_text[KEY_TEXT_LEN + 1], struct api_key **ret_key)
{
    json_t *root = json_loadb(body.at ? body.at : "", body.len, JSON_REJECT_DUPLICATES, NULL);
    struct api_key_facts facts = {.created_us = now_us, .made_by = made_by};
    struct grant_list grants = {0};
    const char *fault = read_request(root, now_us, &grants, &facts);
    if (!fault) {
        struct key_digest digest;
        key_text_make(ret_text, &digest);
        *ret_key = api_key_new(&digest, &facts);
        fault = *ret_key ? NULL : no_memory;
    }
    grant_list_deinit(&grants);
    json_decref(root);
    return fault;
}

static bool is_grant_within(const struct grant *grant, const struct access *maker,
                            struct refusal *ret_refusal)
{
    for (unsigned i = 0; i < ACTION_COUNT; i++)
        for (size_t j = 0; j < grant->patterns_count; j++)
            if (actions_have(grant->may, (enum action)i) &&
                !access_check(maker, (enum action)i, grant->patterns[j], ret_refusal))
                return false;
    return true;
}

bool api_key_is_within(const struct api_key *key, const struct access *maker,
                       struct refusal *ret_refusal)
{
    const struct caller_facts *facts = &key->caller->facts;
    for (size_t i = 0; i < facts->grants_count; i++)
        if (!is_grant_within(&facts->grants[i], maker, ret_refusal))
            return false;
    return true;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void add_time(struct json_writer *writer, const char *name, int64_t us)
{
    json_name(writer, name);
    if (us)
        json_add_time(writer, us);
    else
        json_add_null(writer);
}

void api_key_show(struct json_writer *writer, const struct api_key *key)
{
    const struct caller_facts *facts = &key->caller->facts;
    json_member_string(writer, "id", api_key_id(key));
    json_member_string(writer, "name", facts->subject);
    json_name(writer, "grants");
    grants_write(writer, facts->grants, facts->grants_count);
    add_time(writer, "created", key->created_us);
    add_time(writer, "expires", facts->expires_us);
    add_time(writer, "last_used", atomic_load_explicit(&key->used_us, memory_order_relaxed));
    json_member_string(writer, "made_by", str_from(key->made_by));
    json_member_bool(writer, "configured", key->is_configured);
}

void api_key_write_record(struct buf *out, const struct api_key *key)
{
    char digest[KEY_DIGEST_LEN + 1];
    struct json_writer writer = json_writer(out);
    key_digest_write(&key->digest, digest);
    json_object_begin(&writer);
    api_key_show(&writer, key);
    json_member_string(&writer, "digest", str_from(digest));
    json_object_end(&writer);
}

/* A time of a record; 0 if there is none. */
static int64_t read_time(const json_t *root, const char *name)
{
    int64_t us = 0;
    return rfc3339_parse(json_text(json_object_get(root, name)), &us) ? 0 : us;
}

static struct api_key *read_record(const json_t *root)
{
    struct grant_list grants;
    struct key_digest digest;
    struct api_key *key = NULL;
    struct api_key_facts facts = {.name = json_text(json_object_get(root, "name")),
                                  .made_by = json_text(json_object_get(root, "made_by")),
                                  .created_us = read_time(root, "created"),
                                  .expires_us = read_time(root, "expires"),
                                  .used_us = read_time(root, "last_used")};
    if (!grant_list_read(json_object_get(root, "grants"), &grants) &&
        key_digest_read(json_text(json_object_get(root, "digest")), &digest) && facts.name.len) {
        facts.grants = grants.grants;
        facts.grants_count = grants.count;
        key = api_key_new(&digest, &facts);
    }
    grant_list_deinit(&grants);
    return key;
}

struct api_key *api_key_read_record(struct str record)
{
    json_t *root = json_loadb(record.at ? record.at : "", record.len, 0, NULL);
    struct api_key *key = root ? read_record(root) : NULL;
    json_decref(root);
    return key;
}

bool api_key_equal(const struct api_key *a, const struct api_key *b)
{
    return key_digest_equal(&a->digest, &b->digest) && a->is_configured == b->is_configured &&
           caller_equal(a->caller, b->caller);
}
