#include "log/store/sqlite/writer.h"

#include "base/mem.h"
#include "base/say.h"
#include "log/store.h"
#include "log/store/sqlite/event_rows.h"
#include "log/store/sqlite/wal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    PAGE = 4096,
    FRAME = PAGE + 24,
    /* Small commits write the same page repeatedly: a short checkpoint from time to time keeps the
       write-ahead log from growing to many times the file's size. */
    CHECKPOINT_BYTES = 16 << 20,
    CHECKPOINT_RATIO = 4,
    CHECKPOINT_STEP = 1 << 20,
};

enum statement { BEGIN, COMMIT, ROLLBACK, INSERT, INSERT_NEXT, NAME, TRIM, PAGES, STATEMENTS };

/* OR FAIL: a refused row rolls the transaction back, so SQLite need not be able to undo the earlier
 * rows of the statement. */
#define WRITER_INSERT_FROM(LIST)                                                                   \
    "INSERT OR FAIL INTO event(" DB_NAMES(LIST) ") " DB_SELECT(LIST) "appended"

static const char *const statements[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [INSERT] = WRITER_INSERT_FROM(WRITER_ROW),
    [INSERT_NEXT] = WRITER_INSERT_FROM(WRITER_ROW_BUT_ID),
    [NAME] = "INSERT OR REPLACE INTO channel(number, name) VALUES(?1, ?2)",
    [TRIM] = "INSERT INTO trim(channel, upto) VALUES(?1, ?2)",
    [PAGES] = "PRAGMA page_count",
};

struct writer {
    struct segment *segment;
    sqlite3 *db; /* NULL if it must be opened again */
    sqlite3_stmt *statements[STATEMENTS];
    struct event_rows rows;      /* selected by INSERT: those of the current transaction */
    uint64_t pages;              /* pages of the file, in it or still in the log */
    uint64_t checkpointed_pages; /* pages of the file at the last checkpoint */
    uint64_t frames;             /* in the write-ahead log */
    uint64_t frames_most;        /* pages that the log ever had, which is how long its file is */
    uint64_t checkpoint_after;   /* no checkpoint before the log has this many bytes */
    uint64_t moved;              /* see writer_moved() */
    bool unsure;                 /* a failed commit may be in the file after a crash */
    int64_t trims;               /* the rowid of the newest trim that is safe; -1: not known yet */
    /* The rows of the current transaction that are in the index already. */
    uint32_t *added;
    size_t added_count;
    size_t added_cap;
    uint32_t *named;
    size_t named_count;
    size_t named_cap;
    int64_t trims_added;
};

/* ---- opening -------------------------------------------------------------------------------- */

static int on_commit(void *context, sqlite3 *db, const char *name, int frames)
{
    (void)db;
    (void)name;
    struct writer *writer = context;
    if ((uint64_t)frames < writer->frames)
        writer->checkpoint_after = 0; /* begun anew */
    writer->frames = (uint64_t)frames;
    if (writer->frames > writer->frames_most)
        writer->frames_most = writer->frames;
    return SQLITE_OK;
}

static int count_pages(struct writer *writer)
{
    int result = db_row(writer->statements[PAGES]);
    if (result == 1)
        writer->pages = db_id(writer->statements[PAGES], 0);
    sqlite3_reset(writer->statements[PAGES]);
    return result < 0 ? result : 0;
}

static void close_db(struct writer *writer)
{
    for (int i = 0; i < STATEMENTS; i++) {
        sqlite3_finalize(writer->statements[i]);
        writer->statements[i] = NULL;
    }
    sqlite3_close(writer->db);
    writer->db = NULL;
}

/* Undoes a failed commit for good (wal.h): its publishers were told that it failed, and its ids may
 * be given again. */
static int delete_unsafe(struct writer *writer)
{
    char sql[160];
    if (writer->trims < 0)
        return db_number(writer->db, "SELECT ifnull(max(rowid), 0) FROM trim", &writer->trims);
    snprintf(sql, sizeof(sql),
             "DELETE FROM event WHERE id > %lld; DELETE FROM trim WHERE rowid > %lld",
             (long long)atomic_load(&writer->segment->newest), (long long)writer->trims);
    return db_exec(writer->db, sql);
}

/* A file that an older version began has no column for checksums. */
static int add_checksums(sqlite3 *db)
{
    int64_t columns = 0;
    int result = db_number(
        db, "SELECT count(*) FROM pragma_table_info('event') WHERE name = 'checksum'", &columns);
    return result || columns ? result
                             : db_exec(db, "ALTER TABLE event ADD COLUMN checksum INTEGER");
}

