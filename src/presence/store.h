/* presence.db: read marks, who was there, and what is to be told yet, so that a restart forgets
 * none of it. One thread at a
 * time uses a store. */
#pragma once

#include "base/mem.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum save_kind {
    SAVE_MEMBER,
    DROP_MEMBER,
    SAVE_OCCUPIED, /* the channel has a subscriber */
    DROP_OCCUPIED,
    SAVE_MARK,
    DROP_MARKS, /* of the channel */
    SAVE_OWED,  /* the channel owes its followers events that were lost (losses.h) */
    DROP_OWED,
    DROP_ALL_MEMBERS, /* of all channels, as the next two */
    DROP_ALL_OCCUPIED,
    DROP_ALL_OWED,
    SAVE_KINDS,
};

enum { OWES_RESET = 1, OWES_OCCUPIED = 2 };

/* A change to be saved, or a row that was loaded. */
struct save_row {
    struct save_row *next;
    enum save_kind kind;
    uint64_t
        told; /* the number of the note that tells the change, which must be in the log first */
    bool verified;
    uint8_t owes; /* OWES_… */
    int64_t since_ms;
    uint64_t read;
    struct str channel, name, state; /* in `text`, or of the store while it loads */
    char text[];
};

/* A copy; NULL if there is no memory. */
struct save_row *save_row_new(const struct save_row *facts);
void save_rows_free(struct save_row *rows);

struct presence_store;

/* A result of presence_store_write(): it failed, and so did the proof that nothing of it will be
 * there after a crash. */
enum { PRESENCE_STORE_E_FATE_UNKNOWN = 1 };

/* Opens `dir`/presence.db, which is made if it is not there. 0 or a negative errno. */
int presence_store_open(const char *dir, struct presence_store **ret_store);
/* NULL is fine. */
void presence_store_close(struct presence_store *store);

/* Calls `each` for all marks, occupied channels, members and debts, in this order; `*ret_position`
 * is what was last written. 0 or a negative errno. */
int presence_store_load(struct presence_store *store,
                        void (*each)(void *context, const struct save_row *row), void *context,
                        uint64_t *ret_position);

/* Writes all of the changes in order, and the position up to which the log's events are in them, or
 * nothing. Durable when it returns 0. After a failure nothing of it is there, and never will be,
 * unless the result is PRESENCE_STORE_E_FATE_UNKNOWN. */
int presence_store_write(struct presence_store *store, const struct save_row *rows,
                         uint64_t position);
