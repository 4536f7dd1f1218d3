/* The content of a delivery's request: its body, its id and its headers. */
#pragma once

#include "base/list.h"
#include "log/event.h"
#include "webhooks/wire/formats/formats.h"
#include "webhooks/wire/olds.h"

struct curl_slist;

enum { WEBHOOK_ID_MAX = 64 };

/* The owner's settings for a webhook's requests. Borrowed while a body is written. */
struct body_terms {
    enum body_format_id format;
    uint32_t batch; /* events in a body at most; 0: a single event instead of a page */
    const struct sign_key *key;
    const struct sign_pair *pair;
    const struct olds *olds;
    char *const *headers;   /* "Name: value", ended by a NULL; or NULL */
    const char *origin;     /* of the CloudEvents handshake */
    const char *topic;      /* of a WebSub subscription; NULL for none */
    const char *hub_secret; /* secret of a WebSub subscription; NULL or empty for none */
    struct str base;        /* the path under which the API hangs */
    int64_t wall_us;        /* the time that the request names and signs */
    int64_t now_us;         /* the time at which replaced keys expire */
};

/* Writes the body of a delivery, and its id. `events`: struct pending, at least one. */
void body_add(struct buf *out, const struct body_terms *terms, const struct list *events,
              char id[WEBHOOK_ID_MAX]);

/* The headers of a signed request. `first` is the first event, which some formats put into headers;
 * NULL if the body has no events. `hops`: of the delivery. NULL if there is no memory. */
struct curl_slist *body_headers(const struct body_terms *terms, struct str id, struct str body,
                                const struct event *first, unsigned hops);
