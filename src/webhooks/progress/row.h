/* The rows of the registry: a webhook and its lanes as they are saved. */
#pragma once

#include "access/caller.h"
#include "base/hash.h"
#include "webhooks/wire/body.h"

enum { ENDPOINT_ID_LEN = 25 }; /* wh_ and 22 characters: 128 random bits */

enum endpoint_state {
    ENDPOINT_ACTIVE,
    ENDPOINT_FAILING,  /* everything fails, for a while already */
    ENDPOINT_PAUSED,   /* by its owner; the cursor waits */
    ENDPOINT_DISABLED, /* after a 410, or days of failure; the cursor waits */
};

/* How an endpoint wants its deliveries. */
struct endpoint_options {
    bool ordered;         /* each channel one after the other */
    bool wants_pair;      /* signed by v1a too */
    uint8_t format;       /* enum body_format_id */
    uint32_t batch;       /* events in a body at most; 0: not a page */
    uint32_t concurrency; /* requests under way at most */
    int64_t timeout_ms;   /* 0 for the courier's */
};

/* The Idempotency-Key of the request that made an endpoint, and what that request said: hashes, so
 * that their lengths do not matter. */
struct creation {
    bool keyed;
    uint8_t key[HASH_SHA256_SIZE];
    uint8_t body[HASH_SHA256_SIZE];
};

/* Texts are owned and end with a zero. */
struct endpoint_row {
    char id[ENDPOINT_ID_LEN + 1];
    uint64_t number; /* key in lanes and deliveries; registry_put() assigns it if it is 0 */
    char *url;
    char *channels; /* a JSON array */
    char *types;    /* a JSON array */
    char *headers;  /* a JSON object */
    char *description;
    char *schedule; /* a JSON array of seconds; empty for the courier's */
    struct endpoint_options options;
    struct sign_key key;
    struct sign_pair pair;
    struct olds olds; /* keys that were replaced and sign as well for a while */
    int64_t created_us;
    uint64_t cursor;   /* everything that matches up to it was settled, but for what is in lanes */
    uint64_t told;     /* gaps up to it were delivered */
    int64_t next_us;   /* nothing is sent before; 0 for now */
    uint64_t failures; /* in a row */
    int64_t since_us;  /* when these began */
    uint32_t warned;   /* the warnings that were sent about these */
    enum endpoint_state state;
    /* Of a WebSub subscription; NULL or empty for none: */
    char *topic;
    char *hub_secret;
    int64_t lease_until_us;
    struct creation creation;
    /* The caller that has made it, without its grants: the endpoint ends when the credential does.
     * NULL for anybody, and for endpoints of versions that did not keep it. */
    struct caller *maker;
};

static inline bool row_is_websub(const struct endpoint_row *row)
{
    return row->topic && *row->topic;
}

/* The start of the URL of a webhook whose receiver is this server itself: see endpoint/inside.h.
 * Owners cannot give such a URL, since it is neither http nor https. */
#define ROW_INSIDE "inside:"

static inline bool row_is_inside(const struct endpoint_row *row)
{
    return strncmp(row->url, ROW_INSIDE, sizeof(ROW_INSIDE) - 1) == 0;
}

/* Whether the endpoint is deleted once its lease has ended. */
static inline bool row_has_lease(const struct endpoint_row *row)
{
    return row_is_websub(row) || row_is_inside(row);
}

/* Events that are not settled although the cursor is beyond them: of a channel, or of a range. */
struct lane_row {
    uint64_t endpoint;
    uint64_t slot;     /* key among all lanes */
    char *channel;     /* empty for a range; owned */
    uint64_t after;    /* events above this one are not settled, */
    uint64_t upto;     /* up to this one; 0 for no end */
    uint64_t told;     /* gaps up to it were delivered */
    uint64_t failures; /* failures that count for the schedule */
    uint64_t attempts; /* of the delivery at its front */
    int64_t since_us;
    int64_t next_us;
    uint64_t n; /* of the delivery that failed; 0 for none */
};

/* Frees what the row owns. */
void endpoint_row_free(struct endpoint_row *row);
