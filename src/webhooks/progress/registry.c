#include "webhooks/progress/registry.h"

#include "access/caller_ids.h"
#include "base/mem.h"
#include "base/say.h"
#include "webhooks/progress/delivery_log.h"
#include "log/store/sqlite/db.h"
#include "log/store/sqlite/wal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* A script for each version, which upgrades the one before. */
static const char *const migrations[] = {
    "CREATE TABLE endpoint(id TEXT PRIMARY KEY, url TEXT NOT NULL, channels TEXT NOT NULL,"
    " types TEXT NOT NULL, headers TEXT NOT NULL, description TEXT NOT NULL, key BLOB NOT NULL,"
    " old_key BLOB NOT NULL, old_until INTEGER NOT NULL, created INTEGER NOT NULL,"
    " cursor INTEGER NOT NULL, told INTEGER NOT NULL, next INTEGER NOT NULL,"
    " failures INTEGER NOT NULL, state INTEGER NOT NULL)",
    "ALTER TABLE endpoint ADD COLUMN number INTEGER NOT NULL DEFAULT 0;"
    "UPDATE endpoint SET number = rowid;"
    "CREATE UNIQUE INDEX endpoint_number ON endpoint(number);"
    "ALTER TABLE endpoint ADD COLUMN schedule TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE endpoint ADD COLUMN ordered INTEGER NOT NULL DEFAULT 1;"
    "ALTER TABLE endpoint ADD COLUMN format INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE endpoint ADD COLUMN batch INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE endpoint ADD COLUMN concurrency INTEGER NOT NULL DEFAULT 32;"
    "ALTER TABLE endpoint ADD COLUMN timeout INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE endpoint ADD COLUMN pair BLOB NOT NULL DEFAULT x'';"
    "ALTER TABLE endpoint ADD COLUMN old_pair BLOB NOT NULL DEFAULT x'';"
    "ALTER TABLE endpoint ADD COLUMN since INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE endpoint ADD COLUMN warned INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE lane(endpoint INTEGER NOT NULL, slot INTEGER NOT NULL, channel TEXT NOT NULL,"
    " after INTEGER NOT NULL, upto INTEGER NOT NULL, told INTEGER NOT NULL,"
    " failures INTEGER NOT NULL, since INTEGER NOT NULL, next INTEGER NOT NULL, n INTEGER NOT NULL,"
    " attempts INTEGER NOT NULL,"
    " PRIMARY KEY(endpoint, slot)) WITHOUT ROWID;" DELIVERY_LOG_TABLES,
    "ALTER TABLE endpoint ADD COLUMN topic TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE endpoint ADD COLUMN hub_secret TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE endpoint ADD COLUMN lease_until INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE endpoint ADD COLUMN olds BLOB NOT NULL DEFAULT x''",
    "ALTER TABLE endpoint ADD COLUMN creation BLOB NOT NULL DEFAULT x''",
    "ALTER TABLE endpoint ADD COLUMN maker TEXT NOT NULL DEFAULT ''",
};
_Static_assert(sizeof(migrations) / sizeof(migrations[0]) == REGISTRY_VERSION,
               "a script a version");

enum statement {
    BEGIN,
    COMMIT,
    ROLLBACK,
    PUT,
    PUT_PROGRESS,
    PUT_PROGRESS_BUT_STATE,
    DELETE,
    PUT_LANE,
    DROP_LANE,
    DROP_LANES,
    STATEMENTS,
};

/* clang-format off */
#define ENDPOINT(COLUMN, AND)                                                                      \
    COLUMN(id) AND COLUMN(url) AND COLUMN(channels) AND COLUMN(types) AND COLUMN(headers)          \
    AND COLUMN(description) AND COLUMN(key) AND COLUMN(old_key) AND COLUMN(old_until)              \
    AND COLUMN(created) AND COLUMN(cursor) AND COLUMN(told) AND COLUMN(next) AND COLUMN(failures)  \
    AND COLUMN(state) AND COLUMN(number) AND COLUMN(schedule) AND COLUMN(ordered)                  \
    AND COLUMN(format) AND COLUMN(batch) AND COLUMN(concurrency) AND COLUMN(timeout)               \
    AND COLUMN(pair) AND COLUMN(old_pair) AND COLUMN(since) AND COLUMN(warned) AND COLUMN(topic)   \
    AND COLUMN(hub_secret) AND COLUMN(lease_until) AND COLUMN(olds) AND COLUMN(creation)              \
    AND COLUMN(maker)
