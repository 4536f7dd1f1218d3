/* WebSub (W3C Recommendation of 2018) without sockets: what a subscriber asks of a hub, the URLs by
 * which it is verified and denied, and the signature of what it is sent. */
#pragma once

#include "base/buf.h"

enum { WEBSUB_SECRET_MAX = 199 };

/* For how long a subscription may last, in seconds. What a subscriber asks for is never refused,
 * but moved into these bounds; the lease that was granted is what its callback is told. */
struct websub_leases {
    uint64_t least, most;
    uint64_t usual; /* for those who do not say */
};
#define WEBSUB_LEASES_DEFAULT                                                                      \
    ((struct websub_leases){                                                                       \
        .least = 1, .most = UINT64_C(30) * 86400, .usual = UINT64_C(10) * 86400})

enum websub_mode { WEBSUB_SUBSCRIBE, WEBSUB_UNSUBSCRIBE, WEBSUB_PUBLISH };

/* The content of a form. */
struct websub_wish {
    enum websub_mode mode;
    struct buf callback; /* an absolute http or https URL without a fragment; not for publish */
    struct buf topic;    /* unchanged */
    struct buf channel;  /* the channel of the topic */
    struct buf secret;   /* empty for none */
    uint64_t lease_s;    /* the lease that is granted */
};

/* Reads a form (section 5.1; `hub.topic` or `hub.url` to publish); what is not known is passed
 * over. `base` is the path under which the API hangs. Fills in a zeroed wish. 0, -ENOMEM, or
 * -EINVAL with what would be right in `*ret_why` (static). websub_wish_deinit() in any case. */
int websub_read(struct str form, struct str base, const struct websub_leases *leases,
                struct websub_wish *wish, const char **ret_why);
void websub_wish_deinit(struct websub_wish *wish);

/* The channel that a topic's URL stands for: its path is `base`/channels/NAME or
 * `base`/topics/NAME. Its host is not looked at, since behind a proxy we do not know our names.
 * -EINVAL when it is none of ours, -ENOMEM. */
int websub_topic_channel(struct str topic, struct str base, struct buf *ret_channel);

/* Adds the URL of the hub that belongs to a topic, `base`/hub on the same host. */
void websub_add_hub(struct buf *out, struct str topic, struct str base);

/* Adds the URL by which intent is verified (section 5.3): the callback's own query stays as it is,
 * ours follows. `lease_s` is 0 to unsubscribe. */
void websub_add_intent(struct buf *out, struct str callback, enum websub_mode mode,
                       struct str topic, struct str challenge, uint64_t lease_s);

/* Adds the URL by which a subscriber is told that it is none (section 5.2). */
void websub_add_denial(struct buf *out, struct str callback, struct str topic, struct str reason);

/* Adds the value of X-Hub-Signature (section 7.1). */
void websub_add_signature(struct buf *out, struct str secret, struct str body);
