#include "log/store/sqlite/rowcheck.h"

#include "log/store/sqlite/rowsum.h"

static const char *const names[ROWCHECK_COLUMNS] = {ROWCHECK_ROW(DB_NAME, DB_COMMA)};

const char *rowcheck_name(enum rowcheck_column column)
{
    return names[column];
}

static bool read_key(struct str bytes, struct event_key *key)
{
    if (bytes.len != sizeof(key->key) + sizeof(key->content))
        return false;
    memcpy(key->key, bytes.at, sizeof(key->key));
    key->content = 0;
    for (size_t i = sizeof(key->key); i < bytes.len; i++)
        key->content = key->content << 8 | (uint8_t)bytes.at[i];
    return true;
}

bool rowcheck_is_as_written(sqlite3_stmt *row, const int at[ROWCHECK_COLUMNS], struct str channel)
{
    struct event_key key;
    if (sqlite3_column_type(row, at[ROWCHECK_checksum]) == SQLITE_NULL)
        return true;
    uint64_t kind = db_id(row, at[ROWCHECK_kind]);
    const struct event event = {
        .id = db_id(row, at[ROWCHECK_id]),
        .number = (uint32_t)db_id(row, at[ROWCHECK_channel]),
        .time_us = sqlite3_column_int64(row, at[ROWCHECK_time]),
        .prev = db_id(row, at[ROWCHECK_prev]),
        .kind = (uint8_t)(kind & 0xff),
        .hops = (uint8_t)(kind >> 8),
        .channel = channel,
        .type = db_bytes(row, at[ROWCHECK_type]),
        .content_type = db_bytes(row, at[ROWCHECK_content_type]),
        .from = db_bytes(row, at[ROWCHECK_sender]),
        .key = read_key(db_bytes(row, at[ROWCHECK_key]), &key) ? &key : NULL,
        .data = db_bytes(row, at[ROWCHECK_data]),
    };
    return (uint32_t)db_id(row, at[ROWCHECK_checksum]) == rowsum(&event);
}

static int find(sqlite3_stmt *rows, uint64_t *ret_id)
{
    static const int at[ROWCHECK_COLUMNS] = {ROWCHECK_ROW(ROWCHECK_PLACE, DB_COMMA)};
    int result;
    while ((result = db_row(rows)) == 1)
        if (!rowcheck_is_as_written(rows, at, db_bytes(rows, ROWCHECK_COLUMNS))) {
            *ret_id = db_id(rows, ROWCHECK_id);
            return 0;
        }
    return result;
}

int rowcheck_find(sqlite3 *db, uint64_t *ret_id)
{
    sqlite3_stmt *rows = NULL;
    int64_t columns = 0;
    *ret_id = 0;
    int result = db_number(
        db, "SELECT count(*) FROM pragma_table_info('event') WHERE name = 'checksum'", &columns);
    if (result || !columns)
        return result;
    result = db_prepare(
        db,
        "SELECT " DB_NAMES(ROWCHECK_ROW) ", (SELECT name FROM channel WHERE number = event.channel)"
                                         " FROM event ORDER BY id",
        &rows);
    result = result ? result : find(rows, ret_id);
    sqlite3_finalize(rows);
    return result;
}
