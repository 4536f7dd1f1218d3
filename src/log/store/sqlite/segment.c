#include "log/store/sqlite/segment.h"

#include "base/mem.h"
#include "base/say.h"
#include "log/store/sqlite/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FILTER_BITS_MIN = 64,
    FILTER_BITS_MAX = 1 << 18,
    FILTER_BITS_PER_CHANNEL = 16,
    FILTER_HASHES_MAX = 8,
    HEADER = 100
};

static char *path_of(const char *folder, const char *name)
{
    char *path;
    if (asprintf(&path, "%s/%s", folder, name) < 0)
        abort();
    return path;
}

struct segment *segment_new(const char *folder, uint64_t first)
{
    struct segment *segment = mem_alloc(sizeof(*segment));
    char name[32];
    snprintf(name, sizeof(name), "%016" PRIu64 ".db", first);
    segment->path = path_of(folder, name);
    segment->first = first;
    atomic_init(&segment->refs, 1);
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&segment->gate, &attributes);
    pthread_rwlockattr_destroy(&attributes);
    return segment;
}

struct segment *segment_ref(struct segment *segment)
{
    atomic_fetch_add_explicit(&segment->refs, 1, memory_order_relaxed);
    return segment;
}

struct segment *segment_unref(struct segment *segment)
{
    if (!segment || atomic_fetch_sub_explicit(&segment->refs, 1, memory_order_acq_rel) != 1)
        return NULL;
    writer_close(segment->writer);
    index_free(segment->index);
    free(segment->filter.bits);
    free(segment->path);
    pthread_rwlock_destroy(&segment->gate);
    free(segment);
    return NULL;
}

bool segment_enter(struct segment *segment)
{
    pthread_rwlock_rdlock(&segment->gate);
    if (!segment->gone)
        return true;
    pthread_rwlock_unlock(&segment->gate);
    return false;
}

void segment_leave(struct segment *segment)
{
    pthread_rwlock_unlock(&segment->gate);
}

/* ---- making --------------------------------------------------------------------------------- */

int segment_make_schema(sqlite3 *db)
{
    /* A comment in the statement: SQLite keeps it, and .schema shows it. */
    return db_exec(
        db, "BEGIN;"
            "CREATE TABLE meta(name TEXT PRIMARY KEY, value);"
            "INSERT INTO meta VALUES('version', 1), ('sealed', 0);"
            "CREATE TABLE event(\n"
            "  id INTEGER PRIMARY KEY,\n"
            "  channel INTEGER NOT NULL, -- channel.number\n"
            "  time INTEGER NOT NULL,    -- microseconds since 1970, UTC\n"
            "  prev INTEGER NOT NULL,    -- the event before it in its channel\n"
            "  kind INTEGER NOT NULL,    -- 0 JSON, 1 text, 2 binary; 256 more for each hop\n"
            "  type TEXT NOT NULL,\n"
            "  content_type TEXT,        -- of binary data\n"
            "  sender TEXT,\n"
            "  key BLOB,                 -- hashes of the idempotency key and of the content\n"
            "  checksum INTEGER,         -- of the row and of the channel's name\n"
            "  data);"
            "CREATE TABLE channel(\n"
            "  number INTEGER PRIMARY KEY,\n"
            "  name TEXT NOT NULL,\n"
            "  count INTEGER, bytes INTEGER, first INTEGER, last INTEGER -- once sealed\n"
            ");"
            "CREATE TABLE trim(\n"
            "  channel INTEGER NOT NULL,\n"
            "  upto INTEGER NOT NULL -- its events up to this id were deleted\n"
            ");"
            "CREATE VIEW history AS SELECT event.id, channel.name AS channel, event.type,\n"
            "  strftime('%Y-%m-%dT%H:%M:%fZ', event.time / 1e6, 'unixepoch') AS time,\n"
            "  event.sender, event.data\n"
            "  FROM event JOIN channel ON channel.number = event.channel ORDER BY event.id;"
            "COMMIT");
}

/* Unlinks a file of the chain. The file goes before its write-ahead log: what an end of the process
 * leaves is then known as a leftover (chain.c), and no file has lost its newest events. */
static int unlink_all(const char *path)
{
    int result = unlink(path) && errno != ENOENT ? -errno : 0;
    int sides = db_unlink(path);
    return result ? result : sides;
}

