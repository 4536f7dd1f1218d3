#include "courier/registry.h"

#include "base/mem.h"
#include "base/say.h"
#include "log/store/sqlite/db.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* One script for each version, run on what the one before left. */
static const char *const migrations[] = {
    "CREATE TABLE endpoint(id TEXT PRIMARY KEY, url TEXT NOT NULL, channels TEXT NOT NULL,"
    " types TEXT NOT NULL, headers TEXT NOT NULL, description TEXT NOT NULL, key BLOB NOT NULL,"
    " old_key BLOB NOT NULL, old_until INTEGER NOT NULL, created INTEGER NOT NULL,"
    " cursor INTEGER NOT NULL, told INTEGER NOT NULL, next INTEGER NOT NULL,"
    " failures INTEGER NOT NULL, state INTEGER NOT NULL)",
};
enum { VERSION = sizeof(migrations) / sizeof(migrations[0]) };

enum statement { BEGIN, COMMIT, ROLLBACK, PUT, PROGRESS, DELETE, STATEMENTS };

static const char *const statements[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [PUT] = "INSERT OR REPLACE INTO endpoint(id, url, channels, types, headers, description, key,"
            " old_key, old_until, created, cursor, told, next, failures, state)"
            " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    [PROGRESS] = "UPDATE endpoint"
                 " SET cursor = ?2, told = ?3, next = ?4, failures = ?5, state = ?6"
                 " WHERE id = ?1",
    [DELETE] = "DELETE FROM endpoint WHERE id = ?1",
};

struct registry {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
};

void endpoint_row_free(struct endpoint_row *row)
{
    free(row->url);
    free(row->channels);
    free(row->types);
    free(row->headers);
    free(row->description);
}

/* ---- opening -------------------------------------------------------------------------------- */

static int migrate_from(struct registry *registry, int64_t version)
{
    char sql[128];
    int result = 0;
    for (; !result && version < VERSION; version++)
        result = db_exec(registry->db, migrations[version]);
    snprintf(sql, sizeof(sql),
             "INSERT OR REPLACE INTO setting(name, value) VALUES('courier_version', %d)", VERSION);
    return result ? result : db_exec(registry->db, sql);
}

static int migrate(struct registry *registry)
{
    int64_t version = 0;
    int result = db_number(registry->db, "SELECT value FROM setting WHERE name = 'courier_version'",
                           &version);
    if (result && result != -ENOENT)
        return result;
    if (version == VERSION)
        return 0;
    if (version > VERSION) {
        say(SAY_ERROR, "webhooks_too_new", "version=%lld known=%d", (long long)version, VERSION);
        return -ENOTSUP;
    }
    result = db_exec(registry->db, "BEGIN IMMEDIATE");
    result = result ? result : migrate_from(registry, version);
    return registry_commit(registry, result);
}

static int open_db(struct registry *registry, const char *path)
{
    int result = db_open(path, DB_WRITE, &registry->db);
    result = result
                 ? result
                 : db_exec(registry->db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                                         "CREATE TABLE IF NOT EXISTS setting(name TEXT PRIMARY KEY,"
                                         " value INTEGER NOT NULL)");
    for (int i = BEGIN; !result && i <= ROLLBACK; i++)
        result = db_prepare(registry->db, statements[i], &registry->statements[i]);
    result = result ? result : migrate(registry);
    for (int i = PUT; !result && i < STATEMENTS; i++)
        result = db_prepare(registry->db, statements[i], &registry->statements[i]);
    return result;
}

int registry_open(const char *dir, struct registry **ret_registry)
{
    char *path = NULL;
    struct registry *registry = mem_alloc(sizeof(*registry));
    if (dir && asprintf(&path, "%s/state.db", dir) < 0)
        abort();
    int result = open_db(registry, path ? path : ":memory:");
    free(path);
    if (result) {
        say(SAY_ERROR, "webhooks_not_opened", "error=%d detail=\"%s\"", -result,
            registry->db ? sqlite3_errmsg(registry->db) : "");
        registry_close(registry);
        return result;
    }
    *ret_registry = registry;
    return 0;
}

void registry_close(struct registry *registry)
{
    if (!registry)
        return;
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(registry->statements[i]);
    sqlite3_close(registry->db);
    free(registry);
}

/* ---- reading -------------------------------------------------------------------------------- */

static char *read_text(sqlite3_stmt *statement, int column)
{
    const unsigned char *text = sqlite3_column_text(statement, column);
    char *copy = strdup(text ? (const char *)text : "");
    if (!copy)
        abort();
    return copy;
}

