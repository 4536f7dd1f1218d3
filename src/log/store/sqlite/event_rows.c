#include "log/store/sqlite/event_rows.h"

#include "base/mem.h"
#include "log/store/sqlite/db.h"
#include "log/store/sqlite/rowsum.h"
#include "log/store/sqlite/writer.h"

#include <stdlib.h>

enum { KEY_BYTES = 24 };

struct table {
    sqlite3_vtab base;
    struct event_rows *rows;
};

struct cursor {
    sqlite3_vtab_cursor base;
    struct event_place place;
    const struct event *event; /* the current one; NULL at the end */
    size_t left;               /* rows that may follow it */
    uint8_t key[KEY_BYTES];    /* of the current event */
};

static struct cursor *cursor_of(sqlite3_vtab_cursor *base)
{
    return container_of(base, struct cursor, base);
}

/* ---- places ---------------------------------------------------------------------------------- */

/* Moves to the next event that is APPENDED, from the current one on. */
static void settle(struct event_place *place)
{
    for (; place->batch < place->end; place->batch++, place->event = 0)
        for (; place->event < (*place->batch)->count; place->event++)
            if ((*place->batch)->events[place->event].state == EVENT_APPENDED)
                return;
}

struct event_place event_place_begin(struct batch *const *batches, size_t count)
{
    struct event_place place = {.batch = batches, .end = batches + count};
    settle(&place);
    return place;
}

const struct event *event_at(const struct event_place *place)
{
    return place->batch < place->end ? &(*place->batch)->events[place->event] : NULL;
}

/* Moves the place to the event after `event`. Returns NULL if its id is not the next one. */
static const struct event *follow(struct event_place *place, const struct event *event)
{
    place->event++;
    settle(place);
    const struct event *next = event_at(place);
    return next && next->id == event->id + 1 ? next : NULL;
}

struct event_place event_rows_end(const struct event_rows *rows, uint64_t *ret_last)
{
    struct event_place place = rows->first;
    const struct event *event = event_at(&place);
    for (size_t left = rows->most; event && left; left--) {
        *ret_last = event->id;
        event = follow(&place, event);
    }
    return place;
}

/* ---- the values of a row --------------------------------------------------------------------- */

/* Binds text without a copy: it is valid as long as the batch. */
static void put_text(sqlite3_context *context, struct str text)
{
    sqlite3_result_text64(context, text.at ? text.at : "", text.len, SQLITE_STATIC, SQLITE_UTF8);
}

static void put_text_or_null(sqlite3_context *context, struct str text)
{
    if (text.len) /* SQLite reads a result that was not set as NULL */
        put_text(context, text);
}

static void put_key(sqlite3_context *context, struct cursor *cursor, const struct event_key *key)
{
    if (!key)
        return;
    memcpy(cursor->key, key->key, 16);
    for (int i = 0; i < 8; i++)
        cursor->key[16 + i] = (uint8_t)(key->content >> (56 - 8 * i));
    sqlite3_result_blob(context, cursor->key, KEY_BYTES, SQLITE_STATIC);
}

static void put_data(sqlite3_context *context, const struct event *event)
{
    if (event->kind != EVENT_BINARY)
        put_text(context, event->data);
    else if (event->data.len)
        sqlite3_result_blob64(context, event->data.at, event->data.len, SQLITE_STATIC);
    else
        sqlite3_result_zeroblob(context, 0);
}

