/* The content of a delivery's request: its body, its id and its headers. */
#pragma once

#include "base/list.h"
#include "log/event.h"
#include "webhooks/wire/olds.h"

struct curl_slist;

enum { WEBHOOK_ID_MAX = 64 };

/* The format of a delivery's body. */
enum body_format {
    BODY_EVENT, /* the envelope */
    BODY_DATA,  /* the data alone */
    BODY_CE,    /* CloudEvents, structured */
    BODY_CE_BINARY,
    BODY_FORMATS,
};

/* The terms of a webhook's requests: how its owner wants them. Borrowed for as long as a body is
 * written. */
struct body_terms {
    enum body_format format;
    uint32_t batch; /* events in a body at most; 0: a body is one event and no page */
    const struct sign_key *key;
    const struct sign_pair *pair;
    const struct olds *olds;
    char *const *headers;   /* "Name: value", ended by a NULL; or NULL */
    const char *origin;     /* of the CloudEvents handshake */
    const char *topic;      /* of a WebSub subscription; NULL for none */
    const char *hub_secret; /* of the same; NULL or empty for none */
    struct str base;        /* the path under which the API hangs */
    int64_t wall_us;        /* the time that is told and signed */
    int64_t now_us;         /* the time by which replaced keys end */
};

/* Writes the body of a delivery, and its id. `events` are of struct pending, one at least. */
void body_add(struct buf *out, const struct body_terms *terms, const struct list *events,
              char id[WEBHOOK_ID_MAX]);

/* The headers of a signed request; `first` (may be NULL) is the event that CloudEvents' binary mode
 * puts into them, and `hops` those of what is sent. NULL when there is no memory. */
struct curl_slist *body_headers(const struct body_terms *terms, struct str id, struct str body,
                                const struct event *first, unsigned hops);