#define PROGRESS_BUT_STATE(COLUMN, AND)                                                            \
    COLUMN(cursor) AND COLUMN(told) AND COLUMN(next) AND COLUMN(failures) AND COLUMN(since)        \
    AND COLUMN(warned)
#define PROGRESS(COLUMN, AND)                                                                      \
    COLUMN(cursor) AND COLUMN(told) AND COLUMN(next) AND COLUMN(failures) AND COLUMN(since)        \
    AND COLUMN(warned) AND COLUMN(state)
#define LANE(COLUMN, AND)                                                                          \
    COLUMN(endpoint) AND COLUMN(slot) AND COLUMN(channel) AND COLUMN(after) AND COLUMN(upto)       \
    AND COLUMN(told) AND COLUMN(failures) AND COLUMN(since) AND COLUMN(next) AND COLUMN(n)         \
    AND COLUMN(attempts)
/* clang-format on */

#define ENDPOINT_PLACE(name) ENDPOINT_##name
#define PROGRESS_PLACE(name) PROGRESS_##name
#define LANE_PLACE(name) LANE_##name
enum endpoint_column { ENDPOINT(ENDPOINT_PLACE, DB_COMMA) };
/* The id comes last, in place of the state where that is left as it is. */
enum progress_column {
    PROGRESS(PROGRESS_PLACE, DB_COMMA),
    PROGRESS_id,
    PROGRESS_BUT_STATE_id = PROGRESS_state
};
enum lane_column { LANE(LANE_PLACE, DB_COMMA) };

static const char *const statements[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [PUT] = "INSERT OR REPLACE INTO endpoint" DB_VALUES(ENDPOINT),
    [PUT_PROGRESS] = "UPDATE endpoint SET " DB_SETS(PROGRESS) " WHERE id = ?",
    [PUT_PROGRESS_BUT_STATE] = "UPDATE endpoint SET " DB_SETS(PROGRESS_BUT_STATE) " WHERE id = ?",
    [DELETE] = "DELETE FROM endpoint WHERE id = ?1",
    [PUT_LANE] = "INSERT OR REPLACE INTO lane" DB_VALUES(LANE),
    [DROP_LANE] = "DELETE FROM lane WHERE endpoint = ?1 AND slot = ?2",
    [DROP_LANES] = "DELETE FROM lane WHERE endpoint = ?1",
};

struct registry {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
    struct delivery_log *log;
    uint64_t number; /* the highest number given to an endpoint */
    bool in_memory;
    bool unsure; /* a failed change may be in the file after a crash */
    int lanes_result;
};

/* ---- opening -------------------------------------------------------------------------------- */

static int migrate_from(struct registry *registry, int64_t version)
{
    char sql[128];
    int result = 0;
    for (; !result && version < REGISTRY_VERSION; version++)
        result = db_exec(registry->db, migrations[version]);
    snprintf(sql, sizeof(sql),
             "INSERT OR REPLACE INTO setting(name, value) VALUES('courier_version', %d)",
             REGISTRY_VERSION);
    return result ? result : db_exec(registry->db, sql);
}

static int migrate(struct registry *registry)
{
    int64_t version = 0;
    int result = db_number(registry->db, "SELECT value FROM setting WHERE name = 'courier_version'",
                           &version);
    if (result && result != -ENOENT)
        return result;
    if (version == REGISTRY_VERSION)
        return 0;
    if (version > REGISTRY_VERSION) {
        say(SAY_ERROR, "webhooks_too_new", "version=%lld known=%d", (long long)version,
            REGISTRY_VERSION);
        return -ENOTSUP;
    }
    result = db_exec(registry->db, "BEGIN IMMEDIATE");
    result = result ? result : migrate_from(registry, version);
    return registry_commit(registry, result);
}

