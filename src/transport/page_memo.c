#include "transport/page_memo.h"

static bool key_eq(const struct page_key *a, const struct page_key *b)
{
    return a->cursor == b->cursor && a->told == b->told && a->unix_seconds == b->unix_seconds &&
           a->first == b->first && a->wait_s == b->wait_s && a->prefer_wait == b->prefer_wait &&
           a->more == b->more && a->waited == b->waited && a->is_head == b->is_head &&
           a->keep_alive == b->keep_alive && a->http10 == b->http10 &&
           str_eq(a->origin, b->origin) && str_eq(a->channel, b->channel) &&
           str_eq(a->kept, b->kept) && str_eq(a->events, b->events);
}

struct str page_memos_find(const struct page_memos *memos, const struct page_key *key)
{
    for (int i = 0; i < PAGE_MEMOS; i++) {
        const struct page_memo *memo = &memos->at[i];
        if (memo->bytes.at && key_eq(&memo->key, key))
            return memo->bytes;
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

void page_memos_keep(struct page_memos *memos, const struct page_key *key, struct str bytes)
{
    struct page_memo *memo = &memos->at[memos->next % PAGE_MEMOS];
    size_t size = bytes.len + key->origin.len + key->channel.len + key->kept.len + key->events.len;
    if (!bytes.len || size > PAGE_MEMO_BYTES)
        return;
    memos->next++;
    memo->bytes = STR_NONE;
    buf_clear(&memo->texts);
    if (!buf_reserve(&memo->texts, size))
        return;
    memo->key = *key;
    take_over(&memo->texts, &memo->key.origin);
    take_over(&memo->texts, &memo->key.channel);
    take_over(&memo->texts, &memo->key.kept);
    take_over(&memo->texts, &memo->key.events);
    take_over(&memo->texts, &bytes);
    memo->bytes = bytes;
}

void page_memos_deinit(struct page_memos *memos)
{
    for (int i = 0; i < PAGE_MEMOS; i++)
        buf_free(&memos->at[i].texts);
}