static void read_key(sqlite3_stmt *statement, int column, struct sign_key *key)
{
    struct str bytes = db_bytes(statement, column);
    if (bytes.len > SIGN_KEY_MOST)
        bytes.len = SIGN_KEY_MOST;
    if (bytes.len)
        memcpy(key->bytes, bytes.at, bytes.len);
    key->len = (uint8_t)bytes.len;
}

static void read_row(sqlite3_stmt *statement, struct endpoint_row *row)
{
    struct str id = db_bytes(statement, 0);
    int64_t state = sqlite3_column_int64(statement, 14);
    *row = (struct endpoint_row){
        .old_until_us = sqlite3_column_int64(statement, 8),
        .created_us = sqlite3_column_int64(statement, 9),
        .cursor = db_id(statement, 10),
        .told = db_id(statement, 11),
        .next_us = sqlite3_column_int64(statement, 12),
        .failures = db_id(statement, 13),
        .state =
            state < 0 || state > ENDPOINT_DISABLED ? ENDPOINT_PAUSED : (enum endpoint_state)state,
    };
    if (id.len)
        memcpy(row->id, id.at, id.len < ENDPOINT_ID_LEN ? id.len : ENDPOINT_ID_LEN);
    read_key(statement, 6, &row->key);
    read_key(statement, 7, &row->old_key);
    row->url = read_text(statement, 1);
    row->channels = read_text(statement, 2);
    row->types = read_text(statement, 3);
    row->headers = read_text(statement, 4);
    row->description = read_text(statement, 5);
}

int registry_load(struct registry *registry, void (*each)(void *context, struct endpoint_row *row),
                  void *context)
{
    sqlite3_stmt *statement;
    int result = db_prepare(registry->db,
                            "SELECT id, url, channels, types, headers, description, key, old_key,"
                            " old_until, created, cursor, told, next, failures, state"
                            " FROM endpoint ORDER BY created, id",
                            &statement);
    if (result)
        return result;
    while ((result = db_row(statement)) == 1) {
        struct endpoint_row row;
        read_row(statement, &row);
        each(context, &row);
    }
    sqlite3_finalize(statement);
    return result;
}

/* ---- writing -------------------------------------------------------------------------------- */

static void bind_key(sqlite3_stmt *statement, int at, const struct sign_key *key)
{
    sqlite3_bind_blob(statement, at, key->bytes, key->len, SQLITE_STATIC);
}

int registry_put(struct registry *registry, const struct endpoint_row *row)
{
    sqlite3_stmt *statement = registry->statements[PUT];
    db_bind_text(statement, 1, str_from(row->id));
    db_bind_text(statement, 2, str_from(row->url));
    db_bind_text(statement, 3, str_from(row->channels));
    db_bind_text(statement, 4, str_from(row->types));
    db_bind_text(statement, 5, str_from(row->headers));
    db_bind_text(statement, 6, str_from(row->description));
    bind_key(statement, 7, &row->key);
    bind_key(statement, 8, &row->old_key);
    sqlite3_bind_int64(statement, 9, row->old_until_us);
    sqlite3_bind_int64(statement, 10, row->created_us);
    db_bind_id(statement, 11, row->cursor);
    db_bind_id(statement, 12, row->told);
    sqlite3_bind_int64(statement, 13, row->next_us);
    db_bind_id(statement, 14, row->failures);
    sqlite3_bind_int(statement, 15, (int)row->state);
    return db_run(statement);
}

int registry_delete(struct registry *registry, const char *id)
{
    db_bind_text(registry->statements[DELETE], 1, str_from(id));
    return db_run(registry->statements[DELETE]);
}

int registry_begin(struct registry *registry)
{
    return db_run(registry->statements[BEGIN]);
}

int registry_progress(struct registry *registry, const struct endpoint_row *row)
{
    sqlite3_stmt *statement = registry->statements[PROGRESS];
    db_bind_text(statement, 1, str_from(row->id));
    db_bind_id(statement, 2, row->cursor);
    db_bind_id(statement, 3, row->told);
    sqlite3_bind_int64(statement, 4, row->next_us);
    db_bind_id(statement, 5, row->failures);
    sqlite3_bind_int(statement, 6, (int)row->state);
    return db_run(statement);
}

int registry_commit(struct registry *registry, int result)
{
    if (!result)
        result = db_run(registry->statements[COMMIT]);
    if (result && !sqlite3_get_autocommit(registry->db))
        (void)db_run(registry->statements[ROLLBACK]);
    return result;
}
