/* WebSub (W3C Recommendation of 2018) without sockets: the form by which a
 * subscriber asks a hub, and the URLs by which it is verified and denied. */
#pragma once

#include "webhooks/wire/websub.h"

enum { WEBSUB_SECRET_MAX = 199 };

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

/* Reads a form (section 5.1; `hub.topic` or `hub.url` to publish); unknown members are ignored.
 * `base` is the path under which the API hangs. `wish` is zeroed before, and freed by
 * websub_wish_deinit() in any case. 0, -ENOMEM, or -EINVAL with what would be right in `*ret_why`
 * (static). */
int websub_read(struct str form, struct str base, const struct websub_leases *leases,
                struct websub_wish *wish, const char **ret_why);
void websub_wish_deinit(struct websub_wish *wish);

/* Adds the URL that verifies an intent (section 5.3): the callback's own query, then ours.
 * `lease_s` is 0 for an unsubscription. */
void websub_add_intent(struct buf *out, struct str callback, enum websub_mode mode,
                       struct str topic, struct str challenge, uint64_t lease_s);

/* Adds the URL that tells a subscriber of a denial (section 5.2). */
void websub_add_denial(struct buf *out, struct str callback, struct str topic, struct str reason);
