/* WebSub (W3C Recommendation of 2018) as URLs and headers: topics, leases, signatures. */
#pragma once

#include "base/buf.h"

/* For how long a subscription may last, in seconds. What a subscriber asks for is never refused,
 * but moved into these bounds; the lease that was granted is what its callback is told. */
struct websub_leases {
    uint64_t least, most;
    uint64_t usual; /* for those who do not say */
};
#define WEBSUB_LEASES_DEFAULT                                                                      \
    ((struct websub_leases){                                                                       \
        .least = 1, .most = UINT64_C(30) * 86400, .usual = UINT64_C(10) * 86400})

/* The channel that a topic's URL stands for: its path is `base`/channels/NAME or
 * `base`/topics/NAME. Its host is not looked at, since behind a proxy we do not know our names.
 * -EINVAL when it is none of ours, -ENOMEM. */
int websub_topic_channel(struct str topic, struct str base, struct buf *ret_channel);

/* Adds the URL of the hub that belongs to a topic, `base`/hub on the same host. */
void websub_add_hub(struct buf *out, struct str topic, struct str base);

/* Adds the value of X-Hub-Signature (section 7.1). */
void websub_add_signature(struct buf *out, struct str secret, struct str body);
