/* Endpoints as they are kept on disk: what a webhook's owner asked for, and how far it has got. */
#pragma once

#include "base/buf.h"
#include "base/list.h"
#include "courier/sign.h"

struct sqlite3;

enum { ENDPOINT_ID_LEN = 25, ENDPOINT_URL_MAX = 2048, ENDPOINT_TEXT_MAX = 500 };

enum endpoint_state {
    ENDPOINT_ACTIVE,
    ENDPOINT_DISABLED, /* it answered 410 */
};

/* What is kept. Strings are owned, zero-terminated; the lists are JSON arrays of strings. */
struct endpoint_row {
    char id[ENDPOINT_ID_LEN + 1];
    char *url;
    char *channels;
    char *types;
    char *description;
    struct sign_key key;
    uint64_t cursor; /* everything that matches up to it was delivered */
    int64_t created_us;
    enum endpoint_state state;
};

void endpoint_row_free(struct endpoint_row *row);

/* Opens `dir`/state.db (NULL: in memory) and brings our tables up to date. 0 or a negative errno.
 */
int endpoints_open(const char *dir, struct sqlite3 **ret_db);
void endpoints_close(struct sqlite3 *db);

/* Calls `each` for every endpoint; what it is given is its to free. */
int endpoints_load(struct sqlite3 *db, void (*each)(void *context, struct endpoint_row *row),
                   void *context);

int endpoints_insert(struct sqlite3 *db, const struct endpoint_row *row);
int endpoints_delete(struct sqlite3 *db, const char *id);

/* Keeps cursor and state; several between begin and commit are one fsync. */
int endpoints_begin(struct sqlite3 *db);
int endpoints_update(struct sqlite3 *db, const struct endpoint_row *row);
int endpoints_commit(struct sqlite3 *db);
