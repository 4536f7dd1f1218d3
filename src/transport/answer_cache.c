#include "transport/answer_cache.h"

static bool key_eq(const struct page_key *a, const struct page_key *b)
{
    return a->cursor == b->cursor && a->told == b->told && a->unix_seconds == b->unix_seconds &&
           a->first == b->first && a->wait_s == b->wait_s && a->prefer_wait == b->prefer_wait &&
           a->more == b->more && a->waited == b->waited && a->is_head == b->is_head &&
           a->keep_alive == b->keep_alive && a->http10 == b->http10 && a->gzip == b->gzip &&
           str_eq(a->origin, b->origin) && str_eq(a->channel, b->channel) &&
           str_eq(a->kept, b->kept) && str_eq(a->events, b->events);
}

struct str answer_cache_find(const struct answer_cache *cache, const struct page_key *key)
{
    for (int i = 0; i < ANSWER_CACHE_SIZE; i++) {
        const struct cached_answer *answer = &cache->at[i];
        if (answer->bytes.at && key_eq(&answer->key, key))
            return answer->bytes;
    }
    return STR_NONE;
}

/* Moves `*text` to a copy behind what there is; there is room for it. */
static void take_over(struct buf *texts, struct str *text)
{
    char *to = texts->at + texts->len;
    buf_add_str(texts, *text);
    text->at = to;
}

void answer_cache_keep(struct answer_cache *cache, const struct page_key *key, struct str bytes)
{
    struct cached_answer *answer = &cache->at[cache->next % ANSWER_CACHE_SIZE];
    size_t size = bytes.len + key->origin.len + key->channel.len + key->kept.len + key->events.len;
    if (!bytes.len || size > ANSWER_CACHE_BYTES)
        return;
    cache->next++;
    answer->bytes = STR_NONE;
    buf_clear(&answer->texts);
    if (!buf_reserve(&answer->texts, size))
        return;
    answer->key = *key;
    take_over(&answer->texts, &answer->key.origin);
    take_over(&answer->texts, &answer->key.channel);
    take_over(&answer->texts, &answer->key.kept);
    take_over(&answer->texts, &answer->key.events);
    take_over(&answer->texts, &bytes);
    answer->bytes = bytes;
}

void answer_cache_deinit(struct answer_cache *cache)
{
    for (int i = 0; i < ANSWER_CACHE_SIZE; i++)
        buf_free(&cache->at[i].texts);
}
