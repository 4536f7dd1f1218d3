/* Keys and revocations on disk: records in a table of state.db.
 *
 * A record is a JSON object under a kind and an id, and a change writes or deletes whole records.
 * So the same changes, handed to all nodes of a cluster in one order, make the same table on each.
 * Only the thread of changes.h uses a store. */
#pragma once

#include "base/str.h"

enum record_kind { RECORD_KEY, RECORD_REVOCATION, RECORD_KINDS };

/* Borrowed for the call. Without a value (`at` NULL) the record is deleted. */
struct access_record {
    enum record_kind kind;
    struct str id;
    struct str value;
};

/* A result beside negative errnos: a write has failed, and so has the proof that nothing of it will
 * be there after a crash. */
enum { ACCESS_STORE_E_FATE_UNKNOWN = 1 };

struct access_store;

/* Opens `dir`/state.db, which the log has made; with NULL a table that dies with the process. 0 or
 * a negative errno. */
int access_store_open(const char *dir, struct access_store **ret_store);
/* NULL is fine. */
void access_store_close(struct access_store *store);

/* Calls `each` for all records; 0 or a negative errno. */
int access_store_load(struct access_store *store,
                      void (*each)(void *context, const struct access_record *record),
                      void *context);

/* Whether the record is there after a crash now: 0, a negative errno or
 * ACCESS_STORE_E_FATE_UNKNOWN. */
int access_store_has(struct access_store *store, enum record_kind kind, struct str id,
                     bool *ret_has);

/* Writes and deletes all of the records, or none. Durable when it returns 0. */
int access_store_write(struct access_store *store, const struct access_record *records,
                       size_t count);
