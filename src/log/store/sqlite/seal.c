#include "log/store/sqlite/seal.h"

#include "base/mem.h"
#include "base/say.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* SQLite appends the rowid, which is the event's id, to an index on (channel): it is sorted by
 * (channel, id). */
#define CREATE_INDEX "CREATE INDEX event_by_channel ON event(channel)"

/* ---- the table of channels ------------------------------------------------------------------ */

#define TALLY(COLUMN, AND)                                                                         \
    COLUMN(first) AND COLUMN(last)                                                                 \
    AND COLUMN(count)                                                                              \
    AND COLUMN(bytes)
#define TALLY_PLACE(name) TALLY_##name
enum tally_column { TALLY(TALLY_PLACE, DB_COMMA), TALLY_COLUMNS };

static int write_tally(sqlite3_stmt *statement, uint32_t number, const struct index_tally *tally)
{
    db_bind_id(statement, 1 + TALLY_first, tally->first);
    db_bind_id(statement, 1 + TALLY_last, tally->last);
    db_bind_id(statement, 1 + TALLY_count, tally->count);
    db_bind_id(statement, 1 + TALLY_bytes, tally->bytes);
    sqlite3_bind_int64(statement, 1 + TALLY_COLUMNS, number);
    return db_run(statement);
}

static int write_tallies(sqlite3 *db, struct index *index)
{
    sqlite3_stmt *statement;
    int result =
        db_prepare(db, "UPDATE channel SET " DB_SETS(TALLY) " WHERE number = ?", &statement);
    if (result)
        return result;
    uint32_t highest = index_numbers(index);
    for (uint64_t number = 0; !result && number <= highest; number++) {
        struct index_tally tally = index_tally(index, (uint32_t)number, 0);
        if (tally.count)
            result = write_tally(statement, (uint32_t)number, &tally);
    }
    sqlite3_finalize(statement);
    return result;
}

static int write_stamp(sqlite3 *db, uint32_t stamp)
{
    char sql[64];
    snprintf(sql, sizeof(sql), "PRAGMA user_version = %" PRIu32, stamp);
    return db_exec(db, sql);
}

/* Finishes a file: its index, its table of counts and its stamp. Channels that only have trims in
 * it are left out of the table. */
static int finish(sqlite3 *db, struct index *index, uint32_t stamp)
{
    int result = db_exec(db, CREATE_INDEX);
    result = result ? result : write_tallies(db, index);
    result = result ? result : write_stamp(db, stamp);
    return result ? result
                  : db_exec(db, "DELETE FROM channel WHERE count IS NULL;"
                                "DELETE FROM trim;"
                                "UPDATE meta SET value = 1 WHERE name = 'sealed'");
}

/* A random stamp that tells the file from a copy of the same name, such as one from a backup. Never
 * 0, which stands for files that were sealed before there were stamps. */
static uint32_t make_stamp(const struct chain *chain)
{
    return (uint32_t)(clock_wall_us(chain->config.clock) & 0x3fffffff) | 1U << 30;
}

/* ---- links ---------------------------------------------------------------------------------- */

/* The digest of the file before this one; 0 if that is not sealed yet or has no links. 0 also for
 * an older copy of it, so that the true file may be put back without being taken for a foreign one.
 */
static uint64_t digest_before(struct chain *chain, struct segment *segment)
{
    const struct link *expected = &segment->links.before;
    struct segment *before = chain_before(chain, segment_ref(segment));
    bool is_known = before && before->first == expected->first &&
                    link_fit(expected, &before->links.own) == LINK_FITS;
    uint64_t digest = is_known ? before->links.own.digest : 0;
    segment_unref(before);
    return digest;
}

/* The links are those from the time of appending. A rewrite keeps them, so that the next file still
 * recognises this one. */
static int seal_links(struct chain *chain, struct segment *segment, sqlite3 *db)
{
    struct links links = {
        .log = chain->log,
        .before = {.digest = digest_before(chain, segment)},
        .own = {.last = atomic_load(&segment->newest), .count = index_rows(segment->index)}};
    int result = segment->links.rescued ? 0 : links_digest(db, &links.own.digest);
    return result ? result : links_write(db, &links);
}

