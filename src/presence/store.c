#include "presence/store.h"

#include "base/say.h"
#include "log/store/sqlite/db.h"
#include "log/store/sqlite/wal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Pages of the write-ahead log from which it is folded into the file. */
enum { CHECKPOINT_PAGES = 1000 };

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS mark(channel TEXT NOT NULL, verified INTEGER NOT NULL,"
    " name TEXT NOT NULL, read INTEGER NOT NULL, PRIMARY KEY(channel, name, verified))"
    " WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS member(channel TEXT NOT NULL, verified INTEGER NOT NULL,"
    " name TEXT NOT NULL, since_ms INTEGER NOT NULL, state TEXT NOT NULL,"
    " PRIMARY KEY(channel, name, verified)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS occupied(channel TEXT PRIMARY KEY) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS owed(channel TEXT PRIMARY KEY, owes INTEGER NOT NULL)"
    " WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS position(one INTEGER PRIMARY KEY, id INTEGER NOT NULL);";

/* clang-format off */
#define MARK(COLUMN, AND) COLUMN(channel) AND COLUMN(verified) AND COLUMN(name) AND COLUMN(read)
#define MEMBER(COLUMN, AND) COLUMN(channel) AND COLUMN(verified) AND COLUMN(name) AND COLUMN(since_ms) AND COLUMN(state)
/* clang-format on */
#define MARK_PLACE(name) MARK_##name
#define MEMBER_PLACE(name) MEMBER_##name
enum mark_column { MARK(MARK_PLACE, DB_COMMA) };
enum member_column { MEMBER(MEMBER_PLACE, DB_COMMA) };

enum { BEGIN = SAVE_KINDS, COMMIT, ROLLBACK, POSITION, STATEMENTS };

static const char *const statements[STATEMENTS] = {
    [SAVE_MEMBER] = "INSERT OR REPLACE INTO member" DB_VALUES(MEMBER),
    [DROP_MEMBER] = "DELETE FROM member WHERE channel = ?1 AND verified = ?2 AND name = ?3",
    [SAVE_OCCUPIED] = "INSERT OR IGNORE INTO occupied(channel) VALUES(?1)",
    [DROP_OCCUPIED] = "DELETE FROM occupied WHERE channel = ?1",
    [SAVE_MARK] = "INSERT INTO mark" DB_VALUES(
        MARK) " ON CONFLICT DO UPDATE SET read = max(read, excluded.read)",
    [DROP_MARKS] = "DELETE FROM mark WHERE channel = ?1",
    [SAVE_OWED] = "INSERT OR REPLACE INTO owed(channel, owes) VALUES(?1, ?2)",
    [DROP_OWED] = "DELETE FROM owed WHERE channel = ?1",
    [DROP_ALL_MEMBERS] = "DELETE FROM member",
    [DROP_ALL_OCCUPIED] = "DELETE FROM occupied",
    [DROP_ALL_OWED] = "DELETE FROM owed",
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [POSITION] = "INSERT OR REPLACE INTO position(one, id) VALUES(1, ?1)",
};

struct presence_store {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
    bool unsure; /* a write that failed may be in the file after a crash */
};

/* ---- rows ------------------------------------------------------------------------------------ */

static struct str put(char **room, struct str text)
{
    struct str copy = {*room, text.len};
    if (text.len)
        memcpy(*room, text.at, text.len);
    *room += text.len;
    return copy;
}

struct save_row *save_row_new(const struct save_row *facts)
{
    struct save_row *row =
        mem_try_alloc(sizeof(*row) + facts->channel.len + facts->name.len + facts->state.len);
    if (!row)
        return NULL;
    *row = *facts;
    row->next = NULL;
    char *room = row->text;
    row->channel = put(&room, facts->channel);
    row->name = put(&room, facts->name);
    row->state = put(&room, facts->state);
    return row;
}

void save_rows_free(struct save_row *rows)
{
    while (rows) {
        struct save_row *next = rows->next;
        free(rows);
        rows = next;
    }
}

/* ---- opening --------------------------------------------------------------------------------- */

static int open_db(struct presence_store *store, const char *path)
{
    int result = db_create_file(path);
    result = result == -EEXIST ? 0 : result;
    result = result ? result : db_open(path, DB_WRITE, &store->db);
    result = result ? result
                    : db_exec(store->db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    result = result ? result : db_exec(store->db, schema);
    for (int i = 0; !result && i < STATEMENTS; i++)
        result = db_prepare(store->db, statements[i], &store->statements[i]);
    result = result ? result : wal_settle(store->db);
    if (!result)
        sqlite3_wal_autocheckpoint(store->db, CHECKPOINT_PAGES);
    return result;
}

int presence_store_open(const char *dir, struct presence_store **ret_store)
{
    char *path = NULL;
    struct presence_store *store = mem_alloc(sizeof(*store));
    if (asprintf(&path, "%s/presence.db", dir) < 0)
        abort();
    int result = open_db(store, path);
    if (result) {
        say(SAY_ERROR, "presence_not_opened", "path=%s error=%d detail=\"%s\"", path, -result,
            store->db ? sqlite3_errmsg(store->db) : "");
        presence_store_close(store);
    } else {
        *ret_store = store;
    }
    free(path);
    return result;
}

void presence_store_close(struct presence_store *store)
{
    if (!store)
        return;
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(store->statements[i]);
    if (store->db) /* whoever moves the file away leaves no journal for the next one */
        sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    sqlite3_close(store->db);
    free(store);
}

/* ---- loading --------------------------------------------------------------------------------- */

static struct save_row read_mark(sqlite3_stmt *statement)
{
    return (struct save_row){.kind = SAVE_MARK,
                             .channel = db_bytes(statement, MARK_channel),
                             .verified = sqlite3_column_int(statement, MARK_verified),
                             .name = db_bytes(statement, MARK_name),
                             .read = db_id(statement, MARK_read)};
}

static struct save_row read_member(sqlite3_stmt *statement)
{
    return (struct save_row){.kind = SAVE_MEMBER,
                             .channel = db_bytes(statement, MEMBER_channel),
                             .verified = sqlite3_column_int(statement, MEMBER_verified),
                             .name = db_bytes(statement, MEMBER_name),
                             .since_ms = sqlite3_column_int64(statement, MEMBER_since_ms),
                             .state = db_bytes(statement, MEMBER_state)};
}

static struct save_row read_occupied(sqlite3_stmt *statement)
{
    return (struct save_row){.kind = SAVE_OCCUPIED, .channel = db_bytes(statement, 0)};
}

static struct save_row read_owed(sqlite3_stmt *statement)
{
    return (struct save_row){.kind = SAVE_OWED,
                             .channel = db_bytes(statement, 0),
                             .owes = (uint8_t)sqlite3_column_int(statement, 1)};
}

static int load(struct presence_store *store, const char *sql,
                struct save_row (*read)(sqlite3_stmt *statement),
                void (*each)(void *context, const struct save_row *row), void *context)
{
    sqlite3_stmt *statement;
    int result = db_prepare(store->db, sql, &statement);
    if (result)
        return result;
    while ((result = db_row(statement)) == 1) {
        struct save_row row = read(statement);
        each(context, &row);
    }
    sqlite3_finalize(statement);
    return result;
}

int presence_store_load(struct presence_store *store,
                        void (*each)(void *context, const struct save_row *row), void *context,
                        uint64_t *ret_position)
{
    int64_t position = 0;
    int result = load(store, DB_SELECT(MARK) "mark", read_mark, each, context);
    result =
        result ? result : load(store, "SELECT channel FROM occupied", read_occupied, each, context);
    result = result ? result : load(store, DB_SELECT(MEMBER) "member", read_member, each, context);
    result =
        result ? result : load(store, "SELECT channel, owes FROM owed", read_owed, each, context);
    int found = result ? result : db_number(store->db, "SELECT id FROM position", &position);
    *ret_position = (uint64_t)position;
    return found == -ENOENT ? 0 : found;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void bind(sqlite3_stmt *statement, const struct save_row *row)
{
    if (row->kind >= DROP_ALL_MEMBERS)
        return;
    db_bind_text(statement, 1, row->channel);
    if (row->kind == SAVE_OWED)
        sqlite3_bind_int(statement, 2, row->owes);
    if (row->kind >= DROP_MARKS || row->kind == SAVE_OCCUPIED || row->kind == DROP_OCCUPIED)
        return;
    sqlite3_bind_int(statement, 2, row->verified);
    db_bind_text(statement, 3, row->name);
    if (row->kind == SAVE_MARK)
        db_bind_id(statement, 1 + MARK_read, row->read);
    if (row->kind == SAVE_MEMBER) {
        sqlite3_bind_int64(statement, 1 + MEMBER_since_ms, row->since_ms);
        db_bind_text(statement, 1 + MEMBER_state, row->state);
    }
}

static int write_row(struct presence_store *store, const struct save_row *row)
{
    bind(store->statements[row->kind], row);
    return db_run(store->statements[row->kind]);
}

/* Removes a failed transaction from the file, see log/store/sqlite/wal.c. */
static int mend(struct presence_store *store)
{
    if (!store->unsure)
        return 0;
    int result = db_roll_back(store->db, store->statements[ROLLBACK]);
    result = result ? result : wal_cut(store->db);
    /* Without memory the cut cannot end its own transaction, which would lock others out. */
    (void)db_roll_back(store->db, store->statements[ROLLBACK]);
    store->unsure = result != 0;
    return result ? PRESENCE_STORE_E_FATE_UNKNOWN : 0;
}

int presence_store_write(struct presence_store *store, const struct save_row *rows,
                         uint64_t position)
{
    int result = mend(store);
    result = result ? result : db_run(store->statements[BEGIN]);
    if (result)
        return result;
    for (const struct save_row *row = rows; !result && row; row = row->next)
        result = write_row(store, row);
    db_bind_id(store->statements[POSITION], 1, position);
    result = result ? result : db_run(store->statements[POSITION]);
    result = result ? result : db_run(store->statements[COMMIT]);
    if (!result)
        return 0;
    (void)db_roll_back(store->db, store->statements[ROLLBACK]);
    store->unsure = true;
    int mended = mend(store);
    return mended ? mended : result;
}
