#include "log/store/sqlite/sums.h"

#include "base/mem.h"
#include "base/say.h"
#include "log/store/sqlite/db.h"
#include "log/store/sqlite/folder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { VERSION = 2, TIDY_BYTES = 1 << 20, NAME_ROOM = 256 };

enum statement {
    BEGIN,
    COMMIT,
    ROLLBACK,
    GET,
    ADD,
    PUT,
    DROP,
    PUT_FILE,
    DROP_FILE,
    STATEMENTS,
};

/* clang-format off */
#define CHANNEL(COLUMN, AND)                                                                       \
    COLUMN(number) AND COLUMN(name) AND COLUMN(last) AND COLUMN(floor) AND COLUMN(count)           \
    AND COLUMN(bytes)
#define FILE_OF(COLUMN, AND)                                                                       \
    COLUMN(first) AND COLUMN(stamp) AND COLUMN(oldest) AND COLUMN(newest) AND COLUMN(oldest_time)  \
    AND COLUMN(newest_time) AND COLUMN(keyed) AND COLUMN(channels) AND COLUMN(filter)              \
    AND COLUMN(links)
/* clang-format on */

#define CHANNEL_PLACE(name) CHANNEL_##name
#define FILE_PLACE(name) FILE_##name
enum channel_column { CHANNEL(CHANNEL_PLACE, DB_COMMA) };
enum file_column { FILE_OF(FILE_PLACE, DB_COMMA) };

#define OR_ADD                                                                                     \
    " ON CONFLICT(number) DO UPDATE SET last = max(last, excluded.last),"                          \
    " count = count + excluded.count, bytes = bytes + excluded.bytes"                              \
    " WHERE floor = excluded.floor AND name = excluded.name"

static const char *const statements[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [GET] = DB_SELECT(CHANNEL) "channel WHERE number = ?1",
    [ADD] = "INSERT INTO channel" DB_VALUES(CHANNEL) OR_ADD,
    [PUT] = "INSERT OR REPLACE INTO channel" DB_VALUES(CHANNEL),
    [DROP] = "DELETE FROM channel WHERE number = ?1",
    [PUT_FILE] = "INSERT OR REPLACE INTO file" DB_VALUES(FILE_OF),
    [DROP_FILE] = "DELETE FROM file WHERE first = ?1",
};

struct sums {
    sqlite3 *db;
    char *path;
    sqlite3_stmt *statements[STATEMENTS];
    char name[NAME_ROOM]; /* the name in the row that sums_get() returned last */
};

/* ---- opening -------------------------------------------------------------------------------- */

static int make_schema(sqlite3 *db)
{
    return db_exec(
        db, "BEGIN;"
            "CREATE TABLE file(first INTEGER PRIMARY KEY, stamp INTEGER NOT NULL,"
            " oldest INTEGER NOT NULL, newest INTEGER NOT NULL, oldest_time INTEGER NOT NULL,"
            " newest_time INTEGER NOT NULL, keyed INTEGER NOT NULL, channels INTEGER NOT NULL,"
            " filter BLOB NOT NULL, links BLOB);"
            "CREATE TABLE channel(number INTEGER PRIMARY KEY, name TEXT NOT NULL,"
            " last INTEGER NOT NULL, floor INTEGER NOT NULL, count INTEGER NOT NULL,"
            " bytes INTEGER NOT NULL);"
            "PRAGMA user_version = 2;"
            "COMMIT");
}

/* Files added by version 1 are older than links. */
static int add_links(sqlite3 *db)
{
    return db_exec(db, "BEGIN;"
                       "ALTER TABLE file ADD COLUMN links BLOB;"
                       "PRAGMA user_version = 2;"
                       "COMMIT");
}

static int set_up(struct sums *sums)
{
    int64_t version = 0;
    int result = db_exec(sums->db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                                   "PRAGMA cache_size = -16384");
    result = result ? result : db_number(sums->db, "PRAGMA user_version", &version);
    if (!result && !version)
        result = make_schema(sums->db);
    else if (!result && version == 1)
        result = add_links(sums->db);
    else if (!result && version != VERSION)
        result = -ENOTSUP;
    for (int i = 0; !result && i < STATEMENTS; i++)
        result = db_prepare(sums->db, statements[i], &sums->statements[i]);
    return result;
}