static int set_up(struct writer *writer)
{
    int result = db_exec(writer->db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                                     "PRAGMA cache_size = -4096; PRAGMA temp_store = MEMORY");
    result = result ? result : add_checksums(writer->db);
    result = result ? result : event_rows_define(writer->db, &writer->rows);
    for (int i = 0; !result && i < STATEMENTS; i++)
        result = db_prepare(writer->db, statements[i], &writer->statements[i]);
    sqlite3_wal_hook(writer->db, on_commit, writer);
    /* After a failed commit, the last successful one may not be synced. */
    if (!result && writer->unsure)
        result = wal_settle(writer->db);
    result = result ? result : delete_unsafe(writer);
    return result ? result : count_pages(writer);
}

static int open_db(struct writer *writer)
{
    int result = db_open(writer->segment->path, DB_WRITE, &writer->db);
    if (result)
        return result;
    result = set_up(writer);
    if (result)
        close_db(writer);
    return result;
}

int writer_open(struct segment *segment, struct writer **ret_writer)
{
    struct writer *writer = mem_alloc(sizeof(*writer));
    writer->segment = segment;
    writer->trims = -1;
    int result = open_db(writer);
    if (result) {
        writer_close(writer);
        return result;
    }
    writer->checkpointed_pages = writer->pages;
    writer->moved = atomic_load(&segment->newest);
    *ret_writer = writer;
    return 0;
}

void writer_close(struct writer *writer)
{
    if (!writer)
        return;
    close_db(writer);
    free(writer->added);
    free(writer->named);
    free(writer);
}