static int get_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column)
{
    struct cursor *cursor = cursor_of(base);
    const struct event *event = cursor->event;
    switch ((enum writer_column)column) {
    case WRITER_ROW_id:
        sqlite3_result_int64(context, (sqlite3_int64)event->id);
        break;
    case WRITER_ROW_channel:
        sqlite3_result_int64(context, event->number);
        break;
    case WRITER_ROW_time:
        sqlite3_result_int64(context, event->time_us);
        break;
    case WRITER_ROW_prev:
        sqlite3_result_int64(context, (sqlite3_int64)event->prev);
        break;
    case WRITER_ROW_kind:
        sqlite3_result_int(context, writer_kind(event));
        break;
    case WRITER_ROW_type:
        put_text(context, event->type);
        break;
    case WRITER_ROW_content_type:
        put_text_or_null(context, event->content_type);
        break;
    case WRITER_ROW_sender:
        put_text_or_null(context, event->from);
        break;
    case WRITER_ROW_key:
        put_key(context, cursor, event->key);
        break;
    case WRITER_ROW_checksum:
        sqlite3_result_int(context, (int32_t)rowsum(event));
        break;
    case WRITER_ROW_data:
        put_data(context, event);
        break;
    case WRITER_COLUMNS_COUNT:
        break;
    }
    return SQLITE_OK;
}

/* ---- what SQLite asks of a virtual table (sqlite.org/vtab.html) ------------------------------ */

static int connect(sqlite3 *db, void *context, int argc, const char *const *argv,
                   sqlite3_vtab **ret_table, char **ret_error)
{
    (void)argc;
    (void)argv;
    (void)ret_error;
    struct table *table = mem_try_alloc(sizeof(*table));
    int result = table ? sqlite3_declare_vtab(db, "CREATE TABLE appended(" DB_NAMES(WRITER_ROW) ")")
                       : SQLITE_NOMEM;
    if (result) {
        free(table);
        return result;
    }
    *table = (struct table){.rows = context};
    *ret_table = &table->base;
    return SQLITE_OK;
}

static int disconnect(sqlite3_vtab *base)
{
    free(container_of(base, struct table, base));
    return SQLITE_OK;
}

static int best_index(sqlite3_vtab *base, sqlite3_index_info *info)
{
    (void)base;
    (void)info; /* The only plan there is: all rows, from the front. */
    return SQLITE_OK;
}

static int open_cursor(sqlite3_vtab *base, sqlite3_vtab_cursor **ret_cursor)
{
    (void)base;
    struct cursor *cursor = mem_try_alloc(sizeof(*cursor));
    if (!cursor)
        return SQLITE_NOMEM;
    *cursor = (struct cursor){.left = 0};
    *ret_cursor = &cursor->base;
    return SQLITE_OK;
}

static int close_cursor(sqlite3_vtab_cursor *base)
{
    free(cursor_of(base));
    return SQLITE_OK;
}

static int begin(sqlite3_vtab_cursor *base, int index, const char *name, int argc,
                 sqlite3_value **argv)
{
    (void)index;
    (void)name;
    (void)argc;
    (void)argv;
    struct cursor *cursor = cursor_of(base);
    const struct event_rows *rows = container_of(base->pVtab, struct table, base)->rows;
    cursor->place = rows->first;
    cursor->event = event_at(&cursor->place);
    cursor->left = rows->most - 1;
    return SQLITE_OK;
}

static int next(sqlite3_vtab_cursor *base)
{
    struct cursor *cursor = cursor_of(base);
    cursor->event = cursor->left-- ? follow(&cursor->place, cursor->event) : NULL;
    return SQLITE_OK;
}

static int is_at_end(sqlite3_vtab_cursor *base)
{
    return !cursor_of(base)->event;
}

static int get_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *ret_rowid)
{
    *ret_rowid = (sqlite3_int64)cursor_of(base)->event->id;
    return SQLITE_OK;
}

/* A virtual table without xCreate exists on each connection that registers it, in no schema. */
static const sqlite3_module module = {
    .iVersion = 1,
    .xConnect = connect,
    .xBestIndex = best_index,
    .xDisconnect = disconnect,
    .xOpen = open_cursor,
    .xClose = close_cursor,
    .xFilter = begin,
    .xNext = next,
    .xEof = is_at_end,
    .xColumn = get_column,
    .xRowid = get_rowid,
};

int event_rows_define(sqlite3 *db, struct event_rows *rows)
{
    return sqlite3_create_module(db, "appended", &module, rows) ? db_error(db) : 0;
}
