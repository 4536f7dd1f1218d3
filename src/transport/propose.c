#include "transport/propose.h"

#include "base/hash.h"
#include "base/json.h"
#include "base/rfc3339.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

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

/* An IPv6 network of 64 bits is one address: whoever has one has all of it. */
static uint64_t address_of(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } peer = {.any.sa_family = AF_UNSPEC};
    socklen_t size = sizeof(peer);
    uint64_t id = 0;
    if (getpeername(fd, &peer.any, &size))
        return 1;
    if (peer.any.sa_family == AF_INET)
        return (uint64_t)1 << 32 | peer.v4.sin_addr.s_addr;
    if (peer.any.sa_family == AF_INET6)
        memcpy(&id, &peer.v6.sin6_addr, sizeof(id));
    return id ? id : 1;
}

struct maker propose_maker(const struct worker *worker, const struct conn *conn)
{
    struct maker maker = {{0}};
    if (log_wants_makers(worker->config.log)) {
        maker.ids[MAKER_ADDRESS] = conn ? address_of(conn->fd) : 1;
        maker.ids[MAKER_CONNECTION] = conn ? conn->id : 1;
    }
    return maker;
}

void propose_one_line(struct event *event)
{
    /* The bytes are the batch's own, and nobody else has seen them yet. */
    json_one_line((char *)(uintptr_t)event->data.at, event->data.len);
}

enum problem propose_problem(struct worker *worker, enum publish_verdict verdict,
                             const char **ret_detail)
{
    switch (verdict) {
    case PUBLISH_E_KEY_REUSED:
        *ret_detail = "use a new key for a new event: this one stands for another for 5 minutes";
        return PROBLEM_KEY_REUSED;
    case PUBLISH_E_NOT_NEWEST:
        *ret_detail = "read the channel's newer events, then publish with the id of the newest";
        return PROBLEM_NOT_NEWEST;
    case PUBLISH_E_CHANNELS:
        worker_hit(worker, LIMIT_CHANNELS);
        *ret_detail = "there are as many channels as this server's channels_max allows";
        return PROBLEM_TOO_MANY;
    case PUBLISH_E_SHARE:
        worker_hit(worker, LIMIT_SHARES);
        *ret_detail = "this address or connection has made its share of the new channels that are "
                      "left: raise channels_max, channels_address_percent or "
                      "channels_connection_percent";
        return PROBLEM_TOO_MANY;
    case PUBLISH_E_KEYS:
        worker_hit(worker, LIMIT_KEYS);
        *ret_detail =
            "there are as many keys as this server's keys_max allows: publish without, or wait";
        return PROBLEM_TOO_MANY;
    case PUBLISH_E_NO_SPACE:
        *ret_detail = "nothing was published: free some space, or shorten retention";
        return PROBLEM_NO_SPACE;
    case PUBLISH_E_FATE_UNKNOWN:
        *ret_detail = "the store failed, and it may have been kept: repeat it with the same key";
        return PROBLEM_FATE_UNKNOWN;
    case PUBLISH_OK:
    case PUBLISH_E_UNAVAILABLE:
        break;
    }
    *ret_detail = "nothing was published: the store cannot be written; try again";
    return PROBLEM_UNAVAILABLE;
}

void propose_add_receipt(struct buf *out, const struct event *event)
{
    if (event->state != EVENT_EPHEMERAL) {
        buf_add_lit(out, "\"id\":\"");
        buf_add_id(out, event->id);
        buf_add_lit(out, "\",");
    }
    buf_add_lit(out, "\"channel\":");
    buf_add_json(out, event->channel);
    buf_add_lit(out, ",\"time\":\"");
    rfc3339_add(out, event->time_us);
    buf_add_char(out, '"');
    if (event->state == EVENT_DUPLICATE)
        buf_add_lit(out, ",\"duplicate\":true");
}
