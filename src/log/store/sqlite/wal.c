/* SQLite writes a transaction as frames behind the last good one, syncs them, and then says in the
 * index, which is shared memory, that the log now ends there. If the write or the sync of the last
 * frame fails, COMMIT fails and the index stays as it was, but the frames stay in the file too. Two
 * things may follow:
 *
 *     the next transaction    is written over them, and their chain of checksums is broken
 *     the process ends        SQLite reads the file without an index, finds a chain of frames that
 *                             is whole, and takes the failed transaction for one that succeeded
 *
 * So a failed COMMIT says nothing about the fate of its transaction. wal_cut() decides it: it makes
 * the last frame of it void, which is the one that ends a commit, and syncs. To void the first one
 * would not do: the next transaction may begin with the same frame, byte for byte, if both split
 * the same page, and with it alone the frames behind it would be a whole commit again. A void frame
 * says that it is of page 0, which there is not, and its page begins as none does; else it says
 * what it said: so it is found again, and written again, by a cut that comes after one that failed.
 * All this needs no room on a disk that is full, keeps what was set aside for the log, and is
 * invisible to other connections, which never look behind the end that the index says. Frames of
 * earlier rounds of the log are left alone: they have other salts.
 *
 * What is void must remain so whatever is written over it, and however little of that: the next
 * transaction may write the first half of a frame's header there, and fail, or be killed. If it is
 * of the same page, this half is what the header said before it was made void, and the other half
 * says it still: the frame would be good again. So the page is void too, which is written after the
 * header: whoever has got as far as the page has written a header with a checksum of its own. The
 * header is void as well because a power cut may leave the page that was written, and not the
 * header before it. The checksum lies between the two: no sectors of the disk replace both and
 * leave it.
 *
 * The first commit of a round is another matter. SQLite writes the log's header before it, with
 * salts that may be new, and the index gets neither these nor, in a log that was empty, the size of
 * a page until the commit succeeds. So a log of which the index says that no frame is good is made
 * void by its header: it has nothing that is not in the database. Once that is synced, the frames
 * that end commits in the round that the first frame is of are made void too, since the next header
 * may have the same salts. Whether that round is the one that failed or an earlier one, nobody can
 * tell, nor does it matter then.
 *
 * The other way round, a commit that is found when a file is opened may lie in the machine's memory
 * alone: the process was killed before it synced, or its sync failed, after which the kernel takes
 * the pages for written (so a second sync would succeed and write nothing). wal_settle() writes the
 * newest commit once more and syncs. Older ones were synced, or there would be none behind them.
 * What is not found lies in memory alone no less, if it was being cut: so it is cut again. Nor need
 * it lie together: of a commit that a power cut interrupted any frame may be lost, and the next may
 * begin with the same. So an opening looks for the ends of commits in the whole file.
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
    PAGE_NUMBER = 4, /* at the start of a frame; followed by the size of the database if the frame
                        ends a commit, else 0 */
    PAGE_START = 4,
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
    uint32_t frames; /* number of valid frames; 0: fields not set here may be unknown */
    uint32_t pages;
    uint32_t frame_checksum[2];
    unsigned char salt[SALT]; /* from the header of the log; each of its frames has the same */
    uint32_t checksum[2];
};

_Static_assert(sizeof(struct index_header) == 48, "the header of an index has 48 bytes");

/* The write-ahead log of a database, while the caller holds the write lock. */
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
    if (header.version != INDEX_VERSION || !header.is_initialized)
        return -EIO;
    wal->frames = header.frames;
    memcpy(wal->salt, header.salt, SALT);
    return 0;
}

static int read_sizes(sqlite3 *db, struct wal *wal)
{
    int64_t page_size = 0;
    int result = db_number(db, "PRAGMA page_size", &page_size);
    if (result)
        return result;
    wal->frame_size = page_size + FRAME_HEADER;
    wal->end = LOG_HEADER + wal->frames * wal->frame_size;
    return errno_of(wal->file->pMethods->xFileSize(wal->file, &wal->size));
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
    return read_sizes(db, wal);
}

static int sync_log(const struct wal *wal)
{
    return errno_of(wal->file->pMethods->xSync(wal->file, SQLITE_SYNC_FULL));
}

/* Runs `act` while nobody else can write. */
static int with_lock(sqlite3 *db, int (*act)(struct wal *wal))
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

