#include "log/store/sqlite/reader.h"

#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>

static const char *const statements[READER_STATEMENTS] = {
    [READER_BEGIN] = "BEGIN",
    [READER_END] = "COMMIT",
    [READER_SCAN_UP] = "SELECT id, channel FROM event WHERE id > ?1 AND id <= ?2 ORDER BY id",
    [READER_SCAN_DOWN] =
        "SELECT id, channel FROM event WHERE id > ?1 AND id <= ?2 ORDER BY id DESC",
    /* NOLINTNEXTLINE(bugprone-suspicious-missing-comma): it is too long for one line */
    [READER_LINE_UP] = "SELECT id FROM event WHERE channel = ?1 AND id > ?2 AND id <= ?3 "
                       "ORDER BY id LIMIT ?4",
    [READER_LINE_DOWN] = "SELECT id FROM event WHERE channel = ?1 AND id > ?2 AND id <= ?3 "
                         "ORDER BY id DESC LIMIT ?4",
    [READER_LINE_SIZES] = "SELECT id, data FROM event WHERE channel = ?1 AND id > ?2 ORDER BY id",
    [READER_EVENT] = "SELECT channel, time, prev, kind, type, content_type, sender, key, data "
                     "FROM event WHERE id = ?1",
    [READER_TYPE] = "SELECT type FROM event WHERE id = ?1",
    [READER_NAME] = "SELECT name FROM channel WHERE number = ?1",
    [READER_CHANNEL] = "SELECT first, last, count, bytes FROM channel WHERE number = ?1",
    [READER_CHANNELS] = "SELECT number, name, first, last, count, bytes FROM channel",
    [READER_TIME] = "SELECT id, time FROM event WHERE id >= ?1 ORDER BY id LIMIT 1",
    [READER_WALK] = "SELECT id, channel, data FROM event WHERE id > ?1 AND id <= ?2 ORDER BY id",
    [READER_KEYS] =
        "SELECT id, time, key FROM event WHERE id >= ?1 AND key IS NOT NULL ORDER BY id",
};

struct readers {
    pthread_mutex_t lock;
    struct reader **idle; /* the one used last comes last */
    size_t count;
    size_t max;
};

struct readers *readers_new(size_t idle_max)
{
    struct readers *readers = mem_alloc(sizeof(*readers));
    pthread_mutex_init(&readers->lock, NULL);
    readers->idle = mem_alloc((idle_max + 1) * sizeof(struct reader *));
    readers->max = idle_max;
    return readers;
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

void readers_free(struct readers *readers)
{
    if (!readers)
        return;
    for (size_t i = 0; i < readers->count; i++)
        reader_close(readers->idle[i]);
    free(readers->idle);
    pthread_mutex_destroy(&readers->lock);
    free(readers);
}

static struct reader *take_out(struct readers *readers, size_t at)
{
    struct reader *reader = readers->idle[at];
    readers->count--;
    memmove(&readers->idle[at], &readers->idle[at + 1],
            (readers->count - at) * sizeof(struct reader *));
    return reader;
}

/* The idle connection to the segment that was used last; NULL when there is none. */
static struct reader *take_idle(struct readers *readers, const struct segment *segment)
{
    struct reader *reader = NULL;
    pthread_mutex_lock(&readers->lock);
    for (size_t i = readers->count; i-- > 0 && !reader;)
        if (readers->idle[i]->segment == segment)
            reader = take_out(readers, i);
    pthread_mutex_unlock(&readers->lock);
    return reader;
}

static int open_reader(struct segment *segment, struct reader **ret_reader)
{
    struct reader *reader = mem_alloc(sizeof(*reader));
    reader->segment = segment;
    reader->generation = atomic_load(&segment->generation);
    int result = db_open(segment->path, segment->sealed ? DB_IMMUTABLE : DB_READ, &reader->db);
    result =
        result ? result : db_exec(reader->db, "PRAGMA query_only = 1; PRAGMA cache_size = -256");
    if (result) {
        reader_close(reader);
        return result;
    }
    *ret_reader = reader;
    return 0;
}

int reader_take(struct readers *readers, struct segment *segment, struct reader **ret_reader)
{
    struct reader *reader = take_idle(readers, segment);
    int result = reader ? 0 : open_reader(segment, &reader);
    if (result)
        return result;
    sqlite3_stmt *begin;
    result = reader_statement(reader, READER_BEGIN, &begin);
    result = result ? result : db_run(begin);
    if (result) {
        reader_close(reader);
        return result;
    }
    *ret_reader = reader;
    return 0;
}

static int end_transaction(struct reader *reader)
{
    sqlite3_stmt *end;
    for (int i = 0; i < READER_STATEMENTS; i++)
        if (reader->statements[i])
            sqlite3_reset(reader->statements[i]);
    int result = reader_statement(reader, READER_END, &end);
    return result ? result : db_run(end);
}

void reader_give(struct readers *readers, struct reader *reader, bool failed)
{
    struct reader *closing = reader;
    if (end_transaction(reader) == 0 && !failed) {
        pthread_mutex_lock(&readers->lock);
        if (reader->generation == atomic_load(&reader->segment->generation)) {
            readers->idle[readers->count++] = reader;
            closing = readers->count > readers->max ? take_out(readers, 0) : NULL;
        }
        pthread_mutex_unlock(&readers->lock);
    }
    reader_close(closing);
}

int reader_statement(struct reader *reader, enum reader_statement which,
                     sqlite3_stmt **ret_statement)
{
    int result = reader->statements[which]
                     ? 0
                     : db_prepare(reader->db, statements[which], &reader->statements[which]);
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
