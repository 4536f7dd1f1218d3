/* Endpoints on disk: a table in state.db, written by the courier's thread alone. */
#pragma once

#include "courier/sign.h"

enum { ENDPOINT_ID_LEN = 25 }; /* wh_ and 22 characters: 128 random bits */

enum endpoint_state {
    ENDPOINT_ACTIVE,
    ENDPOINT_FAILING,  /* the schedule of retries is used up: tried once a day */
    ENDPOINT_PAUSED,   /* by its owner; the cursor waits */
    ENDPOINT_DISABLED, /* it answered 410; the cursor waits */
};

/* Texts are owned and end with a zero. */
struct endpoint_row {
    char id[ENDPOINT_ID_LEN + 1];
    char *url;
    char *channels; /* a JSON array */
    char *types;    /* a JSON array */
    char *headers;  /* a JSON object */
    char *description;
    struct sign_key key;
    struct sign_key old_key; /* signs too until old_until_us; len 0 for none */
    int64_t old_until_us;
    int64_t created_us;
    uint64_t cursor;   /* everything that matches up to it was delivered */
    uint64_t told;     /* gaps up to it were delivered */
    int64_t next_us;   /* when it is tried again; 0 for now */
    uint64_t failures; /* in a row */
    enum endpoint_state state;
};

void endpoint_row_free(struct endpoint_row *row);

struct registry;

/* Opens `dir`/state.db, which the log has made, and brings our table up to date; with NULL a table
 * that dies with the process. 0 or a negative errno; -ENOTSUP when a newer version has written it.
 */
int registry_open(const char *dir, struct registry **ret_registry);
/* NULL is fine. */
void registry_close(struct registry *registry);

/* Calls `each` for every endpoint, the oldest first; it takes the row over. */
int registry_load(struct registry *registry, void (*each)(void *context, struct endpoint_row *row),
                  void *context);

/* Adds or replaces all of a row. Durable when it returns 0. */
int registry_put(struct registry *registry, const struct endpoint_row *row);

/* Durable when it returns 0. */
int registry_delete(struct registry *registry, const char *id);

/* Between begin and commit: keeps how far an endpoint has got (cursor, told, next_us, failures,
 * state). All of them are one transaction, durable when commit returns 0; after any other result it
 * is as if none had been kept. */
int registry_begin(struct registry *registry);
int registry_progress(struct registry *registry, const struct endpoint_row *row);
int registry_commit(struct registry *registry, int result);