void writer_close_clean(struct writer *writer)
{
    if (writer && writer->db)
        sqlite3_db_config(writer->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    writer_close(writer);
}

uint64_t writer_file_bytes(const struct writer *writer)
{
    return writer->pages * PAGE;
}

uint64_t writer_wal_bytes(const struct writer *writer)
{
    return writer->frames * FRAME;
}

uint64_t writer_moved(const struct writer *writer)
{
    return writer->moved;
}

bool writer_is_unsure(const struct writer *writer)
{
    return writer->unsure;
}

/* Opens the file again if need be, and ensures that a failed commit cannot come back after a crash.
 */
static int mend(struct writer *writer)
{
    int result = writer->db ? 0 : open_db(writer);
    if (result || !writer->unsure)
        return result;
    result = db_roll_back(writer->db, writer->statements[ROLLBACK]);
    result = result ? result : wal_cut(writer->db);
    /* Without memory the cut could not end its own transaction, which would lock others out. */
    (void)db_roll_back(writer->db, writer->statements[ROLLBACK]);
    writer->unsure = result != 0;
    return result;
}

int writer_mend(struct writer *writer, sqlite3 **ret_db)
{
    int result = mend(writer);
    *ret_db = writer->db;
    return result;
}

/* ---- the index and the trims ----------------------------------------------------------------- */

static int note(uint32_t **numbers, size_t *count, size_t *cap, uint32_t number)
{
    if (*count == *cap) {
        size_t more = *cap ? *cap * 2 : 256;
        uint32_t *room = mem_try_realloc(*numbers, more * sizeof(*room));
        if (!room)
            return -ENOMEM;
        *numbers = room;
        *cap = more;
    }
    (*numbers)[(*count)++] = number;
    return 0;
}

static int name(struct writer *writer, const struct event *event)
{
    struct index *index = writer->segment->index;
    if (index_is_named(index, event->number))
        return 0;
    int result = note(&writer->named, &writer->named_count, &writer->named_cap, event->number);
    if (result)
        return result;
    result = index_name(index, event->number, true);
    if (result) {
        writer->named_count--;
        return result;
    }
    sqlite3_stmt *statement = writer->statements[NAME];
    sqlite3_bind_int64(statement, 1, event->number);
    db_bind_text(statement, 2, event->channel);
    return db_run(statement);
}

static int index_event(struct writer *writer, const struct event *event)
{
    int result = name(writer, event);
    result = result ? result
                    : note(&writer->added, &writer->added_count, &writer->added_cap, event->number);
    if (result)
        return result;
    result = index_add(writer->segment->index, event->number, event->id, event->data.len);
    if (result)
        writer->added_count--;
    return result;
}

static int add_mark(struct writer *writer, const struct event *event)
{
    sqlite3_stmt *statement = writer->statements[TRIM];
    int result = event->id ? name(writer, event) : 0;
    if (result || !event->id)
        return result;
    sqlite3_bind_int64(statement, 1, event->number);
    db_bind_id(statement, 2, event->id);
    result = db_run(statement);
    writer->trims_added += result == 0;
    return result;
}

/* ---- the transaction ------------------------------------------------------------------------ */

/* Adds a batch to the index, with its names and trims. */
static int add_batch(struct writer *writer, const struct batch *batch, const struct event **newest)
{
    int result = 0;
    for (uint32_t i = 0; !result && i < batch->count; i++) {
        const struct event *event = &batch->events[i];
        if (event->state == EVENT_TRIM) {
            result = add_mark(writer, event);
        } else if (event->state == EVENT_APPENDED) {
            result = index_event(writer, event);
            *newest = event;
        }
    }
    return result;
}

static void take_back(struct writer *writer)
{
    struct index *index = writer->segment->index;
    writer->trims_added = 0;
    while (writer->added_count)
        index_take_back(index, writer->added[--writer->added_count]);
    while (writer->named_count)
        (void)index_name(index, writer->named[--writer->named_count], false);
}

static const struct event *first_appended(struct batch *const *batches)
{
    for (;; batches++)
        for (uint32_t i = 0; i < (*batches)->count; i++)
            if ((*batches)->events[i].state == EVENT_APPENDED)
                return &(*batches)->events[i];
}

static void show(struct writer *writer, struct batch *const *batches, const struct event *newest)
{
    struct segment *segment = writer->segment;
    writer->added_count = writer->named_count = 0;
    writer->trims += writer->trims_added;
    writer->trims_added = 0;
    if (!newest)
        return;
    index_publish(segment->index);
    if (!atomic_load(&segment->oldest)) {
        const struct event *first = first_appended(batches);
        atomic_store(&segment->oldest_time_us, first->time_us);
        atomic_store(&segment->oldest, first->id);
    }
    atomic_store(&segment->newest_time_us, newest->time_us);
    atomic_store(&segment->newest, newest->id);
}

/* Runs on the thread that commits, between commits: SQLite before 3.51.3 mishandles a checkpoint
 * that overlaps another connection's commit. */
static void checkpoint_if_worthwhile(struct writer *writer)
{
    uint64_t wal = writer_wal_bytes(writer);
    uint64_t grown = (writer->pages - writer->checkpointed_pages) * PAGE;
    if (wal < CHECKPOINT_BYTES || wal < writer->checkpoint_after || grown * CHECKPOINT_RATIO > wal)
        return;
    (void)sqlite3_wal_checkpoint_v2(writer->db, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    writer->checkpointed_pages = writer->pages;
    writer->moved = atomic_load(&writer->segment->newest);
    /* A reader may keep the log from starting over; then do not try at every commit. */
    writer->checkpoint_after = wal + CHECKPOINT_STEP;
}

/* Writes at most `most` rows from the place on, while their ids follow one another, and moves the
 * place behind them. */
static int insert_some(struct writer *writer, enum statement statement, struct event_place *place,
                       size_t most)
{
    uint64_t last = 0;
    writer->rows = (struct event_rows){*place, most};
    *place = event_rows_end(&writer->rows, &last);
    int result = db_run(writer->statements[statement]);
    if (!result && sqlite3_last_insert_rowid(writer->db) != (sqlite3_int64)last)
        result = -EIO;
    return result;
}

/* Writes the rows of all events. If SQLite is given an id, it searches the table from its root; if
 * it chooses the id itself, which is the last plus 1, it stays at the end. So the first row of a
 * run is written with its id, and the rest of the run without. */
static int insert_all(struct writer *writer, struct batch *const *batches, size_t count)
{
    struct event_place place = event_place_begin(batches, count);
    int result = 0;
    while (!result && event_at(&place)) {
        uint64_t id = event_at(&place)->id;
        result = insert_some(writer, INSERT, &place, 1);
        const struct event *next = event_at(&place);
        if (!result && next && next->id == id + 1)
            result = insert_some(writer, INSERT_NEXT, &place, SIZE_MAX);
    }
    return result;
}

static int transact(struct writer *writer, struct batch *const *batches, size_t count,
                    const struct event **newest)
{
    int result = db_run(writer->statements[BEGIN]);
    for (size_t i = 0; !result && i < count; i++)
        result = add_batch(writer, batches[i], newest);
    if (!result && *newest)
        result = insert_all(writer, batches, count);
    return result ? result : db_run(writer->statements[COMMIT]);
}

/* Translates the error of a failed append. */
static int give_up(struct writer *writer, int error)
{
    take_back(writer);
    if (db_roll_back(writer->db, writer->statements[ROLLBACK]))
        close_db(writer);
    writer->unsure = true;
    int result = mend(writer);
    if (!result)
        return error;
    say(SAY_ERROR, "commit_of_unknown_fate", "path=%s error=%d mending=%d", writer->segment->path,
        -error, -result);
    return STORE_E_FATE_UNKNOWN;
}

int writer_append(struct writer *writer, struct batch *const *batches, size_t count)
{
    const struct event *newest = NULL;
    int result = mend(writer);
    if (result)
        return writer->unsure ? STORE_E_FATE_UNKNOWN : result;
    result = transact(writer, batches, count, &newest);
    if (result)
        return give_up(writer, result);
    show(writer, batches, newest);
    (void)count_pages(writer);
    checkpoint_if_worthwhile(writer);
    atomic_store(&writer->segment->bytes,
                 writer->checkpointed_pages * PAGE + writer->frames_most * FRAME);
    return 0;
}
