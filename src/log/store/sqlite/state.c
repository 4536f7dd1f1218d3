#include "log/store/sqlite/state.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/say.h"
#include "log/store/sqlite/db.h"
#include "log/store/sqlite/wal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROOM = 1 << 20, TIDY_BYTES = 256 << 10, GROW_BYTES = 64 << 10 };

/* A script for each version, run on the tables of the version before. The version is a row of the
 * settings, since all modules that use the file share PRAGMA user_version. */
static const char *const migrations[] = {
    "CREATE TABLE trim(name TEXT PRIMARY KEY, number INTEGER NOT NULL, last INTEGER NOT NULL,"
    " trimmed INTEGER NOT NULL);"
    "CREATE INDEX trim_number ON trim(number);"
    "CREATE TABLE forgotten(number INTEGER PRIMARY KEY, upto INTEGER NOT NULL);"
    "CREATE TABLE erase(number INTEGER PRIMARY KEY, upto INTEGER NOT NULL);",
};

_Static_assert(sizeof(migrations) / sizeof(*migrations) == STATE_VERSION, "a script a version");

/* Tables that versions without links ignore: they need no new version. */
#define CHAIN_TABLES                                                                               \
    "CREATE TABLE IF NOT EXISTS removal(first INTEGER PRIMARY KEY, before INTEGER NOT NULL,"       \
    " before_last INTEGER NOT NULL, before_count INTEGER NOT NULL,"                                \
    " before_digest INTEGER NOT NULL);"                                                            \
    "CREATE TABLE IF NOT EXISTS hole(upto INTEGER PRIMARY KEY, after INTEGER NOT NULL);"           \
    "CREATE TABLE IF NOT EXISTS pause(upto INTEGER PRIMARY KEY, after INTEGER NOT NULL)"

enum statement {
    BEGIN,
    COMMIT,
    ROLLBACK,
    TRIM,
    ERASE,
    UNTRIM,
    FORGET,
    UNFORGET,
    PUT_REMOVAL,
    DROP_REMOVALS,
    CUT_REMOVAL,
    DROP_REMOVAL,
    PUT_HOLE,
    DROP_HOLE,
    PUT_PAUSE,
    DROP_PAUSES,
    SET,
    STATEMENTS,
};

/* clang-format off */
#define TRIM_OF(COLUMN, AND)                                                                       \
    COLUMN(name) AND COLUMN(number) AND COLUMN(last) AND COLUMN(trimmed)
#define REMOVAL(COLUMN, AND)                                                                       \
    COLUMN(first) AND COLUMN(before) AND COLUMN(before_last) AND COLUMN(before_count)              \
    AND COLUMN(before_digest)
/* clang-format on */

#define TRIM_PLACE(name) TRIM_##name
#define REMOVAL_PLACE(name) REMOVAL_##name
enum trim_column { TRIM_OF(TRIM_PLACE, DB_COMMA) };
enum removal_column { REMOVAL(REMOVAL_PLACE, DB_COMMA) };

#define OR_RAISE                                                                                   \
    " ON CONFLICT(name) DO UPDATE SET number = excluded.number,"                                   \
    " last = max(last, excluded.last), trimmed = max(trimmed, excluded.trimmed)"

static const char *const statements[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [TRIM] = "INSERT INTO trim" DB_VALUES(TRIM_OF) OR_RAISE,
    [ERASE] = ("INSERT INTO erase(number, upto) VALUES(?1, ?2) "
               "ON CONFLICT(number) DO UPDATE SET upto = max(upto, excluded.upto)"),
    [UNTRIM] = "DELETE FROM trim WHERE number = ?1",
    [FORGET] = "INSERT OR REPLACE INTO forgotten(number, upto) VALUES(?1, ?2)",
    [UNFORGET] = "DELETE FROM forgotten WHERE number = ?1",
    [PUT_REMOVAL] = "INSERT OR REPLACE INTO removal" DB_VALUES(REMOVAL),
    [DROP_REMOVALS] = "DELETE FROM removal WHERE first < ?1",
    [CUT_REMOVAL] = "UPDATE removal SET before = 0 WHERE first = ?1 AND before <> 0",
    [DROP_REMOVAL] = "DELETE FROM removal WHERE first = ?1",
    [PUT_HOLE] = "INSERT OR REPLACE INTO hole(upto, after) VALUES(?1, ?2)",
    [DROP_HOLE] = "DELETE FROM hole WHERE upto = ?1",
    [PUT_PAUSE] = "INSERT OR REPLACE INTO pause(upto, after) VALUES(?1, ?2)",
    [DROP_PAUSES] = ("DELETE FROM pause WHERE upto NOT IN "
                     "(SELECT upto FROM pause ORDER BY upto DESC LIMIT ?1)"),
    [SET] = ("INSERT INTO setting(name, value) VALUES(?1, ?2) "
             "ON CONFLICT(name) DO UPDATE SET value = max(value, excluded.value)"),
};