static int open_db(struct sums *sums)
{
    int result = db_create_file(sums->path);
    result = result == -EEXIST ? 0 : result;
    result = result ? result : db_open(sums->path, DB_WRITE, &sums->db);
    return result ? result : set_up(sums);
}

static void close_db(struct sums *sums)
{
    for (int i = 0; i < STATEMENTS; i++) {
        sqlite3_finalize(sums->statements[i]);
        sums->statements[i] = NULL;
    }
    if (sums->db)
        sqlite3_db_config(sums->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    sqlite3_close_v2(sums->db); /* a reader of the sums may be the one that drops them */
    sums->db = NULL;
}

int sums_open(const char *path, struct sums **ret_sums)
{
    struct sums *sums = mem_alloc(sizeof(*sums));
    sums->path = strdup(path);
    if (!sums->path)
        abort();
    int result = open_db(sums);
    if (result) {
        say(SAY_WARN, "sums_not_readable", "path=%s error=%d detail=\"%s\"", path, -result,
            sums->db ? sqlite3_errmsg(sums->db) : "");
        close_db(sums);
        result = db_unlink(path);
        result = result ? result : open_db(sums);
    }
    if (result) {
        sums_close(sums);
        return result;
    }
    *ret_sums = sums;
    return 0;
}

void sums_close(struct sums *sums)
{
    if (!sums)
        return;
    close_db(sums);
    free(sums->path);
    free(sums);
}

int sums_discard(struct sums *sums, const char *path)
{
    sums_close(sums);
    int result = db_unlink(path);
    return result ? result : folder_sync_of(path);
}

/* ---- reading -------------------------------------------------------------------------------- */

static struct sums_file file_of(sqlite3_stmt *row)
{
    return (struct sums_file){.first = db_id(row, FILE_first),
                              .stamp = (uint32_t)db_id(row, FILE_stamp),
                              .oldest = db_id(row, FILE_oldest),
                              .newest = db_id(row, FILE_newest),
                              .oldest_time_us = sqlite3_column_int64(row, FILE_oldest_time),
                              .newest_time_us = sqlite3_column_int64(row, FILE_newest_time),
                              .keyed = db_id(row, FILE_keyed),
                              .channels = (uint32_t)db_id(row, FILE_channels),
                              .filter = db_bytes(row, FILE_filter),
                              .links = db_bytes(row, FILE_links)};
}

static struct sums_row row_of(sqlite3_stmt *row)
{
    return (struct sums_row){.number = (uint32_t)db_id(row, CHANNEL_number),
                             .name = db_bytes(row, CHANNEL_name),
                             .last = db_id(row, CHANNEL_last),
                             .trimmed = db_id(row, CHANNEL_floor),
                             .count = db_id(row, CHANNEL_count),
                             .bytes = db_id(row, CHANNEL_bytes)};
}

int sums_each_file(struct sums *sums, int (*each)(void *context, const struct sums_file *file),
                   void *context)
{
    sqlite3_stmt *statement;
    int result = db_prepare(sums->db, DB_SELECT(FILE_OF) "file ORDER BY first", &statement);
    if (result)
        return result;
    while ((result = db_row(statement)) == 1) {
        struct sums_file file = file_of(statement);
        if ((result = each(context, &file)))
            break;
    }
    sqlite3_finalize(statement);
    return result;
}

int sums_each_row(struct sums *sums, uint64_t low, uint64_t high,
                  int (*each)(void *context, const struct sums_row *row), void *context)
{
    sqlite3_stmt *statement;
    int result = db_prepare(
        sums->db, DB_SELECT(CHANNEL) "channel WHERE number >= ?1 AND number < ?2 ORDER BY number",
        &statement);
    if (result)
        return result;
    db_bind_id(statement, 1, low);
    db_bind_id(statement, 2, high);
    while ((result = db_row(statement)) == 1) {
        struct sums_row row = row_of(statement);
        if ((result = each(context, &row)))
            break;
    }
    sqlite3_finalize(statement);
    return result;
}

int sums_get(struct sums *sums, uint32_t number, struct sums_row *ret_row)
{
    sqlite3_stmt *statement = sums->statements[GET];
    sqlite3_bind_int64(statement, 1, number);
    int result = db_row(statement);
    if (result != 1)
        return result;
    *ret_row = row_of(statement);
    if (ret_row->name.len > NAME_ROOM)
        result = -EIO;
    else if (ret_row->name.len)
        memcpy(sums->name, ret_row->name.at, ret_row->name.len);
    ret_row->name.at = sums->name;
    sqlite3_reset(statement);
    return result;
}

/* ---- writing -------------------------------------------------------------------------------- */

int sums_begin(struct sums *sums)
{
    return db_run(sums->statements[BEGIN]);
}

int sums_end(struct sums *sums, int result)
{
    if (!result)
        result = db_run(sums->statements[COMMIT]);
    if (result && !sqlite3_get_autocommit(sums->db))
        (void)db_run(sums->statements[ROLLBACK]);
    return result;
}

static int run_row(struct sums *sums, enum statement which, const struct sums_row *row)
{
    sqlite3_stmt *statement = sums->statements[which];
    sqlite3_bind_int64(statement, 1 + CHANNEL_number, row->number);
    db_bind_text(statement, 1 + CHANNEL_name, row->name);
    db_bind_id(statement, 1 + CHANNEL_last, row->last);
    db_bind_id(statement, 1 + CHANNEL_floor, row->trimmed);
    db_bind_id(statement, 1 + CHANNEL_count, row->count);
    db_bind_id(statement, 1 + CHANNEL_bytes, row->bytes);
    return db_run(statement);
}

int sums_add(struct sums *sums, const struct sums_row *row)
{
    int result = run_row(sums, ADD, row);
    return result ? result : !sqlite3_changes(sums->db);
}

int sums_put(struct sums *sums, const struct sums_row *row)
{
    return run_row(sums, PUT, row);
}

int sums_drop(struct sums *sums, uint32_t number)
{
    sqlite3_bind_int64(sums->statements[DROP], 1, number);
    return db_run(sums->statements[DROP]);
}

int sums_put_file(struct sums *sums, const struct sums_file *file)
{
    sqlite3_stmt *statement = sums->statements[PUT_FILE];
    db_bind_id(statement, 1 + FILE_first, file->first);
    db_bind_id(statement, 1 + FILE_stamp, file->stamp);
    db_bind_id(statement, 1 + FILE_oldest, file->oldest);
    db_bind_id(statement, 1 + FILE_newest, file->newest);
    sqlite3_bind_int64(statement, 1 + FILE_oldest_time, file->oldest_time_us);
    sqlite3_bind_int64(statement, 1 + FILE_newest_time, file->newest_time_us);
    db_bind_id(statement, 1 + FILE_keyed, file->keyed);
    sqlite3_bind_int64(statement, 1 + FILE_channels, file->channels);
    sqlite3_bind_blob64(statement, 1 + FILE_filter, file->filter.at, file->filter.len,
                        SQLITE_STATIC);
    sqlite3_bind_blob64(statement, 1 + FILE_links, file->links.at, file->links.len, SQLITE_STATIC);
    return db_run(statement);
}

int sums_drop_file(struct sums *sums, uint64_t first)
{
    db_bind_id(sums->statements[DROP_FILE], 1, first);
    return db_run(sums->statements[DROP_FILE]);
}

int sums_checkpoint(struct sums *sums)
{
    sqlite3_db_release_memory(sums->db);
    char path[4096];
    struct stat info = {0};
    snprintf(path, sizeof(path), "%s-wal", sums->path);
    if (stat(path, &info) || info.st_size <= TIDY_BYTES)
        return 0;
    int code = sqlite3_wal_checkpoint_v2(sums->db, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    return code == SQLITE_OK || code == SQLITE_BUSY ? 0 : db_error(sums->db);
}
