#include "publish/key.h"

#include "base/hash.h"

#include <errno.h>

/* Hashes the length of each part before its bytes, so that different lists of parts never join to
 * the same bytes. */
static int hash_parts(const struct str *parts, size_t count, uint8_t ret[HASH_SHA256_SIZE])
{
    struct buf joined = {0};
    for (size_t i = 0; i < count; i++) {
        uint64_t len = parts[i].len;
        buf_add(&joined, &len, sizeof(len));
        buf_add_str(&joined, parts[i]);
    }
    bool failed = buf_failed(&joined);
    if (!failed)
        hash_sha256(buf_str(&joined), ret);
    buf_free(&joined);
    return failed ? -ENOMEM : 0;
}

static int hash_content(const struct event *event, uint64_t *ret_content)
{
    uint8_t digest[HASH_SHA256_SIZE];
    char kind = (char)event->kind;
    struct str parts[] = {event->type, event->content_type, {&kind, 1}, event->data};
    if (hash_parts(parts, sizeof(parts) / sizeof(parts[0]), digest))
        return -ENOMEM;
    memcpy(ret_content, digest, sizeof(*ret_content));
    return 0;
}

int event_key_set(struct batch *batch, struct event *event, struct str subject, struct str key,
                  bool stands)
{
    struct event_key *stored = arena_alloc(&batch->arena, sizeof(*stored));
    uint8_t digest[HASH_SHA256_SIZE];
    struct str parts[] = {subject, event->channel, key};
    if (!stored || hash_parts(parts, sizeof(parts) / sizeof(parts[0]), digest))
        return -ENOMEM;
    memcpy(stored->key, digest, sizeof(stored->key));
    stored->content = 0;
    if (!stands && hash_content(event, &stored->content))
        return -ENOMEM;
    event->key = stored;
    return 0;
}
