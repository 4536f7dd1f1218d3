/* Endpoints on disk: a table in state.db, written by the courier's thread alone. */
#pragma once

#include "base/buf.h"
#include "base/hash.h"
#include "webhooks/wire/olds.h"

struct record_statements;

enum { ENDPOINT_ID_LEN = 25 }; /* wh_ and 22 characters: 128 random bits */

enum endpoint_state {
    ENDPOINT_ACTIVE,
    ENDPOINT_FAILING,  /* everything fails, for a while already */
    ENDPOINT_PAUSED,   /* by its owner; the cursor waits */
    ENDPOINT_DISABLED, /* after a 410, or days of failure; the cursor waits */
};

/* The format of a delivery's body. */
enum body_format {
    BODY_EVENT, /* the envelope */
    BODY_DATA,  /* the data alone */
    BODY_CE,    /* CloudEvents, structured */
    BODY_CE_BINARY,
    BODY_FORMATS,
};

/* How an endpoint wants its deliveries. */
struct endpoint_options {
    bool ordered;         /* each channel one after the other */
    bool wants_pair;      /* signed by v1a too */
    uint8_t format;       /* enum body_format */
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
};

static inline bool row_is_websub(const struct endpoint_row *row)
{
    return row->topic && *row->topic;
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

void endpoint_row_free(struct endpoint_row *row);

struct registry;

/* The latest format of the webhooks' tables that this program knows. */
enum { REGISTRY_VERSION = 5 };

/* Opens `dir`/state.db, which the log has made, and brings our table up to date; with NULL a table
 * that dies with the process. 0 or a negative errno; -ENOTSUP when a newer version has written it.
 */
int registry_open(const char *dir, struct registry **ret_registry);
/* NULL is fine. */
void registry_close(struct registry *registry);

/* Calls `each` for every endpoint, the oldest first; it takes the row over. */
int registry_load(struct registry *registry, void (*each)(void *context, struct endpoint_row *row),
                  void *context);

/* The same for every lane: those of one endpoint together, by rising `after`. */
int registry_load_lanes(struct registry *registry,
                        void (*each)(void *context, struct lane_row *row), void *context);

/* Of what changes the registry: the medium failed, and failed again when it was to be proved that
 * nothing of the change will be there after a crash. */
enum { REGISTRY_E_FATE_UNKNOWN = 1 };

/* Adds or replaces all of a row; `forget` drops its lanes in the same step. Durable when it returns
 * 0. */
int registry_put(struct registry *registry, struct endpoint_row *row, bool forget);
/* The result of the newest attempt to keep lanes; 0 when they are kept. While it is not 0, a row
 * may not say that the scan is beyond them. */
void registry_note_lanes(struct registry *registry, int result);
int registry_lanes_result(const struct registry *registry);

/* With its lanes; its deliveries go as the record is pruned. Durable when it returns 0. */
int registry_delete(struct registry *registry, const char *id);

/* Between begin and commit: keeps how far an endpoint has got (cursor, told, next_us, failures,
 * since_us, warned, state), and lanes. All of them are one transaction, durable when commit returns
 * 0; after any other result it is as if none had been kept. */
int registry_begin(struct registry *registry);
int registry_progress(struct registry *registry, const struct endpoint_row *row);
int registry_put_lane(struct registry *registry, const struct lane_row *row);
int registry_drop_lane(struct registry *registry, uint64_t endpoint, uint64_t slot);
int registry_commit(struct registry *registry, int result);

/* The statements that record.h uses. */
struct record_statements *registry_records(struct registry *registry);