/* Never reuse numbers: deliveries of a deleted endpoint may still exist. */
static int find_number(struct registry *registry)
{
    int64_t number = 0;
    int result = db_number(registry->db,
                           "SELECT max((SELECT coalesce(max(number), 0) FROM endpoint),"
                           " (SELECT coalesce(max(endpoint), 0) FROM lane),"
                           " (SELECT coalesce(max(endpoint), 0) FROM delivery))",
                           &number);
    registry->number = (uint64_t)number;
    return result;
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
    result = result ? result : find_number(registry);
    return result ? result : delivery_log_prepare(registry->db, &registry->log);
}

int registry_open(const char *dir, struct registry **ret_registry)
{
    char *path = NULL;
    struct registry *registry = mem_alloc(sizeof(*registry));
    registry->in_memory = !dir;
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
    delivery_log_finalize(registry->log);
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

static void read_pair(sqlite3_stmt *statement, int column, struct sign_pair *pair)
{
    struct str bytes = db_bytes(statement, column);
    pair->set = bytes.len == sizeof(pair->seed) + sizeof(pair->open);
    if (!pair->set)
        return;
    memcpy(pair->seed, bytes.at, sizeof(pair->seed));
    memcpy(pair->open, bytes.at + sizeof(pair->seed), sizeof(pair->open));
}

/* Earlier versions kept a single old key, in columns of its own. */
static void read_olds(sqlite3_stmt *statement, struct olds *olds)
{
    struct old_key one = {.until_us = sqlite3_column_int64(statement, ENDPOINT_old_until)};
    read_key(statement, ENDPOINT_old_key, &one.key);
    read_pair(statement, ENDPOINT_old_pair, &one.pair);
    bool good = one.key.len ? olds_with(&(struct olds){0}, &one, 0, olds)
                            : olds_unpack(db_bytes(statement, ENDPOINT_olds), olds);
    if (!good)
        abort();
}

static void read_creation(sqlite3_stmt *statement, struct creation *creation)
{
    struct str bytes = db_bytes(statement, ENDPOINT_creation);
    creation->keyed = bytes.len == sizeof(creation->key) + sizeof(creation->body);
    if (!creation->keyed)
        return;
    memcpy(creation->key, bytes.at, sizeof(creation->key));
    memcpy(creation->body, bytes.at + sizeof(creation->key), sizeof(creation->body));
}

static struct endpoint_options read_options(sqlite3_stmt *statement)
{
    int number = sqlite3_column_int(statement, ENDPOINT_format);
    enum body_format_id format =
        number < 0 || number >= BODY_FORMATS ? BODY_EVENT : (enum body_format_id)number;
    uint32_t batch = (uint32_t)sqlite3_column_int(statement, ENDPOINT_batch);
    return (struct endpoint_options){
        .ordered = sqlite3_column_int(statement, ENDPOINT_ordered) != 0,
        .format = (uint8_t)format,
        .batch = body_format_of(format)->is_for_one ? 0 : batch,
        .concurrency = (uint32_t)sqlite3_column_int(statement, ENDPOINT_concurrency),
        .timeout_ms = sqlite3_column_int64(statement, ENDPOINT_timeout),
    };
}

static void read_row(sqlite3_stmt *statement, struct endpoint_row *row)
{
    struct str id = db_bytes(statement, ENDPOINT_id);
    int64_t state = sqlite3_column_int64(statement, ENDPOINT_state);
    *row = (struct endpoint_row){
        .created_us = sqlite3_column_int64(statement, ENDPOINT_created),
        .cursor = db_id(statement, ENDPOINT_cursor),
        .told = db_id(statement, ENDPOINT_told),
        .next_us = sqlite3_column_int64(statement, ENDPOINT_next),
        .failures = db_id(statement, ENDPOINT_failures),
        .number = db_id(statement, ENDPOINT_number),
        .options = read_options(statement),
        .since_us = sqlite3_column_int64(statement, ENDPOINT_since),
        .warned = (uint32_t)sqlite3_column_int(statement, ENDPOINT_warned),
        .lease_until_us = sqlite3_column_int64(statement, ENDPOINT_lease_until),
        .state =
            state < 0 || state > ENDPOINT_DISABLED ? ENDPOINT_PAUSED : (enum endpoint_state)state,
    };
    if (id.len)
        memcpy(row->id, id.at, id.len < ENDPOINT_ID_LEN ? id.len : ENDPOINT_ID_LEN);
    read_key(statement, ENDPOINT_key, &row->key);
    read_pair(statement, ENDPOINT_pair, &row->pair);
    read_olds(statement, &row->olds);
    row->maker = caller_ids_read(db_bytes(statement, ENDPOINT_maker));
    read_creation(statement, &row->creation);
    row->options.wants_pair = row->pair.set;
    row->schedule = read_text(statement, ENDPOINT_schedule);
    row->topic = read_text(statement, ENDPOINT_topic);
    row->hub_secret = read_text(statement, ENDPOINT_hub_secret);
    row->url = read_text(statement, ENDPOINT_url);
    row->channels = read_text(statement, ENDPOINT_channels);
    row->types = read_text(statement, ENDPOINT_types);
    row->headers = read_text(statement, ENDPOINT_headers);
    row->description = read_text(statement, ENDPOINT_description);
}

int registry_load(struct registry *registry, void (*each)(void *context, struct endpoint_row *row),
                  void *context)
{
    sqlite3_stmt *statement;
    int result =
        db_prepare(registry->db, DB_SELECT(ENDPOINT) "endpoint ORDER BY created, id", &statement);
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

static void read_lane(sqlite3_stmt *statement, struct lane_row *row)
{
    *row = (struct lane_row){
        .endpoint = db_id(statement, LANE_endpoint),
        .slot = db_id(statement, LANE_slot),
        .channel = read_text(statement, LANE_channel),
        .after = db_id(statement, LANE_after),
        .upto = db_id(statement, LANE_upto),
        .told = db_id(statement, LANE_told),
        .failures = db_id(statement, LANE_failures),
        .since_us = sqlite3_column_int64(statement, LANE_since),
        .next_us = sqlite3_column_int64(statement, LANE_next),
        .n = db_id(statement, LANE_n),
        .attempts = db_id(statement, LANE_attempts),
    };
}

int registry_load_lanes(struct registry *registry,
                        void (*each)(void *context, struct lane_row *row), void *context)
{
    sqlite3_stmt *statement;
    int result =
        db_prepare(registry->db, DB_SELECT(LANE) "lane ORDER BY endpoint, after, slot", &statement);
    if (result)
        return result;
    while ((result = db_row(statement)) == 1) {
        struct lane_row row;
        read_lane(statement, &row);
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

static void bind_pair(sqlite3_stmt *statement, int at, const struct sign_pair *pair)
{
    char bytes[sizeof(pair->seed) + sizeof(pair->open)];
    memcpy(bytes, pair->seed, sizeof(pair->seed));
    memcpy(bytes + sizeof(pair->seed), pair->open, sizeof(pair->open));
    sqlite3_bind_blob(statement, at, bytes, pair->set ? (int)sizeof(bytes) : 0, SQLITE_TRANSIENT);
}

static void bind_texts(sqlite3_stmt *statement, const struct endpoint_row *row)
{
    db_bind_text(statement, 1 + ENDPOINT_id, str_from(row->id));
    db_bind_text(statement, 1 + ENDPOINT_url, str_from(row->url));
    db_bind_text(statement, 1 + ENDPOINT_channels, str_from(row->channels));
    db_bind_text(statement, 1 + ENDPOINT_types, str_from(row->types));
    db_bind_text(statement, 1 + ENDPOINT_headers, str_from(row->headers));
    db_bind_text(statement, 1 + ENDPOINT_description, str_from(row->description));
    db_bind_text(statement, 1 + ENDPOINT_schedule, str_from(row->schedule));
    db_bind_text(statement, 1 + ENDPOINT_topic, str_from(row->topic ? row->topic : ""));
    db_bind_text(statement, 1 + ENDPOINT_hub_secret,
                 str_from(row->hub_secret ? row->hub_secret : ""));
}

static void bind_keys(sqlite3_stmt *statement, const struct endpoint_row *row)
{
    bind_key(statement, 1 + ENDPOINT_key, &row->key);
    bind_pair(statement, 1 + ENDPOINT_pair, &row->pair);
    sqlite3_bind_zeroblob(statement, 1 + ENDPOINT_old_key, 0); /* the columns of a single old key */
    sqlite3_bind_int64(statement, 1 + ENDPOINT_old_until, 0);
    sqlite3_bind_zeroblob(statement, 1 + ENDPOINT_old_pair, 0);
}

static int bind_olds(sqlite3_stmt *statement, const struct olds *olds)
{
    struct buf bytes = {0};
    olds_pack(&bytes, olds);
    int result = buf_failed(&bytes) ? -ENOMEM : 0;
    sqlite3_bind_blob(statement, 1 + ENDPOINT_olds, bytes.len ? bytes.at : "", (int)bytes.len,
                      SQLITE_TRANSIENT);
    buf_free(&bytes);
    return result;
}

static int bind_maker(sqlite3_stmt *statement, const struct caller *maker)
{
    struct buf text = {0};
    caller_ids_write(&text, maker);
    int result = buf_failed(&text) ? -ENOMEM : 0;
    sqlite3_bind_text(statement, 1 + ENDPOINT_maker, text.len ? text.at : "", (int)text.len,
                      SQLITE_TRANSIENT);
    buf_free(&text);
    return result;
}

static void bind_creation(sqlite3_stmt *statement, const struct creation *creation)
{
    char bytes[sizeof(creation->key) + sizeof(creation->body)];
    memcpy(bytes, creation->key, sizeof(creation->key));
    memcpy(bytes + sizeof(creation->key), creation->body, sizeof(creation->body));
    sqlite3_bind_blob(statement, 1 + ENDPOINT_creation, bytes,
                      creation->keyed ? (int)sizeof(bytes) : 0, SQLITE_TRANSIENT);
}

static void bind_options(sqlite3_stmt *statement, const struct endpoint_options *options)
{
    sqlite3_bind_int(statement, 1 + ENDPOINT_ordered, options->ordered);
    sqlite3_bind_int(statement, 1 + ENDPOINT_format, options->format);
    sqlite3_bind_int(statement, 1 + ENDPOINT_batch, (int)options->batch);
    sqlite3_bind_int(statement, 1 + ENDPOINT_concurrency, (int)options->concurrency);
    sqlite3_bind_int64(statement, 1 + ENDPOINT_timeout, options->timeout_ms);
}

static int put(struct registry *registry, const struct endpoint_row *row)
{
    sqlite3_stmt *statement = registry->statements[PUT];
    bind_texts(statement, row);
    bind_keys(statement, row);
    bind_options(statement, &row->options);
    bind_creation(statement, &row->creation);
    sqlite3_bind_int64(statement, 1 + ENDPOINT_created, row->created_us);
    db_bind_id(statement, 1 + ENDPOINT_cursor, row->cursor);
    db_bind_id(statement, 1 + ENDPOINT_told, row->told);
    sqlite3_bind_int64(statement, 1 + ENDPOINT_next, row->next_us);
    db_bind_id(statement, 1 + ENDPOINT_failures, row->failures);
    sqlite3_bind_int(statement, 1 + ENDPOINT_state, (int)row->state);
    db_bind_id(statement, 1 + ENDPOINT_number, row->number);
    sqlite3_bind_int64(statement, 1 + ENDPOINT_since, row->since_us);
    sqlite3_bind_int64(statement, 1 + ENDPOINT_warned, row->warned);
    sqlite3_bind_int64(statement, 1 + ENDPOINT_lease_until, row->lease_until_us);
    int result = bind_olds(statement, &row->olds);
    result = result ? result : bind_maker(statement, row->maker);
    return result ? result : db_run(statement);
}

static int drop_lanes(struct registry *registry, uint64_t endpoint)
{
    db_bind_id(registry->statements[DROP_LANES], 1, endpoint);
    return db_run(registry->statements[DROP_LANES]);
}

void registry_note_lanes(struct registry *registry, int result)
{
    registry->lanes_result = result;
}

int registry_lanes_result(const struct registry *registry)
{
    return registry->lanes_result;
}

int registry_put(struct registry *registry, struct endpoint_row *row, bool forget)
{
    int result = registry_begin(registry);
    if (result)
        return result;
    if (!row->number)
        row->number = ++registry->number;
    result = put(registry, row);
    if (!result && forget)
        result = drop_lanes(registry, row->number);
    return registry_commit(registry, result);
}

static int drop(struct registry *registry, const char *id)
{
    sqlite3_stmt *statement;
    uint64_t number = 0;
    int result = db_prepare(registry->db, "SELECT number FROM endpoint WHERE id = ?1", &statement);
    if (result)
        return result;
    db_bind_text(statement, 1, str_from(id));
    if ((result = db_row(statement)) == 1)
        number = db_id(statement, 0);
    sqlite3_finalize(statement);
    if (result < 0)
        return result;
    db_bind_text(registry->statements[DELETE], 1, str_from(id));
    result = db_run(registry->statements[DELETE]);
    /* Leave its deliveries to pruning: there may be many. */
    return result ? result : drop_lanes(registry, number);
}

int registry_delete(struct registry *registry, const char *id)
{
    int result = registry_begin(registry);
    return result ? result : registry_commit(registry, drop(registry, id));
}

/* Removes a failed transaction from the file, see log/store/sqlite/wal.c. */
static int mend(struct registry *registry)
{
    if (!registry->unsure)
        return 0;
    int result = db_roll_back(registry->db, registry->statements[ROLLBACK]);
    if (!result && !registry->in_memory)
        result = wal_cut(registry->db);
    /* Without memory the cut could not end its own transaction, which would lock others out. */
    (void)db_roll_back(registry->db, registry->statements[ROLLBACK]);
    registry->unsure = result != 0;
    return result ? REGISTRY_E_FATE_UNKNOWN : 0;
}

int registry_begin(struct registry *registry)
{
    int result = mend(registry);
    return result ? result : db_run(registry->statements[BEGIN]);
}

int registry_progress(struct registry *registry, const struct endpoint_row *row, bool with_state)
{
    sqlite3_stmt *statement =
        registry->statements[with_state ? PUT_PROGRESS : PUT_PROGRESS_BUT_STATE];
    int id = with_state ? PROGRESS_id : PROGRESS_BUT_STATE_id;
    db_bind_text(statement, 1 + id, str_from(row->id));
    if (with_state)
        sqlite3_bind_int(statement, 1 + PROGRESS_state, (int)row->state);
    db_bind_id(statement, 1 + PROGRESS_cursor, row->cursor);
    db_bind_id(statement, 1 + PROGRESS_told, row->told);
    sqlite3_bind_int64(statement, 1 + PROGRESS_next, row->next_us);
    db_bind_id(statement, 1 + PROGRESS_failures, row->failures);
    sqlite3_bind_int64(statement, 1 + PROGRESS_since, row->since_us);
    sqlite3_bind_int64(statement, 1 + PROGRESS_warned, row->warned);
    return db_run(statement);
}

int registry_put_lane(struct registry *registry, const struct lane_row *row)
{
    sqlite3_stmt *statement = registry->statements[PUT_LANE];
    db_bind_id(statement, 1 + LANE_endpoint, row->endpoint);
    db_bind_id(statement, 1 + LANE_slot, row->slot);
    db_bind_text(statement, 1 + LANE_channel, str_from(row->channel));
    db_bind_id(statement, 1 + LANE_after, row->after);
    db_bind_id(statement, 1 + LANE_upto, row->upto);
    db_bind_id(statement, 1 + LANE_told, row->told);
    db_bind_id(statement, 1 + LANE_failures, row->failures);
    sqlite3_bind_int64(statement, 1 + LANE_since, row->since_us);
    sqlite3_bind_int64(statement, 1 + LANE_next, row->next_us);
    db_bind_id(statement, 1 + LANE_n, row->n);
    db_bind_id(statement, 1 + LANE_attempts, row->attempts);
    return db_run(statement);
}

int registry_drop_lane(struct registry *registry, uint64_t endpoint, uint64_t slot)
{
    sqlite3_stmt *statement = registry->statements[DROP_LANE];
    db_bind_id(statement, 1, endpoint);
    db_bind_id(statement, 2, slot);
    return db_run(statement);
}

int registry_commit(struct registry *registry, int result)
{
    if (!result)
        result = db_run(registry->statements[COMMIT]);
    if (!result)
        return 0;
    (void)db_roll_back(registry->db, registry->statements[ROLLBACK]);
    registry->unsure = true;
    int mended = mend(registry);
    return mended ? mended : result;
}

struct delivery_log *registry_delivery_log(struct registry *registry)
{
    return registry->log;
}
