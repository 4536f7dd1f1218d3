#include "transport/propose.h"

#include "base/hash.h"
#include "base/json.h"

#include <errno.h>

/* Each part goes in with its length before it, so that no two lists of parts are alike. */
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

int propose_key(struct batch *batch, struct event *event, struct str subject, struct str key)
{
    struct event_key *stored = arena_alloc(&batch->arena, sizeof(*stored));
    uint8_t digest[HASH_SHA256_SIZE];
    char kind = (char)event->kind;
    struct str who[] = {subject, event->channel, key};
    struct str what[] = {event->type, event->content_type, {&kind, 1}, event->data};
    if (!stored || hash_parts(who, 3, digest))
        return -ENOMEM;
    memcpy(stored->key, digest, sizeof(stored->key));
    if (hash_parts(what, 4, digest))
        return -ENOMEM;
    memcpy(&stored->content, digest, sizeof(stored->content));
    event->key = stored;
    return 0;
}

void propose_one_line(struct event *event)
{
    /* The bytes are the batch's own, and nobody else has seen them yet. */
    json_one_line((char *)(uintptr_t)event->data.at, event->data.len);
}
