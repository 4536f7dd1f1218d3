/* SQLite writes a transaction as frames behind the last good one, syncs them, and then says in the
 * index, which is shared memory, that the log now ends there. If the write or the sync of the last
 * frame fails, COMMIT fails and the index stays as it was, but the frames stay in the file too. Two
 * things may follow:
 *
 *     the next transaction    is written over them, and their chain of checksums is broken
 *     the process ends        SQLite reads the file without an index, finds a chain of frames that
 *                             is whole, and takes the failed transaction for one that succeeded
 *
 * So a failed COMMIT says nothing about the fate of its transaction. wal_cut() decides it: it
 * writes zeros over the header of every frame of it, the last one first, and syncs. The first alone
 * would not do: the next transaction may begin with the same frame, byte for byte, if both split
 * the same page, and with it alone the frames behind it would be a whole commit again. The last
 * frame goes first so that a cut that fails half way can be tried again: what is left is still
 * found from the first frame on. All this needs no room on a disk that is full, keeps what was set
 * aside for the log, and is invisible to other connections, which never look behind the end that
 * the index says. Frames of earlier rounds of the log are left alone: they have other salts.
 *
 * The other way round, a commit that is found when a file is opened may lie in the machine's memory
 * alone: the process was killed before it synced, or its sync failed, after which the kernel takes
 * the pages for written (so a second sync would succeed and write nothing). wal_settle() writes the
 * newest commit once more and syncs. Older ones were synced, or there would be none behind them.
 *
 * The formats are SQLite's, documented, and unchanged since 2010: sqlite.org/walformat.html. */
#include "log/store/sqlite/wal.h"

#include "base/mem.h"
#include "log/store/sqlite/db.h"

#include <errno.h>
#include <stdlib.h>

enum {
    LOG_HEADER = 32,
    FRAME_HEADER = 24,
    SALT = 8,
    SALT_AT = 8, /* in a frame's header */
    INDEX_VERSION = 3007000,
    INDEX_REGION = 32 << 10,
    COPY_BYTES = 64 << 10,
};

/* The index begins with it. */
struct index_header {
    uint32_t version;
    uint32_t unused;
    uint32_t change;
    uint8_t is_initialized;
    uint8_t has_big_endian_checksums;
    uint16_t page_size;
    uint32_t frames; /* that are good */
    uint32_t pages;
    uint32_t frame_checksum[2];
    unsigned char salt[SALT]; /* as it is in the log's header and in each of its frames */
    uint32_t checksum[2];
};

_Static_assert(sizeof(struct index_header) == 48, "the header of an index has 48 bytes");

/* The log of a database, as long as the caller holds its write lock. */
struct wal {
    sqlite3_file *file;
    sqlite3_int64 size;
    sqlite3_int64 end; /* of the good frames */
    sqlite3_int64 frame_size;
    uint32_t frames;
    unsigned char salt[SALT];
};

static int errno_of(int code)
{
    return code == SQLITE_OK               ? 0
           : code == SQLITE_FULL           ? -ENOSPC
           : (code & 0xff) == SQLITE_NOMEM ? -ENOMEM
                                           : -EIO;
}

static int read_index(sqlite3 *db, struct wal *wal)
{
    sqlite3_file *file = NULL;
    void volatile *region = NULL;
    struct index_header header;
    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, (void *)&file) || !file ||
        !file->pMethods || file->pMethods->iVersion < 2 ||
        file->pMethods->xShmMap(file, 0, INDEX_REGION, 0, &region) || !region)
        return -EIO;
    memcpy(&header, (const void *)(uintptr_t)region, sizeof(header));
    /* As long as there is no frame, the size of a page may not be known either. */
    if (header.version != INDEX_VERSION || !header.is_initialized ||
        (header.frames && !header.page_size))
        return -EIO;
    /* 64 KiB do not fit into 16 bits, and are written as 1. */
    wal->frame_size = (header.page_size == 1 ? 65536 : header.page_size) + FRAME_HEADER;
    wal->frames = header.frames;
    memcpy(wal->salt, header.salt, SALT);
    wal->end = LOG_HEADER + wal->frames * wal->frame_size;
    return 0;
}

