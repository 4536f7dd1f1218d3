/* WebSub (W3C Recommendation of 2018) as URLs and headers: topics, leases, signatures. */
#pragma once

#include "base/buf.h"

/* Bounds of a lease in seconds. A subscriber's wish beyond them is not refused but moved to the
 * bound; its callback is told the lease granted. */
struct websub_leases {
    uint64_t least, most;
    uint64_t usual; /* the lease if none was asked for */
};
#define WEBSUB_LEASES_DEFAULT                                                                      \
    ((struct websub_leases){                                                                       \
        .least = 1, .most = UINT64_C(30) * 86400, .usual = UINT64_C(10) * 86400})

/* The channel of a topic's URL, whose path is `base`/channels/NAME or `base`/topics/NAME. The host
 * is ignored, since behind a proxy we do not know our names. -EINVAL if the URL is no topic of
 * ours, -ENOMEM. */
int websub_topic_channel(struct str topic, struct str base, struct buf *ret_channel);

/* Adds the URL of the topic's WebSub hub: `base`/hub on the same host. */
void websub_add_hub(struct buf *out, struct str topic, struct str base);

/* Adds the value of X-Hub-Signature (section 7.1). */
void websub_add_signature(struct buf *out, struct str secret, struct str body);
