#include "server/key_items.h"

#include "base/mem.h"
#include "base/rfc3339.h"
#include "server/sources.h"

#include <stdlib.h>

void key_item_deinit(struct key_item *item)
{
    for (size_t i = 0; i < item->grants_count; i++)
        free(item->grants[i]);
}

const char *grant_item_add_channel(struct grant_item *grant, struct str text)
{
    if (!pattern_valid(text, NULL))
        return "is neither a channel's name nor a pattern, as in news, chat/* or chat/**";
    if (grant->count == GRANT_PATTERNS_MAX)
        return "is one channel too many";
    grant->patterns[grant->count++] = text;
    return NULL;
}

const char *grant_item_add_action(struct grant_item *grant, struct str text)
{
    return actions_add(&grant->may, text)
               ? NULL
               : "is no action: there are read, publish, presence, webhooks and admin";
}

/* Reads what `key` says: the key itself, or its digest, in any of the ways in which secrets are
 * given. False with the cause in `why`. */
static bool read_digest(const char *said, struct key_digest *ret, struct buf *why)
{
    char *text = secret_find(said, why);
    if (!text)
        return false;
    bool good = key_text_read(str_from(text), ret) || key_digest_read(str_from(text), ret);
    if (!good)
        buf_add_lit(why, "is neither a key nor the hash of one: `freshet key generate` makes both");
    secret_free(text);
    return good;
}

static const char *find_fault(const struct key_item *item, int64_t *ret_expires_us)
{
    *ret_expires_us = 0;
    if (!item->name)
        return "name is missing: people know the key by it";
    if (!item->key)
        return "key is missing: `freshet key generate` makes one";
    for (size_t i = 0; i < item->grants_count; i++)
        if (!item->grants[i]->count || !item->grants[i]->may)
            return "each of grants has channels and may";
    if (item->expires && rfc3339_parse(str_from(item->expires), ret_expires_us))
        return "expires is a time such as 2030-01-31T12:00:00Z";
    return NULL;
}

static struct api_key *make(const struct key_item *item, const struct key_digest *digest,
                            int64_t expires_us)
{
    struct grant grants[GRANTS_MAX];
    for (size_t i = 0; i < item->grants_count; i++)
        grants[i] =
            (struct grant){item->grants[i]->patterns, item->grants[i]->count, item->grants[i]->may};
    const struct api_key_facts facts = {.name = str_from(item->name),
                                        .grants = grants,
                                        .grants_count = item->grants_count,
                                        .expires_us = expires_us,
                                        .is_configured = true};
    return api_key_new(digest, &facts);
}

struct api_key *key_item_make(const struct key_item *item, const struct place *place,
                              struct faults *faults)
{
    struct buf why = {0};
    char quoted[120];
    struct key_digest digest;
    struct api_key *key = NULL;
    int64_t expires_us;
    const char *fault = find_fault(item, &expires_us);
    if (fault)
        buf_add_str(&why, str_from(fault));
    else if (read_digest(item->key, &digest, &why) && !(key = make(item, &digest, expires_us)))
        buf_add_lit(&why, "there is no memory");
    if (!key)
        faults_add(faults, place, "keys", "key %s: %.*s",
                   faults_quote(quoted, sizeof(quoted), str_from(item->name ? item->name : "")),
                   STR_FMT(buf_str(&why)));
    buf_free(&why);
    return key;
}