/* Write the tables before switching to a write-ahead log, which is then empty when the file is
 * renamed. */
static int make_spare_in(const char *path)
{
    sqlite3 *db = NULL;
    int result = unlink_all(path);
    result = result ? result : db_create_file(path);
    result = result ? result : db_open(path, DB_WRITE, &db);
    if (result)
        return result;
    result = db_exec(db, "PRAGMA synchronous = FULL");
    result = result ? result : segment_make_schema(db);
    result = result ? result : db_exec(db, "PRAGMA journal_mode = WAL");
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    sqlite3_close(db);
    return result;
}

int segment_make_spare(const char *folder)
{
    char *part = path_of(folder, "spare.new"), *path = path_of(folder, "spare.db");
    int result = 0;
    if (access(path, F_OK)) {
        result = make_spare_in(part);
        if (!result && rename(part, path))
            result = -errno;
        if (result)
            (void)unlink_all(part);
    }
    free(part);
    free(path);
    return result;
}

int segment_take_spare(const char *folder, struct segment *segment)
{
    char *path = path_of(folder, "spare.db");
    int result = rename(path, segment->path) ? -errno : db_sync_folder(folder);
    free(path);
    return result;
}

/* ---- side files ----------------------------------------------------------------------------- */

static void side_path(const struct segment *segment, const char *side, char *out, size_t size)
{
    snprintf(out, size, "%s%s", segment->path, side);
}

static bool has_side(const struct segment *segment, const char *side)
{
    char path[4096];
    side_path(segment, side, path, sizeof(path));
    return access(path, F_OK) == 0;
}

bool segment_has_journal(const struct segment *segment)
{
    return has_side(segment, "-wal") || has_side(segment, "-journal");
}

int segment_unlink(const struct segment *segment)
{
    return unlink_all(segment->path);
}

/* Asks the folder for the size of the file and of what lies beside it. */
static void measure(struct segment *segment)
{
    char path[4096];
    struct stat info;
    uint64_t bytes = 0;
    for (size_t i = 0; i < 2; i++) {
        side_path(segment, i ? "-wal" : "", path, sizeof(path));
        if (stat(path, &info) == 0)
            bytes += (uint64_t)info.st_size;
    }
    atomic_store(&segment->bytes, bytes);
}

/* ---- the filter ----------------------------------------------------------------------------- */

/* Odd factors keep the hashes of two numbers below 2^32 apart. */
static uint32_t spread(uint32_t number, uint32_t factor)
{
    number *= factor;
    return number ^ number >> 15;
}

/* The bit of a channel for each of its hashes: two of them make up all (Kirsch, Mitzenmacher 2006).
 */
static uint32_t filter_bit(const struct segment_filter *filter, uint32_t number, uint32_t hash)
{
    uint32_t step = spread(number, 0x85ebca6b) | 1;
    return (spread(number, 0x9e3779b1) + hash * step) & filter->mask;
}

/* A number of hashes with which about half of the bits get set. */
static uint32_t hashes_of(uint32_t bits, uint64_t channels)
{
    uint64_t best = channels ? bits * UINT64_C(7) / (channels * 10) : 1;
    return best > FILTER_HASHES_MAX ? FILTER_HASHES_MAX : best ? (uint32_t)best : 1;
}

static void filter_add(struct segment_filter *filter, uint32_t number)
{
    for (uint32_t i = 0; i < filter->hashes; i++) {
        uint32_t bit = filter_bit(filter, number, i);
        filter->bits[bit >> 3] |= (uint8_t)(1 << (bit & 7));
    }
}

bool segment_may_have(const struct segment *segment, uint32_t number)
{
    const struct segment_filter *filter = &segment->filter;
    for (uint32_t i = 0; filter->bits && i < filter->hashes; i++) {
        uint32_t bit = filter_bit(filter, number, i);
        if (!(filter->bits[bit >> 3] >> (bit & 7) & 1))
            return false;
    }
    return true;
}

