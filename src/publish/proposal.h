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

/* The publisher: the same for all events of one publish. */
struct publisher {
    struct access access;    /* who publishes, under which rules */
    struct str keyspace;     /* keys are told apart by it; empty for everybody without a name */
    const struct conn *conn; /* NULL: the connection is gone, or there was none */
    uint32_t origin; /* the connection whose subscriber may leave these events out; 0: none */
    uint8_t hops;    /* deliveries of webhooks that have led to these events, one by one */
    bool is_server;  /* may use reserved channels, and needs no share of new channels */
};

/* The strings are borrowed until the proposal was submitted. */
struct proposal {
    struct str channel;
    struct str type;
    struct str data;
    struct str content_type; /* to be kept; binary data without one is application/octet-stream */
    struct str key;
    const struct json_scan *scan; /* the check of the data, made in pieces before; or NULL */
    uint64_t if_match;
    int64_t accepted_ns; /* monotonic: when the publish was understood; 0 for unknown */
    enum event_kind kind;
    bool is_checked; /* JSON data came as a part of a document that was checked already */
    bool has_key;
    bool key_stands; /* one key is one event, even if a repetition has other content or type */
    bool has_if_match;
    bool ephemeral; /* even if the channel's namespace is not */
};

/* Whether the publisher may publish this: channel, right to publish there, type, key and JSON are
 * checked. */
bool proposal_check(const struct proposal *proposal, const struct publisher *publisher,
                    struct refusal *ret_refusal);

/* Takes a body as data: its Content-Type (empty for none) and its bytes say whether that is JSON,
 * text or binary. False when the Content-Type is no media type. */
bool proposal_take_body(struct proposal *proposal, struct str content_type, struct str body,
                        struct refusal *ret_refusal);

/* Reads a content type. False when it is no media type, or too long to be kept. */
bool content_type_read(struct str content_type, struct http_media *ret_media);

/* Whether an event keeps its content type: binary data does, and JSON that says more than that. */
bool content_type_is_kept(enum event_kind kind, const struct http_media *media);