/* Whether a frame of the current round begins at `at`; reads its header. */
static int read_frame(const struct wal *wal, sqlite3_int64 at, unsigned char header[FRAME_HEADER],
                      bool *ret_is)
{
    int code = wal->file->pMethods->xRead(wal->file, header, FRAME_HEADER, at);
    *ret_is = code == SQLITE_OK && memcmp(header + SALT_AT, wal->salt, SALT) == 0;
    return errno_of(code);
}

/* A frame ends a commit if its header has the size of the database. */
static bool ends_commit(const unsigned char header[FRAME_HEADER])
{
    const unsigned char *size = header + PAGE_NUMBER;
    return size[0] || size[1] || size[2] || size[3];
}

/* A page begins with its type, with the number of another page, or with SQLite's name. Bytes of
 * 0xff are none of these. */
static int void_frame(const struct wal *wal, const unsigned char header[FRAME_HEADER],
                      sqlite3_int64 at)
{
    unsigned char bytes[FRAME_HEADER + PAGE_START];
    memcpy(bytes, header, FRAME_HEADER);
    memset(bytes, 0, PAGE_NUMBER);
    memset(bytes + FRAME_HEADER, 0xff, PAGE_START);
    return errno_of(wal->file->pMethods->xWrite(wal->file, bytes, sizeof(bytes), at));
}

/* Makes void each frame behind the valid ones that ends a commit: up to the first frame of another
 * round, or with `all` to the end of the file. */
static int void_ends(const struct wal *wal, bool all)
{
    unsigned char header[FRAME_HEADER];
    bool is = true;
    int result = 0;
    for (sqlite3_int64 at = wal->end; !result && at + wal->frame_size <= wal->size;
         at += wal->frame_size) {
        result = read_frame(wal, at, header, &is);
        if (!is && !all)
            break;
        if (is && ends_commit(header))
            result = void_frame(wal, header, at);
    }
    return result;
}

/* Makes the header of a log without a valid frame void, and syncs that before any frame is made
 * void. Otherwise a crash could leave a part of an earlier round, which is older than the database.
 */
static int void_header(struct wal *wal)
{
    static const char zeros[LOG_HEADER];
    int result = errno_of(wal->file->pMethods->xWrite(wal->file, zeros, sizeof(zeros), 0));
    result = result ? result : sync_log(wal);
    if (result)
        return result;
    return errno_of(wal->file->pMethods->xRead(wal->file, wal->salt, SALT, LOG_HEADER + SALT_AT));
}

/* The same without the final sync. */
static int cut_unsynced(struct wal *wal)
{
    int result = wal->frames ? 0 : void_header(wal);
    return result ? result : void_ends(wal, false);
}

/* Whether a frame may lie behind the valid ones. A log file never shrinks. An incomplete frame at
 * the end of the file counts too: later writes may complete it. */
static bool has_more(const struct wal *wal)
{
    return wal->size >= wal->end + wal->frame_size;
}

static int cut(struct wal *wal)
{
    if (!has_more(wal))
        return 0;
    int result = cut_unsynced(wal);
    return result ? result : sync_log(wal);
}

int wal_cut(sqlite3 *db)
{
    return with_lock(db, cut);
}

/* ---- settling -------------------------------------------------------------------------------- */

/* The offset of the newest commit; that of the first includes the log's header. */
static int find_newest(const struct wal *wal, sqlite3_int64 *ret_at)
{
    unsigned char header[FRAME_HEADER];
    for (uint32_t frames = wal->frames - 1; frames > 0; frames--) {
        bool is;
        *ret_at = LOG_HEADER + frames * wal->frame_size;
        int result = read_frame(wal, *ret_at - wal->frame_size, header, &is);
        if (result || !is || ends_commit(header))
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

static int write_newest_again(const struct wal *wal)
{
    sqlite3_int64 at = 0;
    if (!wal->frames)
        return 0;
    char *room = mem_try_alloc(COPY_BYTES);
    int result = room ? find_newest(wal, &at) : -ENOMEM;
    result = result ? result : write_again(wal, at, room);
    free(room);
    return result;
}

/* While opening, the shared index has the salts of the log's header even if no frame is valid. */
static int cut_whole_file(struct wal *wal)
{
    int result = void_ends(wal, true);
    return result || wal->frames ? result : cut_unsynced(wal);
}

static int settle(struct wal *wal)
{
    if (!wal->frames && !has_more(wal))
        return 0;
    int result = has_more(wal) ? cut_whole_file(wal) : 0;
    result = result ? result : write_newest_again(wal);
    return result ? result : sync_log(wal);
}

int wal_settle(sqlite3 *db)
{
    return with_lock(db, settle);
}
