#include "courier/endpoints.h"

#include "base/say.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUSY_MS = 5000 };

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS courier(version INTEGER NOT NULL);"
    "INSERT INTO courier SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM courier);"
    "CREATE TABLE IF NOT EXISTS endpoint(id TEXT PRIMARY KEY, url TEXT NOT NULL, channels TEXT NOT "
    "NULL,"
    " types TEXT NOT NULL, description TEXT NOT NULL, secret BLOB NOT NULL, cursor INTEGER NOT "
    "NULL,"
    " created INTEGER NOT NULL, state INTEGER NOT NULL) WITHOUT ROWID;";

void endpoint_row_free(struct endpoint_row *row)
{
    free(row->url);
    free(row->channels);
    free(row->types);
    free(row->description);
}

static int error_of(sqlite3 *db, int result)
{
    if (result == SQLITE_OK || result == SQLITE_DONE)
        return 0;
    say(SAY_WARN, "webhooks_not_kept", "sqlite=%d detail=\"%s\"", result, sqlite3_errmsg(db));
    return result == SQLITE_FULL ? -ENOSPC : -EIO;
}

static int run(sqlite3 *db, const char *sql)
{
    return error_of(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
}

int endpoints_open(const char *dir, struct sqlite3 **ret_db)
{
    char path[4096] = ":memory:";
    if (dir && snprintf(path, sizeof(path), "%s/state.db", dir) >= (int)sizeof(path))
        return -ENAMETOOLONG;
    int result = sqlite3_open(path, ret_db);
    if (result)
        return error_of(*ret_db, result);
    sqlite3_busy_timeout(*ret_db, BUSY_MS);
    result = run(*ret_db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;");
    return result ? result : run(*ret_db, schema);
}

void endpoints_close(struct sqlite3 *db)
{
    sqlite3_close(db);
}

static char *column(sqlite3_stmt *statement, int index)
{
    const unsigned char *text = sqlite3_column_text(statement, index);
    char *copy = strdup(text ? (const char *)text : "");
    if (!copy)
        abort();
    return copy;
}

static void read_row(sqlite3_stmt *statement, struct endpoint_row *row)
{
    *row = (struct endpoint_row){
        .url = column(statement, 1),
        .channels = column(statement, 2),
        .types = column(statement, 3),
        .description = column(statement, 4),
        .cursor = (uint64_t)sqlite3_column_int64(statement, 6),
        .created_us = sqlite3_column_int64(statement, 7),
        .state = sqlite3_column_int(statement, 8) ? ENDPOINT_DISABLED : ENDPOINT_ACTIVE,
    };
    char *id = column(statement, 0);
    snprintf(row->id, sizeof(row->id), "%s", id);
    free(id);
    int len = sqlite3_column_bytes(statement, 5);
    row->key.len = (uint8_t)(len < SIGN_KEY_MOST ? len : SIGN_KEY_MOST);
    memcpy(row->key.bytes, sqlite3_column_blob(statement, 5), row->key.len);
}

int endpoints_load(struct sqlite3 *db, void (*each)(void *context, struct endpoint_row *row),
                   void *context)
{
    sqlite3_stmt *statement;
    int result = sqlite3_prepare_v2(db,
                                    "SELECT id, url, channels, types, description, secret, cursor,"
                                    " created, state FROM endpoint ORDER BY created, id",
                                    -1, &statement, NULL);
    if (result)
        return error_of(db, result);
    while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
        struct endpoint_row row;
        read_row(statement, &row);
        each(context, &row);
    }
    sqlite3_finalize(statement);
    return error_of(db, result);
}

static void bind_text(sqlite3_stmt *statement, int index, const char *text)
{
    sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC);
}

static int finish(sqlite3 *db, sqlite3_stmt *statement)
{
    int result = sqlite3_step(statement);
    sqlite3_finalize(statement);
    return error_of(db, result);
}

int endpoints_insert(struct sqlite3 *db, const struct endpoint_row *row)
{
    sqlite3_stmt *statement;
    int result =
        sqlite3_prepare_v2(db,
                           "INSERT INTO endpoint(id, url, channels, types, description, secret,"
                           " cursor, created, state) VALUES(?,?,?,?,?,?,?,?,?)",
                           -1, &statement, NULL);
    if (result)
        return error_of(db, result);
    bind_text(statement, 1, row->id);
    bind_text(statement, 2, row->url);
    bind_text(statement, 3, row->channels);
    bind_text(statement, 4, row->types);
    bind_text(statement, 5, row->description);
    sqlite3_bind_blob(statement, 6, row->key.bytes, row->key.len, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 7, (sqlite3_int64)row->cursor);
    sqlite3_bind_int64(statement, 8, row->created_us);
    sqlite3_bind_int(statement, 9, (int)row->state);
    return finish(db, statement);
}

int endpoints_delete(struct sqlite3 *db, const char *id)
{
    sqlite3_stmt *statement;
    int result = sqlite3_prepare_v2(db, "DELETE FROM endpoint WHERE id = ?", -1, &statement, NULL);
    if (result)
        return error_of(db, result);
    bind_text(statement, 1, id);
    return finish(db, statement);
}

int endpoints_begin(struct sqlite3 *db)
{
    return run(db, "BEGIN IMMEDIATE");
}

int endpoints_update(struct sqlite3 *db, const struct endpoint_row *row)
{
    sqlite3_stmt *statement;
    int result = sqlite3_prepare_v2(db, "UPDATE endpoint SET cursor = ?, state = ? WHERE id = ?",
                                    -1, &statement, NULL);
    if (result)
        return error_of(db, result);
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)row->cursor);
    sqlite3_bind_int(statement, 2, (int)row->state);
    bind_text(statement, 3, row->id);
    return finish(db, statement);
}

int endpoints_commit(struct sqlite3 *db)
{
    int result = run(db, "COMMIT");
    if (result)
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return result;
}