static int copy_links(sqlite3 *from, sqlite3 *to)
{
    struct links links;
    int result = links_read(from, &links);
    return result ? result : links_write(to, &links);
}

/* ---- sealing -------------------------------------------------------------------------------- */

static int transact(struct chain *chain, struct segment *segment, sqlite3 *db)
{
    int64_t sealed;
    int result = db_number(db, "SELECT value FROM meta WHERE name = 'sealed'", &sealed);
    if (result || sealed)
        return result;
    result = db_exec(db, "BEGIN IMMEDIATE");
    if (result)
        return result;
    result = finish(db, segment->index, make_stamp(chain));
    result = result ? result : seal_links(chain, segment, db);
    result = result ? result : db_exec(db, "COMMIT");
    if (!sqlite3_get_autocommit(db))
        (void)db_exec(db, "ROLLBACK");
    chain_step(chain, "indexed");
    return result;
}

static int checkpoint(struct chain *chain, sqlite3 *db)
{
    int code = sqlite3_wal_checkpoint_v2(db, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    chain_step(chain, "checkpointed");
    return code == SQLITE_OK || code == SQLITE_BUSY ? 0 : db_error(db);
}

static int load_sealed(struct segment *segment)
{
    sqlite3 *db = NULL;
    /* SQLite does not report a journal that it could not delete. */
    int result = segment_has_journal(segment) ? -EIO : 0;
    result = result ? result : db_open(segment->path, DB_IMMUTABLE, &db);
    if (result)
        return result;
    result = segment_load_sealed(segment, db);
    sqlite3_close(db);
    return result;
}

/* Called while no thread reads the segment. */
static int change_life(struct chain *chain, struct segment *segment, sqlite3 *db)
{
    readers_drop(chain->readers, segment);
    int result = segment_make_single(db);
    if (result)
        return result;
    writer_close(segment->writer);
    segment->writer = NULL;
    chain_step(chain, "single");
    result = load_sealed(segment);
    if (result) {
        segment->sealed =
            false; /* on an error the file is served as before, and sealed again later */
        return result;
    }
    index_free(segment->index);
    segment->index = NULL;
    return 0;
}

int seal_segment(struct chain *chain, struct segment *segment)
{
    int64_t start = clock_now_ns(chain->config.clock);
    int result = segment->writer ? 0 : writer_open(segment, &segment->writer);
    if (result)
        return result;
    sqlite3 *db;
    result = writer_mend(segment->writer, &db);
    result = result ? result : transact(chain, segment, db);
    result = result ? result : checkpoint(chain, db);
    if (result)
        return result;
    pthread_rwlock_wrlock(&segment->gate);
    result = change_life(chain, segment, db);
    pthread_rwlock_unlock(&segment->gate);
    /* Without this sync a power cut could bring the journal back, perhaps beside a rewritten
     * file. */
    result = result ? result : db_sync_folder(chain->folder);
    if (!result)
        say(SAY_INFO, "file_sealed", "path=%s bytes=%llu ms=%lld", segment->path,
            (unsigned long long)atomic_load(&segment->bytes),
            (long long)((clock_now_ns(chain->config.clock) - start) / 1000000));
    return result;
}

/* ---- rewriting ------------------------------------------------------------------------------ */

static int copy_row(sqlite3_stmt *from, sqlite3_stmt *to, struct index *index)
{
    int result = index_add(index, (uint32_t)db_id(from, WRITER_ROW_channel),
                           db_id(from, WRITER_ROW_id), db_bytes(from, WRITER_ROW_data).len);
    if (result)
        return result;
    for (int i = 0; i < WRITER_COLUMNS_COUNT; i++)
        sqlite3_bind_value(to, i + 1, sqlite3_column_value(from, i));
    return db_run(to);
}

static int prepare_rows(sqlite3 *from, sqlite3_stmt **ret_rows)
{
    int result = db_prepare(from, WRITER_SELECT " ORDER BY id", ret_rows);
    if (result != -EIO)
        return result;
    return db_prepare(from, WRITER_SELECT_OLD " ORDER BY id", ret_rows);
}

/* Copies checksums unchanged, so that a damaged row stays recognisable. */
static int copy_rows(struct chain *chain, sqlite3 *from, sqlite3 *to, struct index *index)
{
    sqlite3_stmt *rows = NULL, *insert = NULL;
    int result = prepare_rows(from, &rows);
    result = result ? result : db_prepare(to, WRITER_INSERT, &insert);
    while (!result && (result = db_row(rows)) == 1) {
        uint32_t number = (uint32_t)db_id(rows, WRITER_ROW_channel);
        bool live = db_id(rows, WRITER_ROW_id) > trimmed_ids_get(&chain->trimmed_ids, number);
        result = live ? copy_row(rows, insert, index) : 0;
    }
    sqlite3_finalize(rows);
    sqlite3_finalize(insert);
    index_publish(index);
    return result;
}

static int copy_names(sqlite3 *from, sqlite3 *to, struct index *index)
{
    sqlite3_stmt *rows = NULL, *insert = NULL;
    int result = db_prepare(from, "SELECT number, name FROM channel", &rows);
    result = result ? result
                    : db_prepare(to, "INSERT INTO channel(number, name) VALUES(?1, ?2)", &insert);
    while (!result && (result = db_row(rows)) == 1) {
        result = 0;
        if (!index_tally(index, (uint32_t)db_id(rows, 0), 0).count)
            continue;
        sqlite3_bind_value(insert, 1, sqlite3_column_value(rows, 0));
        sqlite3_bind_value(insert, 2, sqlite3_column_value(rows, 1));
        result = db_run(insert);
    }
    sqlite3_finalize(rows);
    sqlite3_finalize(insert);
    return result;
}

/* Without a journal: an unfinished copy is thrown away. */
static int fill_copy(struct chain *chain, sqlite3 *from, sqlite3 *to, struct index *index)
{
    int64_t stamp = 0;
    int result = db_exec(to, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
                             "PRAGMA temp_store = MEMORY");
    result = result ? result : segment_make_schema(to);
    result = result ? result : db_exec(to, "BEGIN");
    result = result ? result : copy_rows(chain, from, to, index);
    result = result ? result : copy_names(from, to, index);
    result = result ? result : db_number(from, "PRAGMA user_version", &stamp);
    result = result ? result : finish(to, index, (uint32_t)stamp);
    result = result ? result : copy_links(from, to);
    return result ? result : db_exec(to, "COMMIT");
}

static int make_copy(struct chain *chain, struct segment *segment, const char *path,
                     struct index *index)
{
    sqlite3 *from = NULL, *to = NULL;
    unlink(path);
    int result = db_create_file(path);
    result = result ? result : db_open(segment->path, DB_IMMUTABLE, &from);
    result = result ? result : db_open(path, DB_WRITE, &to);
    result = result ? result : fill_copy(chain, from, to, index);
    sqlite3_close(from);
    sqlite3_close(to);
    return result ? result : db_sync_file(path);
}

static int swap(struct chain *chain, struct segment *segment, const char *path)
{
    chain_step(chain, "copied");
    if (rename(path, segment->path))
        return -errno;
    chain_step(chain, "renamed");
    int result = db_sync_folder(chain->folder);
    if (result)
        return result;
    pthread_rwlock_wrlock(&segment->gate);
    readers_drop(chain->readers, segment);
    result = load_sealed(segment);
    pthread_rwlock_unlock(&segment->gate);
    return result;
}

int seal_rewrite(struct chain *chain, struct segment *segment)
{
    char *path;
    if (asprintf(&path, "%s.new", segment->path) < 0)
        abort();
    uint64_t before = atomic_load(&segment->bytes);
    struct index *index = index_new();
    int result = make_copy(chain, segment, path, index);
    if (!result)
        result = index_rows(index) ? swap(chain, segment, path) : 1;
    if (result)
        unlink(path);
    else
        say(SAY_INFO, "file_rewritten", "path=%s bytes=%llu before=%llu", segment->path,
            (unsigned long long)atomic_load(&segment->bytes), (unsigned long long)before);
    index_free(index);
    free(path);
    return result;
}