static int filter_load(struct segment *segment, sqlite3 *db)
{
    struct segment_filter *filter = &segment->filter;
    int64_t channels = 0;
    sqlite3_stmt *statement = NULL;
    int result = db_number(db, "SELECT count(*) FROM channel", &channels);
    result = result ? result : db_prepare(db, "SELECT number FROM channel", &statement);
    if (result)
        return result;
    uint32_t bits = FILTER_BITS_MIN;
    while (bits < FILTER_BITS_MAX && bits < channels * FILTER_BITS_PER_CHANNEL)
        bits *= 2;
    segment->channels = (uint32_t)channels;
    free(filter->bits);
    *filter =
        (struct segment_filter){mem_alloc(bits / 8), bits - 1, hashes_of(bits, segment->channels)};
    while ((result = db_row(statement)) == 1)
        filter_add(filter, (uint32_t)db_id(statement, 0));
    sqlite3_finalize(statement);
    return result;
}

/* ---- loading -------------------------------------------------------------------------------- */

static int load_end(sqlite3 *db, const char *sql, _Atomic uint64_t *ret_id,
                    _Atomic int64_t *ret_time)
{
    sqlite3_stmt *statement;
    int result = db_prepare(db, sql, &statement);
    if (result)
        return result;
    result = db_row(statement);
    if (result == 1) {
        atomic_store(ret_id, db_id(statement, 0));
        atomic_store(ret_time, sqlite3_column_int64(statement, 1));
    }
    sqlite3_finalize(statement);
    return result < 0 ? result : 0;
}

static int load_ends(struct segment *segment, sqlite3 *db)
{
    int result = load_end(db, "SELECT id, time FROM event ORDER BY id LIMIT 1", &segment->oldest,
                          &segment->oldest_time_us);
    return result ? result
                  : load_end(db, "SELECT id, time FROM event ORDER BY id DESC LIMIT 1",
                             &segment->newest, &segment->newest_time_us);
}

int segment_load_sealed(struct segment *segment, sqlite3 *db)
{
    int64_t stamp = 0;
    int result = load_ends(segment, db);
    segment->sealed = true;
    atomic_store(&segment->unlisted, false);
    measure(segment);
    result = result ? result : db_number(db, "PRAGMA user_version", &stamp);
    segment->stamp = (uint32_t)stamp;
    result = result ? result : links_read(db, &segment->links);
    return result ? result : filter_load(segment, db);
}

static int load_names(struct index *index, sqlite3 *db)
{
    sqlite3_stmt *statement;
    int result = db_prepare(db, "SELECT number FROM channel", &statement);
    if (result)
        return result;
    while ((result = db_row(statement)) == 1)
        if ((result = index_name(index, (uint32_t)db_id(statement, 0), true)))
            break;
    sqlite3_finalize(statement);
    return result;
}

static int load_index(struct index *index, sqlite3 *db)
{
    sqlite3_stmt *statement;
    int result = db_prepare(db, "SELECT channel, id, data FROM event ORDER BY id", &statement);
    if (result)
        return result;
    while ((result = db_row(statement)) == 1) {
        result = index_add(index, (uint32_t)db_id(statement, 0), db_id(statement, 1),
                           db_bytes(statement, 2).len);
        if (result)
            break;
    }
    sqlite3_finalize(statement);
    index_publish(index);
    return result;
}

static int load_unsealed(struct segment *segment, sqlite3 *db)
{
    segment->index = index_new();
    int result = load_ends(segment, db);
    result = result ? result : links_read(db, &segment->links);
    result = result ? result : load_names(segment->index, db);
    result = result ? result : load_index(segment->index, db);
    measure(segment);
    return result;
}

/* The facts in the first bytes of a database (sqlite.org/fileformat2.html, section 1.3). */
struct header {
    bool wal;
    uint32_t page_size;
    uint32_t pages;
    uint32_t stamp; /* PRAGMA user_version */
    uint64_t size;  /* of the file */
};

