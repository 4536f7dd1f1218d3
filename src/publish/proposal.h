/* A proposal: an event that somebody wants to publish, and the checks that it has to pass.
 *
 * Every way in (POST, POST /events, both WebSockets, webhooks of others, the server itself) reads
 * what it was sent into a proposal and gives that to submit.h. A rule about what may be published
 * belongs here, so that no way in can forget it; a rule about how one way in spells things belongs
 * to that way. */
#pragma once

#include "access/decide.h"
#include "base/json.h"
#include "base/refusal.h"
#include "http/media.h"
#include "log/event.h"

struct conn;

enum { KEY_MAX_BYTES = 255, CONTENT_TYPE_MAX_BYTES = 255 };

/* The type of an event whose publisher named none. */
#define TYPE_DEFAULT STR("message")

/* The publisher, the same for all events of a publish. */
struct publisher {
    struct access access; /* the caller, and the rules for it */
    /* idempotency keys are told apart by it; empty: a publisher without a name */
    struct str keyspace;
    const struct conn *conn; /* NULL: there is no connection, or it is gone */
    uint32_t request;        /* by whose client's address it counts (client_of()) */
    /* number of webhook deliveries that led to these events, each by the one before */
    uint8_t hops;
    bool is_server; /* may use reserved channels, and takes no share of new channels */
    /* with `is_server`: clients cause its events by what they read, so it has the share of one
     * address */
    bool takes_share;
};

/* A proposal. Its strings are borrowed until it was submitted. */
struct proposal {
    struct str channel;
    struct str type;
    struct str data;
    struct str content_type; /* as the event keeps it; binary data without one is
                                application/octet-stream */
    struct str key;
    const struct json_scan *scan; /* the check made in advance, in pieces; or NULL */
    uint64_t if_match;
    int64_t accepted_ns; /* monotonic: when the publish was parsed; 0: unknown */
    uint32_t except;     /* the connection that is not to get the event; 0: none */
    enum event_kind kind;
    bool is_checked; /* JSON that is part of a document which was checked */
    bool has_key;
    bool key_stands; /* the key stands for the event even if its content differs */
    bool has_if_match;
    bool ephemeral; /* ephemeral even if the channel's namespace is not */
};

/* Checks channel, right to publish, type, key and JSON. */
bool proposal_check(const struct proposal *proposal, const struct publisher *publisher,
                    struct refusal *ret_refusal);

/* Takes a body as data: JSON, text or binary by its Content-Type (empty for none) and its bytes.
 * False if the Content-Type is no media type. */
bool proposal_take_body(struct proposal *proposal, struct str content_type, struct str body,
                        struct refusal *ret_refusal);

/* Reads a content type. False if it is no media type, or too long to keep. */
bool content_type_read(struct str content_type, struct http_media *ret_media);

/* Whether an event keeps its content type: for binary data, and for JSON of a special kind (+json).
 */
bool content_type_is_kept(enum event_kind kind, const struct http_media *media);