static int look_at(sqlite3 *db, struct wal *wal)
{
    *wal = (struct wal){.frames = 0};
    int result = read_index(db, wal);
    if (result)
        return result;
    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, (void *)&wal->file) ||
        !wal->file || !wal->file->pMethods)
        return -EIO;
    return errno_of(wal->file->pMethods->xFileSize(wal->file, &wal->size));
}

static int sync_log(const struct wal *wal)
{
    return errno_of(wal->file->pMethods->xSync(wal->file, SQLITE_SYNC_FULL));
}

/* Runs `act` while nobody can write. */
static int with_lock(sqlite3 *db, int (*act)(const struct wal *wal))
{
    struct wal wal;
    int result = db_exec(db, "BEGIN IMMEDIATE");
    if (result)
        return result;
    result = look_at(db, &wal);
    result = result ? result : act(&wal);
    int ended = db_exec(db, "ROLLBACK");
    return result ? result : ended;
}

/* ---- cutting --------------------------------------------------------------------------------- */

/* Whether there is a frame of this round of the log at `at`. */
static int is_of_this_round(const struct wal *wal, sqlite3_int64 at, bool *ret_is)
{
    unsigned char header[FRAME_HEADER];
    *ret_is = false;
    if (at + FRAME_HEADER > wal->size)
        return 0;
    int code = wal->file->pMethods->xRead(wal->file, header, sizeof(header), at);
    *ret_is = memcmp(header + SALT_AT, wal->salt, SALT) == 0;
    return errno_of(code);
}

/* Where the frames end that lie behind the good ones. */
static int find_end(const struct wal *wal, sqlite3_int64 *ret_end)
{
    bool is = true;
    int result = 0;
    for (*ret_end = wal->end; !result; *ret_end += wal->frame_size) {
        result = is_of_this_round(wal, *ret_end, &is);
        if (!is)
            break;
    }
    return result;
}

static int cut(const struct wal *wal)
{
    static const char zeros[FRAME_HEADER];
    sqlite3_int64 at;
    int result = find_end(wal, &at);
    while (!result && at > wal->end) {
        at -= wal->frame_size;
        result = errno_of(wal->file->pMethods->xWrite(wal->file, zeros, sizeof(zeros), at));
    }
    /* Without a frame to cut too: an earlier cut may have failed when it was synced. */
    return result || wal->size <= wal->end ? result : sync_log(wal);
}

int wal_cut(sqlite3 *db)
{
    return with_lock(db, cut);
}

/* ---- settling -------------------------------------------------------------------------------- */

/* Whether a frame, counted from 1, ends a commit: then its second word is the database's size. */
static int ends_commit(const struct wal *wal, uint32_t frame, bool *ret_ends)
{
    unsigned char header[FRAME_HEADER];
    sqlite3_int64 at = LOG_HEADER + (frame - 1) * wal->frame_size;
    int code = wal->file->pMethods->xRead(wal->file, header, sizeof(header), at);
    *ret_ends = header[4] || header[5] || header[6] || header[7];
    return errno_of(code);
}

/* Where the newest commit begins; the log's own header belongs to the first. */
static int find_newest(const struct wal *wal, sqlite3_int64 *ret_at)
{
    for (uint32_t frame = wal->frames - 1; frame > 0; frame--) {
        bool ends = false;
        int result = ends_commit(wal, frame, &ends);
        *ret_at = LOG_HEADER + frame * wal->frame_size;
        if (result || ends)
            return result;
    }
    *ret_at = 0;
    return 0;
}

static int write_again(const struct wal *wal, sqlite3_int64 at, char *room)
{
    int code = SQLITE_OK;
    for (int len; !code && at < wal->end; at += len) {
        len = wal->end - at < COPY_BYTES ? (int)(wal->end - at) : COPY_BYTES;
        code = wal->file->pMethods->xRead(wal->file, room, len, at);
        code = code ? code : wal->file->pMethods->xWrite(wal->file, room, len, at);
    }
    return errno_of(code);
}

static int settle(const struct wal *wal)
{
    sqlite3_int64 at = 0;
    if (!wal->frames)
        return 0;
    char *room = mem_try_alloc(COPY_BYTES);
    int result = room ? find_newest(wal, &at) : -ENOMEM;
    result = result ? result : write_again(wal, at, room);
    free(room);
    return result ? result : sync_log(wal);
}

int wal_settle(sqlite3 *db)
{
    return with_lock(db, settle);
}