static uint32_t big_endian(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Reads from the header whether the file is SQLite's, and its journal mode. SQLite itself would
 * take an empty file, or some foreign ones, for a new database. */
static int read_header(const struct segment *segment, struct header *ret_header)
{
    unsigned char header[HEADER];
    struct stat info = {0};
    int fd = db_open_file(segment->path, O_RDONLY);
    if (fd < 0)
        return fd;
    ssize_t got = read(fd, header, sizeof(header));
    int result = fstat(fd, &info) ? -errno : 0;
    close(fd);
    if (result || got != HEADER || memcmp(header, "SQLite format 3", 16) != 0)
        return result ? result : -EIO;
    uint32_t size = (uint32_t)header[16] << 8 | header[17];
    *ret_header = (struct header){.wal = header[18] == 2 || header[19] == 2,
                                  .page_size = size == 1 ? 65536 : size,
                                  .pages = big_endian(header + 28),
                                  .stamp = big_endian(header + 60),
                                  .size = (uint64_t)info.st_size};
    return 0;
}

/* The filter's size is a power of two. */
static int take_filter(struct segment *segment, struct str bits, uint32_t channels)
{
    if (!bits.len || bits.len > FILTER_BITS_MAX / 8 || (bits.len & (bits.len - 1)))
        return -ESTALE;
    free(segment->filter.bits);
    segment->filter = (struct segment_filter){mem_alloc(bits.len), (uint32_t)bits.len * 8 - 1,
                                              hashes_of((uint32_t)bits.len * 8, channels)};
    memcpy(segment->filter.bits, bits.at, bits.len);
    return 0;
}

int segment_load_summed(struct segment *segment, const struct sums_file *file)
{
    struct header header = {0};
    int result = read_header(segment, &header);
    if (result || header.wal || header.stamp != file->stamp || segment_has_journal(segment) ||
        (uint64_t)header.pages * header.page_size != header.size)
        return -ESTALE;
    result = take_filter(segment, file->filter, file->channels);
    if (result)
        return result;
    atomic_store(&segment->oldest, file->oldest);
    atomic_store(&segment->newest, file->newest);
    atomic_store(&segment->oldest_time_us, file->oldest_time_us);
    atomic_store(&segment->newest_time_us, file->newest_time_us);
    atomic_store(&segment->bytes, header.size);
    segment->stamp = file->stamp;
    segment->channels = file->channels;
    segment->keyed = file->keyed;
    segment->links = links_of_bytes(file->links);
    segment->sealed = segment->summed = true;
    return 0;
}

static int check_version(const struct segment *segment, sqlite3 *db)
{
    int64_t version = 0;
    int result = db_number(db, "SELECT value FROM meta WHERE name = 'version'", &version);
    if (!result && version <= SEGMENT_VERSION)
        return 0;
    if (!result)
        say(SAY_ERROR, "file_too_new", "path=%s version=%lld known=%d", segment->path,
            (long long)version, SEGMENT_VERSION);
    return result == -ENOENT ? -EIO : result ? result : -ENOTSUP;
}

static int is_sealed(const struct segment *segment, sqlite3 *db, bool *ret_sealed)
{
    int64_t sealed = 0;
    int result = check_version(segment, db);
    result =
        result ? result : db_number(db, "SELECT value FROM meta WHERE name = 'sealed'", &sealed);
    *ret_sealed = sealed != 0;
    return result == -ENOENT ? -EIO : result;
}

static int load_single(struct segment *segment)
{
    sqlite3 *db;
    bool sealed = false;
    int result = db_open(segment->path, DB_IMMUTABLE, &db);
    if (result)
        return result;
    result = is_sealed(segment, db, &sealed);
    if (!result && sealed)
        result = segment_load_sealed(segment, db);
    else if (!result)
        result = load_unsealed(segment, db);
    sqlite3_close(db);
    return result;
}

int segment_make_single(sqlite3 *db)
{
    sqlite3_stmt *statement;
    int result = db_prepare(db, "PRAGMA journal_mode = DELETE", &statement);
    if (result)
        return result;
    sqlite3_busy_timeout(db, 0);
    result = db_row(statement);
    if (result == 1)
        result = str_eq(db_bytes(statement, 0), STR("delete")) ? 0 : -EBUSY;
    else if ((sqlite3_errcode(db) & 0xff) == SQLITE_BUSY)
        result = -EBUSY;
    sqlite3_finalize(statement);
    sqlite3_busy_timeout(db, DB_BUSY_MS);
    return result;
}

/* SQLite recovers the write-ahead log or journal that a crash left. */
static int load_with_sides(struct segment *segment)
{
    sqlite3 *db;
    bool sealed = false;
    int result = db_open(segment->path, DB_WRITE, &db);
    if (result)
        return result;
    result = is_sealed(segment, db, &sealed);
    /* If another program reads the file, start anyway and seal the file later. */
    if (!result && sealed && segment_make_single(db) == 0) {
        sqlite3_close(db);
        return segment_has_journal(segment) ? -EIO : load_single(segment);
    }
    segment->finished = sealed;
    result = result ? result : load_unsealed(segment, db);
    sqlite3_close(db);
    return result;
}

/* Check the length of a sealed file: if its end is missing, most reads would not notice. */
static bool is_cut_off(const struct segment *segment, const struct header *header)
{
    return (uint64_t)header->pages * header->page_size > header->size &&
           !segment_has_journal(segment);
}

int segment_load(struct segment *segment)
{
    struct header header = {0};
    int result = read_header(segment, &header);
    if (!result && is_cut_off(segment, &header))
        result = -EIO;
    if (!result)
        result = header.wal || segment_has_journal(segment) ? load_with_sides(segment)
                                                            : load_single(segment);
    if (result)
        say(SAY_ERROR, "file_not_opened", "path=%s error=%d detail=\"%s\"", segment->path, -result,
            strerror(-result));
    return result;
}

struct link segment_link(const struct segment *segment)
{
    struct link known = {.first = segment->first, .last = atomic_load(&segment->newest)};
    if (segment->sealed && segment->links.own.last) {
        known = segment->links.own;
        known.first = segment->first;
    } else if (!segment->sealed) {
        known.count = index_rows(segment->index);
    }
    return known;
}

/* ---- confining ------------------------------------------------------------------------------ */

bool segment_is_confined(const struct segment *segment, uint64_t end)
{
    uint64_t oldest = atomic_load(&segment->oldest), newest = atomic_load(&segment->newest);
    return !newest || (oldest >= segment->first && (!end || newest < end));
}

/* For statements that bind the segment's range of ids as ?1 <= id < ?2. */
static int run_ranged(sqlite3 *db, const char *sql, const struct segment *segment, uint64_t end)
{
    sqlite3_stmt *statement;
    int result = db_prepare(db, sql, &statement);
    if (result)
        return result;
    db_bind_id(statement, 1, segment->first);
    db_bind_id(statement, 2, end ? end : INT64_MAX);
    result = db_run(statement);
    sqlite3_finalize(statement);
    return result;
}

static int remove_foreign(sqlite3 *db, const struct segment *segment, uint64_t end)
{
    static const char *const active[] = {
        "DELETE FROM event WHERE id < ?1 OR id >= ?2",
        "DELETE FROM trim WHERE upto >= ?2",
    };
    static const char *const sealed[] = {
        "UPDATE channel SET"
        " count = (SELECT count(*) FROM event WHERE channel = number),"
        " bytes = (SELECT ifnull(sum(length(CAST(data AS BLOB))), 0) FROM event"
        "          WHERE channel = number),"
        " first = (SELECT min(id) FROM event WHERE channel = number),"
        " last = (SELECT max(id) FROM event WHERE channel = number)"
        " WHERE first < ?1 OR last >= ?2",
        "DELETE FROM channel WHERE count = 0",
    };
    int result = db_exec(db, "BEGIN IMMEDIATE");
    for (size_t i = 0; !result && i < 2; i++)
        result = run_ranged(db, active[i], segment, end);
    for (size_t i = 0; !result && segment->sealed && i < 2; i++)
        result = run_ranged(db, sealed[i], segment, end);
    result = result ? result : db_exec(db, "COMMIT");
    if (!sqlite3_get_autocommit(db))
        (void)db_exec(db, "ROLLBACK");
    return result;
}

static int open_and_remove(const struct segment *segment, uint64_t end)
{
    sqlite3 *db = NULL;
    int result = db_open(segment->path, DB_WRITE, &db);
    result = result ? result : db_exec(db, "PRAGMA synchronous = FULL");
    result = result ? result : remove_foreign(db, segment, end);
    sqlite3_close(db);
    return result;
}

int segment_confine(struct segment *segment, uint64_t end, sqlite3 *db)
{
    int result = db ? remove_foreign(db, segment, end) : open_and_remove(segment, end);
    say(SAY_WARN, "foreign_events_removed",
        "path=%s oldest=%" PRIu64 " newest=%" PRIu64 " next_file=%" PRIu64 " error=%d",
        segment->path, atomic_load(&segment->oldest), atomic_load(&segment->newest), end, -result);
    if (result)
        return result;
    index_free(segment->index);
    segment->index = NULL;
    segment->sealed = segment->summed = false;
    atomic_store(&segment->oldest, 0);
    atomic_store(&segment->newest, 0);
    return segment_load(segment);
}