struct state {
    sqlite3 *db;
    char *wal_path;
    bool unsure; /* a failed commit may still be in the file after a crash */
    sqlite3_stmt *statements[STATEMENTS];
};

/* ---- opening -------------------------------------------------------------------------------- */

static int set(struct state *state, const char *name, int64_t value)
{
    sqlite3_stmt *statement = state->statements[SET];
    db_bind_text(statement, 1, str_from(name));
    sqlite3_bind_int64(statement, 2, value);
    return db_run(statement);
}

static int get(struct state *state, const char *name, int64_t *ret_value)
{
    sqlite3_stmt *statement;
    *ret_value = 0;
    int result = db_prepare(state->db, "SELECT value FROM setting WHERE name = ?1", &statement);
    if (result)
        return result;
    db_bind_text(statement, 1, str_from(name));
    result = db_row(statement);
    if (result == 1)
        *ret_value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return result < 0 ? result : 0;
}

static int migrate_from(struct state *state, int64_t version)
{
    int result = 0;
    for (; !result && version < STATE_VERSION; version++)
        result = db_exec(state->db, migrations[version]);
    return result ? result : set(state, "version", STATE_VERSION);
}

static int migrate(struct state *state)
{
    int64_t version;
    int result = get(state, "version", &version);
    if (result || version == STATE_VERSION)
        return result;
    if (version > STATE_VERSION) {
        say(SAY_ERROR, "state_too_new", "version=%lld known=%d", (long long)version, STATE_VERSION);
        return -ENOTSUP;
    }
    result = db_exec(state->db, "BEGIN IMMEDIATE");
    if (result)
        return result;
    result = migrate_from(state, version);
    return result ? result : db_exec(state->db, "COMMIT");
}

static int prepare(struct state *state, enum statement first, enum statement end)
{
    int result = 0;
    for (int i = (int)first; !result && i < (int)end; i++)
        result = db_prepare(state->db, statements[i], &state->statements[i]);
    return result;
}

static int set_up(struct state *state)
{
    int chunk = GROW_BYTES;
    int result = db_exec(state->db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                                    "CREATE TABLE IF NOT EXISTS setting(name TEXT PRIMARY KEY,"
                                    " value INTEGER NOT NULL);" CHAIN_TABLES);
    if (result)
        return result;
    sqlite3_file_control(state->db, "main", SQLITE_FCNTL_CHUNK_SIZE, &chunk);
    result = prepare(state, SET, STATEMENTS);
    result = result ? result : migrate(state);
    result = result ? result : prepare(state, BEGIN, SET);
    result = result ? result : wal_settle(state->db);
    return result ? result : state_checkpoint(state);
}

int state_open(const char *path, struct state **ret_state)
{
    struct state *state = mem_alloc(sizeof(*state));
    if (asprintf(&state->wal_path, "%s-wal", path) < 0)
        abort();
    int result = db_create_file(path);
    result = result == -EEXIST ? 0 : result;
    result = result ? result : db_open(path, DB_WRITE, &state->db);
    result = result ? result : set_up(state);
    if (result) {
        say(SAY_ERROR, "state_not_opened", "path=%s error=%d detail=\"%s\"", path, -result,
            state->db ? sqlite3_errmsg(state->db) : "");
        state_close(state);
        return result;
    }
    *ret_state = state;
    return 0;
}

