/* The files of the chain are read through SQLite, and to open one costs more than to read a page
 * from it: the schema is parsed and each statement compiled. So a connection stays open when its
 * read is over, with its statements, until READERS_IDLE_MAX others have been used since. Any thread
 * takes one (the readers' pool, retention, upkeep) and has it for itself until it gives it back;
 * two threads in one file have two.
 *
 *     taken   by one thread, in no list
 *     idle    in readers->idle by the time of its last use, and in its segment's list
 *
 * A file that is sealed, replaced or unlinked has its connections closed by readers_drop(): idle
 * ones at once, taken ones when they are given back, which `generation` tells. A connection to a
 * file that is still appended to begins a transaction for each read, so as to see what is new and
 * not to hold up checkpoints. */
#include "log/store/sqlite/reader.h"

#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>

#define EVENT_WITH(checksum)                                                                       \
    "SELECT " DB_NAMES(READER_EVENT_ROW) ", " checksum " FROM event WHERE id = ?1"

static const char *const statements[READER_STATEMENTS] = {
    [READER_BEGIN] = "BEGIN",
    [READER_END] = "COMMIT",
    /* `id > ?1` would make SQLite read the page that has ?1, which may be damaged. */
    [READER_SCAN_UP] = "SELECT id, channel FROM event WHERE id >= ?1 + 1 AND id <= ?2 ORDER BY id",
    [READER_SCAN_DOWN] =
        "SELECT id, channel FROM event WHERE id > ?1 AND id <= ?2 ORDER BY id DESC",
    /* NOLINTNEXTLINE(bugprone-suspicious-missing-comma): it is too long for one line */
    [READER_LINE_UP] = "SELECT id FROM event WHERE channel = ?1 AND id > ?2 AND id <= ?3 "
                       "ORDER BY id LIMIT ?4",
    [READER_LINE_DOWN] = "SELECT id FROM event WHERE channel = ?1 AND id > ?2 AND id <= ?3 "
                         "ORDER BY id DESC LIMIT ?4",
    [READER_LINE_SIZES] = "SELECT id, data FROM event WHERE channel = ?1 AND id > ?2 ORDER BY id",
    [READER_EVENT] = EVENT_WITH("checksum"),
    /* SQLite keeps the id outside of the row's columns, which may be damaged. */
    [READER_ROW] = "SELECT id FROM event WHERE id = ?1",
    [READER_TYPE] = "SELECT type FROM event WHERE id = ?1",
    [READER_NAME] = "SELECT name FROM channel WHERE number = ?1",
    [READER_CHANNEL] = DB_SELECT(READER_CHANNEL_ROW) "channel WHERE number = ?1",
    [READER_CHANNELS] = DB_SELECT(READER_CHANNEL_ROW) "channel",
    [READER_CHANNELS_IN] =
        DB_SELECT(READER_CHANNEL_ROW) "channel WHERE number >= ?1 AND number < ?2",
    [READER_TIME] = "SELECT id, time FROM event WHERE id >= ?1 ORDER BY id LIMIT 1",
    [READER_WALK] = DB_SELECT(READER_WALK_ROW) "event WHERE id >= ?1 + 1 AND id <= ?2 ORDER BY id",
    [READER_KEYS] =
        DB_SELECT(READER_KEY_ROW) "event WHERE id >= ?1 AND key IS NOT NULL ORDER BY id",
};

/* Few pages suffice: repeated reads of a sealed file are mostly for different channels, and the
 * kernel caches the pages anyway. Lookaside memory helps only connections that parse much. */
#define SET_UP "PRAGMA query_only = 1; PRAGMA cache_size = "
#define CACHE_SEALED "-64"
#define CACHE_APPENDED "-256"
enum { LOOKASIDE_SIZE = 512, LOOKASIDE_SLOTS = 24 };

struct readers {
    pthread_mutex_t lock;
    struct list idle; /* the one used last comes last; also linked from their segments */
    size_t count;
    size_t max;
    struct damage *damage;
    _Atomic uint64_t opened;
};

struct readers *readers_new(size_t idle_max, struct damage *damage)
{
    struct readers *readers = mem_alloc(sizeof(*readers));
    pthread_mutex_init(&readers->lock, NULL);
    list_init(&readers->idle);
    readers->max = idle_max;
    readers->damage = damage;
    return readers;
}

size_t readers_affordable(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        return READERS_IDLE_MIN;
    size_t share = (size_t)(limit.rlim_cur / READERS_DESCRIPTORS_SHARE);
    share = share > READERS_IDLE_MAX ? READERS_IDLE_MAX : share;
    return share < READERS_IDLE_MIN ? READERS_IDLE_MIN : share;
}

uint64_t readers_opened(const struct readers *readers)
{
    return atomic_load_explicit(&readers->opened, memory_order_relaxed);
}

static void reader_close(struct reader *reader)
{
    if (!reader)
        return;
    for (int i = 0; i < READER_STATEMENTS; i++)
        sqlite3_finalize(reader->statements[i]);
    sqlite3_close(reader->db);
    free(reader);
}

/* ---- idle connections ------------------------------------------------------------------------ */

static struct reader *take_out(struct readers *readers, struct reader *reader)
{
    struct reader **at = &reader->segment->idle;
    while (*at != reader)
        at = &(*at)->next;
    *at = reader->next;
    list_remove(&reader->used);
    readers->count--;
    return reader;
}

