#include "access/store.h"

#include "base/mem.h"
#include "base/say.h"
#include "log/store/sqlite/db.h"
#include "log/store/sqlite/wal.h"

#include <stdio.h>
#include <stdlib.h>

/* Versions without keys do not know the table, and leave it alone: it needs no version. */
static const char table[] =
    "CREATE TABLE IF NOT EXISTS access_record(kind TEXT NOT NULL, id TEXT NOT NULL,"
    " value TEXT NOT NULL, PRIMARY KEY(kind, id)) WITHOUT ROWID";

static const char *const words[RECORD_KINDS] = {
    [RECORD_KEY] = "key", [RECORD_REVOCATION] = "revocation"};

/* clang-format off */
#define RECORD(COLUMN, AND) COLUMN(kind) AND COLUMN(id) AND COLUMN(value)
/* clang-format on */
#define RECORD_PLACE(name) RECORD_##name
enum record_column { RECORD(RECORD_PLACE, DB_COMMA) };

enum statement { BEGIN, COMMIT, ROLLBACK, PUT, DROP, HAS, STATEMENTS };

static const char *const statements[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [PUT] = "INSERT OR REPLACE INTO access_record" DB_VALUES(RECORD),
    [DROP] = "DELETE FROM access_record WHERE kind = ?1 AND id = ?2",
    [HAS] = "SELECT 1 FROM access_record WHERE kind = ?1 AND id = ?2",
};

struct access_store {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
    bool in_memory;
    bool unsure; /* a write that failed may be in the file after a crash */
};

static int open_db(struct access_store *store, const char *path)
{
    int result = db_open(path, DB_WRITE, &store->db);
    result = result ? result
                    : db_exec(store->db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    result = result ? result : db_exec(store->db, table);
    for (int i = 0; !result && i < STATEMENTS; i++)
        result = db_prepare(store->db, statements[i], &store->statements[i]);
    return result;
}

int access_store_open(const char *dir, struct access_store **ret_store)
{
    char *path = NULL;
    struct access_store *store = mem_alloc(sizeof(*store));
    store->in_memory = !dir;
    if (dir && asprintf(&path, "%s/state.db", dir) < 0)
        abort();
    int result = open_db(store, path ? path : ":memory:");
    free(path);
    if (result) {
        say(SAY_ERROR, "keys_not_opened", "error=%d detail=\"%s\"", -result,
            store->db ? sqlite3_errmsg(store->db) : "");
        access_store_close(store);
        return result;
    }
    *ret_store = store;
    return 0;
}

void access_store_close(struct access_store *store)
{
    if (!store)
        return;
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(store->statements[i]);
    sqlite3_close(store->db);
    free(store);
}

static bool read_kind(struct str word, enum record_kind *ret_kind)
{
    for (unsigned i = 0; i < RECORD_KINDS; i++)
        if (str_eq(word, str_from(words[i]))) {
            *ret_kind = (enum record_kind)i;
            return true;
        }
    return false;
}

int access_store_load(struct access_store *store,
                      void (*each)(void *context, const struct access_record *record),
                      void *context)
{
    sqlite3_stmt *statement;
    int result = db_prepare(store->db, DB_SELECT(RECORD) "access_record", &statement);
    if (result)
        return result;
    while ((result = db_row(statement)) == 1) {
        struct access_record record = {.id = db_bytes(statement, RECORD_id),
                                       .value = db_bytes(statement, RECORD_value)};
        if (read_kind(db_bytes(statement, RECORD_kind), &record.kind))
            each(context, &record);
    }
    sqlite3_finalize(statement);
    return result;
}

/* Removes a failed transaction from the file, see log/store/sqlite/wal.c. */
static int mend(struct access_store *store)
{
    if (!store->unsure)
        return 0;
    int result = db_roll_back(store->db, store->statements[ROLLBACK]);
    if (!result && !store->in_memory)
        result = wal_cut(store->db);
    /* Without memory the cut cannot end its own transaction, which would lock others out. */
    (void)db_roll_back(store->db, store->statements[ROLLBACK]);
    store->unsure = result != 0;
    return result ? ACCESS_STORE_E_FATE_UNKNOWN : 0;
}

static void bind_id(sqlite3_stmt *statement, enum record_kind kind, struct str id)
{
    db_bind_text(statement, 1 + RECORD_kind, str_from(words[kind]));
    db_bind_text(statement, 1 + RECORD_id, id);
}

int access_store_has(struct access_store *store, enum record_kind kind, struct str id,
                     bool *ret_has)
{
    sqlite3_stmt *statement = store->statements[HAS];
    int result = mend(store);
    if (result)
        return result;
    bind_id(statement, kind, id);
    result = db_row(statement);
    *ret_has = result == 1;
    sqlite3_reset(statement);
    return result < 0 ? result : 0;
}

static int write_record(struct access_store *store, const struct access_record *record)
{
    sqlite3_stmt *statement = store->statements[record->value.at ? PUT : DROP];
    bind_id(statement, record->kind, record->id);
    if (record->value.at)
        db_bind_text(statement, 1 + RECORD_value, record->value);
    return db_run(statement);
}

int access_store_write(struct access_store *store, const struct access_record *records,
                       size_t count)
{
    int result = mend(store);
    result = result ? result : db_run(store->statements[BEGIN]);
    if (result)
        return result;
    for (size_t i = 0; !result && i < count; i++)
        result = write_record(store, &records[i]);
    result = result ? result : db_run(store->statements[COMMIT]);
    if (!result)
        return 0;
    (void)db_roll_back(store->db, store->statements[ROLLBACK]);
    store->unsure = true;
    int mended = mend(store);
    return mended ? mended : result;
}