void state_close(struct state *state)
{
    if (!state)
        return;
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(state->statements[i]);
    /* The last connection to close leaves a single file. */
    if (state->db)
        sqlite3_db_config(state->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    sqlite3_close(state->db);
    free(state->wal_path);
    free(state);
}

/* ---- reading -------------------------------------------------------------------------------- */

int state_newest(struct state *state, struct state_newest *ret_newest)
{
    int64_t id = 0, number = 0;
    int result = get(state, "newest_id", &id);
    result = result ? result : get(state, "newest_time", &ret_newest->time_us);
    result = result ? result : get(state, "highest_number", &number);
    if (result)
        return result;
    ret_newest->id = (uint64_t)id;
    ret_newest->number = (uint32_t)number;
    return 0;
}

int state_rows(struct state *state, int (*each)(void *context, const struct state_row *row),
               void *context)
{
    sqlite3_stmt *statement;
    /* Reads rows in the order of the file; in the order of names each would be a seek. */
    int result = db_prepare(state->db, DB_SELECT(TRIM_OF) "trim ORDER BY rowid", &statement);
    if (result)
        return result;
    while ((result = db_row(statement)) == 1) {
        struct state_row row = {db_bytes(statement, TRIM_name),
                                (uint32_t)db_id(statement, TRIM_number),
                                db_id(statement, TRIM_last), db_id(statement, TRIM_trimmed)};
        if ((result = each(context, &row)))
            break;
    }
    sqlite3_finalize(statement);
    return result;
}

static int each_pair(sqlite3_stmt *statement,
                     int (*each)(void *context, uint32_t number, uint64_t upto), void *context)
{
    int result;
    while ((result = db_row(statement)) == 1)
        if ((result = each(context, (uint32_t)db_id(statement, 0), db_id(statement, 1))))
            break;
    sqlite3_finalize(statement);
    return result;
}

static int pairs(struct state *state, const char *sql,
                 int (*each)(void *context, uint32_t number, uint64_t upto), void *context)
{
    sqlite3_stmt *statement;
    int result = db_prepare(state->db, sql, &statement);
    return result ? result : each_pair(statement, each, context);
}

int state_forgotten(struct state *state, int (*each)(void *context, uint32_t number, uint64_t upto),
                    void *context)
{
    return pairs(state, "SELECT number, upto FROM forgotten", each, context);
}

int state_forgotten_after(struct state *state, uint32_t after, int limit,
                          int (*each)(void *context, uint32_t number, uint64_t upto), void *context)
{
    sqlite3_stmt *statement;
    int result = db_prepare(state->db,
                            "SELECT number, upto FROM forgotten WHERE number > ?1"
                            " ORDER BY number LIMIT ?2",
                            &statement);
    if (result)
        return result;
    sqlite3_bind_int64(statement, 1, after);
    sqlite3_bind_int64(statement, 2, limit);
    return each_pair(statement, each, context);
}

int state_erasures(struct state *state, int (*each)(void *context, uint32_t number, uint64_t upto),
                   void *context)
{
    return pairs(state, "SELECT number, upto FROM erase", each, context);
}

int state_chain(struct state *state, struct state_chain *ret_chain)
{
    int64_t number = 0, tail = 0, newest = 0;
    int result = get(state, "log", &number);
    result = result ? result : get(state, "tail", &tail);
    result = result ? result : get(state, "tail_newest", &newest);
    *ret_chain = (struct state_chain){(uint64_t)number, (uint64_t)tail, (uint64_t)newest};
    return result;
}

int state_removals(struct state *state,
                   int (*each)(void *context, uint64_t first, const struct link *before),
                   void *context)
{
    sqlite3_stmt *statement;
    int result = db_prepare(state->db, DB_SELECT(REMOVAL) "removal ORDER BY first", &statement);
    if (result)
        return result;
    while ((result = db_row(statement)) == 1) {
        struct link before = {
            db_id(statement, REMOVAL_before), db_id(statement, REMOVAL_before_last),
            db_id(statement, REMOVAL_before_count), db_id(statement, REMOVAL_before_digest)};
        if ((result = each(context, db_id(statement, REMOVAL_first), &before)))
            break;
    }
    sqlite3_finalize(statement);
    return result;
}

int state_holes(struct state *state, int (*each)(void *context, uint64_t after, uint64_t upto),
                void *context)
{
    sqlite3_stmt *statement;
    int result = db_prepare(state->db, "SELECT after, upto FROM hole ORDER BY upto", &statement);
    if (result)
        return result;
    while ((result = db_row(statement)) == 1)
        if ((result = each(context, db_id(statement, 0), db_id(statement, 1))))
            break;
    sqlite3_finalize(statement);
    return result;
}

/* ---- writing -------------------------------------------------------------------------------- */

/* After a failed commit, makes sure that it cannot come back, see wal.c. */
static int mend(struct state *state)
{
    if (!state->unsure)
        return 0;
    int result = db_roll_back(state->db, state->statements[ROLLBACK]);
    result = result ? result : wal_cut(state->db);
    /* Without memory the cut cannot end its own transaction, which would lock others out. */
    (void)db_roll_back(state->db, state->statements[ROLLBACK]);
    state->unsure = result != 0;
    return result;
}

static int begin(struct state *state)
{
    int result = mend(state);
    return result ? result : db_run(state->statements[BEGIN]);
}

static int end(struct state *state, int result)
{
    if (!result)
        result = db_run(state->statements[COMMIT]);
    if (result) {
        (void)db_roll_back(state->db, state->statements[ROLLBACK]);
        state->unsure = true;
        (void)mend(state);
    }
    return result;
}

static int trim(struct state *state, const struct store_trim *trim)
{
    sqlite3_stmt *statement = state->statements[TRIM];
    db_bind_text(statement, 1 + TRIM_name, trim->name);
    db_bind_id(statement, 1 + TRIM_number, trim->number);
    db_bind_id(statement, 1 + TRIM_last, trim->last > trim->trimmed ? trim->last : trim->trimmed);
    db_bind_id(statement, 1 + TRIM_trimmed, trim->trimmed);
    return db_run(statement);
}

static int pair(sqlite3_stmt *statement, uint32_t number, uint64_t upto)
{
    db_bind_id(statement, 1, number);
    db_bind_id(statement, 2, upto);
    return db_run(statement);
}

int state_trim(struct state *state, const struct store_trim *trims, size_t count, bool erase)
{
    int result = count ? begin(state) : 0;
    if (result || !count)
        return result;
    for (size_t i = 0; !result && i < count; i++) {
        result = trim(state, &trims[i]);
        if (!result && erase)
            result = pair(state->statements[ERASE], trims[i].number, trims[i].trimmed);
    }
    return end(state, result);
}

int state_erased(struct state *state)
{
    int result = begin(state);
    return result ? result : end(state, db_exec(state->db, "DELETE FROM erase"));
}

static int forget(struct state *state, uint32_t number, uint64_t upto)
{
    db_bind_id(state->statements[UNTRIM], 1, number);
    int result = db_run(state->statements[UNTRIM]);
    result = result ? result : pair(state->statements[FORGET], number, upto);
    return result ? result : set(state, "highest_number", number);
}

int state_forget(struct state *state, const struct store_trim *namespaces, size_t namespaces_count,
                 const uint32_t *numbers, const uint64_t *upto, size_t count)
{
    int result = begin(state);
    if (result)
        return result;
    for (size_t i = 0; !result && i < namespaces_count; i++)
        result = trim(state, &namespaces[i]);
    for (size_t i = 0; !result && i < count; i++)
        result = forget(state, numbers[i], upto[i]);
    return end(state, result);
}

int state_unforget(struct state *state, const uint32_t *numbers, size_t count)
{
    int result = begin(state);
    for (size_t i = 0; !result && i < count; i++) {
        sqlite3_bind_int64(state->statements[UNFORGET], 1, numbers[i]);
        result = db_run(state->statements[UNFORGET]);
    }
    return end(state, result);
}

int state_set_newest(struct state *state, uint64_t id, int64_t time_us)
{
    int result = begin(state);
    if (result)
        return result;
    result = set(state, "newest_id", (int64_t)id);
    result = result ? result : set(state, "newest_time", time_us);
    return end(state, result);
}

int state_set_lost(struct state *state, uint64_t id, int64_t time_us)
{
    int result = begin(state);
    if (result)
        return result;
    result = set(state, "lost", (int64_t)id);
    result = result ? result : set(state, "newest_id", (int64_t)id);
    result = result ? result : set(state, "newest_time", time_us);
    return end(state, result);
}

int state_lost(struct state *state, uint64_t *ret_id)
{
    int64_t id = 0;
    int result = get(state, "lost", &id);
    *ret_id = (uint64_t)id;
    return result;
}

int state_add_pause(struct state *state, const struct store_pause *pause)
{
    int result = begin(state);
    if (result)
        return result;
    db_bind_id(state->statements[PUT_PAUSE], 1, pause->upto);
    db_bind_id(state->statements[PUT_PAUSE], 2, pause->after);
    result = db_run(state->statements[PUT_PAUSE]);
    sqlite3_bind_int(state->statements[DROP_PAUSES], 1, STORE_PAUSES);
    return end(state, result ? result : db_run(state->statements[DROP_PAUSES]));
}

int state_pauses(struct state *state, struct store_newest *ret_newest)
{
    sqlite3_stmt *statement;
    int result = db_prepare(state->db, "SELECT after, upto FROM pause ORDER BY upto", &statement);
    if (result)
        return result;
    ret_newest->pauses = 0;
    while (ret_newest->pauses < STORE_PAUSES && (result = db_row(statement)) == 1)
        ret_newest->pause[ret_newest->pauses++] =
            (struct store_pause){db_id(statement, 0), db_id(statement, 1)};
    sqlite3_finalize(statement);
    return result < 0 ? result : 0;
}

static int run_with_id(sqlite3_stmt *statement, uint64_t id)
{
    db_bind_id(statement, 1, id);
    return db_run(statement);
}

int state_set_chain(struct state *state, const struct state_chain *chain)
{
    int result = begin(state);
    if (result)
        return result;
    result = set(state, "log", (int64_t)chain->log);
    result = result ? result : set(state, "tail", (int64_t)chain->tail);
    result = result ? result : set(state, "tail_newest", (int64_t)chain->newest);
    result = result ? result : run_with_id(state->statements[DROP_REMOVAL], chain->tail);
    return end(state, result);
}

static int put_removal(struct state *state, uint64_t first, const struct link *before)
{
    sqlite3_stmt *statement = state->statements[PUT_REMOVAL];
    db_bind_id(statement, 1 + REMOVAL_first, first);
    db_bind_id(statement, 1 + REMOVAL_before, before->first);
    db_bind_id(statement, 1 + REMOVAL_before_last, before->last);
    db_bind_id(statement, 1 + REMOVAL_before_count, before->count);
    db_bind_id(statement, 1 + REMOVAL_before_digest, before->digest);
    return db_run(statement);
}

int state_put_removal(struct state *state, uint64_t first, const struct link *before,
                      uint64_t least)
{
    int result = begin(state);
    if (result)
        return result;
    result = run_with_id(state->statements[DROP_REMOVALS], least);
    result = result ? result : run_with_id(state->statements[CUT_REMOVAL], least);
    result = result ? result : put_removal(state, first, before);
    return end(state, result);
}

int state_put_hole(struct state *state, uint64_t after, uint64_t upto)
{
    int result = begin(state);
    if (result)
        return result;
    db_bind_id(state->statements[PUT_HOLE], 1, upto);
    db_bind_id(state->statements[PUT_HOLE], 2, after);
    return end(state, db_run(state->statements[PUT_HOLE]));
}

int state_drop_hole(struct state *state, uint64_t upto)
{
    int result = begin(state);
    return result ? result : end(state, run_with_id(state->statements[DROP_HOLE], upto));
}

static int checkpoint(struct state *state)
{
    int code = sqlite3_wal_checkpoint_v2(state->db, "main", SQLITE_CHECKPOINT_FULL, NULL, NULL);
    return code == SQLITE_OK || code == SQLITE_BUSY ? 0 : db_error(state->db);
}

/* Locks of the process are on other files, so this file may be opened and closed freely. */
static int set_room_aside(struct state *state)
{
    int fd = db_open_file(state->wal_path, O_WRONLY);
    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;
    (void)fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, ROOM);
    close(fd);
    return 0;
}

int state_checkpoint(struct state *state)
{
    struct stat info = {0};
    int result = 0;
    if (stat(state->wal_path, &info) == 0 && info.st_size > TIDY_BYTES)
        result = checkpoint(state);
    if (info.st_blocks * 512 < ROOM && !result)
        result = set_room_aside(state);
    return result;
}