/* The idle connection that was used least recently; NULL if there is none. */
static struct reader *take_oldest(struct readers *readers)
{
    if (list_empty(&readers->idle))
        return NULL;
    return take_out(readers, container_of(readers->idle.next, struct reader, used));
}

/* The idle connection to the segment that was used most recently; NULL if there is none. */
static struct reader *take_idle(struct readers *readers, const struct segment *segment)
{
    pthread_mutex_lock(&readers->lock);
    struct reader *reader = segment->idle ? take_out(readers, segment->idle) : NULL;
    pthread_mutex_unlock(&readers->lock);
    return reader;
}

/* Whether anything was closed. */
static bool close_all_idle(struct readers *readers)
{
    bool any = false;
    for (struct reader *reader;; any = true) {
        pthread_mutex_lock(&readers->lock);
        reader = take_oldest(readers);
        pthread_mutex_unlock(&readers->lock);
        if (!reader)
            return any;
        reader_close(reader);
    }
}

void readers_free(struct readers *readers)
{
    if (!readers)
        return;
    (void)close_all_idle(readers);
    pthread_mutex_destroy(&readers->lock);
    free(readers);
}

/* At the bound of idle connections, removes the least recently used one and returns it to be
 * closed. */
static struct reader *put_in(struct readers *readers, struct reader *reader)
{
    struct segment *segment = reader->segment;
    if (reader->generation != atomic_load(&segment->generation))
        return reader;
    reader->next = segment->idle;
    segment->idle = reader;
    list_add_last(&readers->idle, &reader->used);
    readers->count++;
    return readers->count > readers->max ? take_oldest(readers) : NULL;
}

/* ---- opening --------------------------------------------------------------------------------- */

static int run(struct reader *reader, enum reader_statement which)
{
    sqlite3_stmt *statement;
    int result = reader_statement(reader, which, &statement);
    return result ? result : db_run(statement);
}

static int set_up(struct reader *reader)
{
    sqlite3_db_config(reader->db, SQLITE_DBCONFIG_LOOKASIDE, NULL, LOOKASIDE_SIZE, LOOKASIDE_SLOTS);
    int result = db_exec(reader->db, reader->sealed ? SET_UP CACHE_SEALED : SET_UP CACHE_APPENDED);
    return result || !reader->sealed ? result : run(reader, READER_BEGIN);
}

bool reader_met_damage(struct reader *reader, uint64_t place)
{
    enum db_fault fault = db_fault(reader->db);
    return fault == DB_CORRUPT ||
           (fault == DB_UNREADABLE && damage_lasts(reader->damage, reader->segment, place));
}

static int open_reader(struct readers *readers, struct segment *segment, struct reader **ret_reader)
{
    struct reader *reader = mem_try_alloc(sizeof(*reader));
    if (!reader)
        return -ENOMEM;
    *reader =
        (struct reader){.segment = segment, .damage = readers->damage, .sealed = segment->sealed};
    reader->generation = atomic_load(&segment->generation);
    int result = db_open(segment->path, segment->sealed ? DB_IMMUTABLE : DB_READ, &reader->db);
    result = result ? result : set_up(reader);
    if (result) {
        result = reader->db && reader_met_damage(reader, segment->first) ? -EUCLEAN : result;
        reader_close(reader);
        return result;
    }
    atomic_fetch_add_explicit(&readers->opened, 1, memory_order_relaxed);
    *ret_reader = reader;
    return 0;
}

int reader_take(struct readers *readers, struct segment *segment, struct reader **ret_reader)
{
    struct reader *reader = take_idle(readers, segment);
    int result = reader ? 0 : open_reader(readers, segment, &reader);
    if ((result == -EMFILE || result == -ENOMEM) && close_all_idle(readers))
        result = open_reader(readers, segment, &reader);
    if (result)
        return result;
    result = reader->sealed ? 0 : run(reader, READER_BEGIN);
    if (result) {
        reader_close(reader);
        return result;
    }
    *ret_reader = reader;
    return 0;
}

/* Keep the transaction of a sealed file open: a new one would drop the page cache. */
static int end_read(struct reader *reader)
{
    for (int i = 0; i < READER_STATEMENTS; i++)
        if (reader->statements[i])
            sqlite3_reset(reader->statements[i]);
    return reader->sealed ? 0 : run(reader, READER_END);
}

void reader_give(struct readers *readers, struct reader *reader, bool failed)
{
    struct reader *closing = reader;
    if (end_read(reader) == 0 && !failed) {
        pthread_mutex_lock(&readers->lock);
        closing = put_in(readers, reader);
        pthread_mutex_unlock(&readers->lock);
    }
    reader_close(closing);
}

/* Files that an older version made have no column for checksums. */
static int prepare(struct reader *reader, enum reader_statement which)
{
    int result = db_prepare(reader->db, statements[which], &reader->statements[which]);
    if (result != -EIO || which != READER_EVENT)
        return result;
    return db_prepare(reader->db, EVENT_WITH("NULL"), &reader->statements[which]);
}

int reader_statement(struct reader *reader, enum reader_statement which,
                     sqlite3_stmt **ret_statement)
{
    int result = reader->statements[which] ? 0 : prepare(reader, which);
    *ret_statement = reader->statements[which];
    return result;
}

void readers_drop(struct readers *readers, struct segment *segment)
{
    struct reader *reader;
    pthread_mutex_lock(&readers->lock);
    atomic_fetch_add(&segment->generation, 1);
    pthread_mutex_unlock(&readers->lock);
    while ((reader = take_idle(readers, segment)))
        reader_close(reader);
}
