#include "log/store/sqlite/db.h"

#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const db_sides[DB_SIDES] = {"-wal", "-shm", "-journal"};

static int unlink_one(const char *path)
{
    return unlink(path) && errno != ENOENT ? -errno : 0;
}

int db_unlink(const char *path)
{
    char side[4096];
    int first = 0;
    for (size_t i = 0; i < DB_SIDES; i++) {
        snprintf(side, sizeof(side), "%s%s", path, db_sides[i]);
        int result = unlink_one(side);
        first = first ? first : result;
    }
    int result = unlink_one(path);
    return first ? first : result;
}

bool db_is_plain(const char *path)
{
    struct stat info;
    return stat(path, &info) || S_ISREG(info.st_mode);
}

int db_open_file(const char *path, int flags)
{
    struct stat info;
    int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK, 0600);
    if (fd < 0)
        return -errno;
    int result = fstat(fd, &info) ? -errno : S_ISREG(info.st_mode) ? 0 : -EISDIR;
    if (!result)
        return fd;
    close(fd);
    return result;
}

int db_create_file(const char *path)
{
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    close(fd);
    return 0;
}

/* The path as a URI, so that SQLite takes parameters with it. */
static void add_uri(struct buf *uri, const char *path)
{
    buf_add_lit(uri, "file:");
    for (; *path; path++) {
        if (strchr("?#%", *path))
            buf_addf(uri, "%%%02X", (unsigned)(unsigned char)*path);
        else
            buf_add_char(uri, *path);
    }
}

static int configure(sqlite3 *db)
{
    sqlite3_extended_result_codes(db, 1);
    sqlite3_busy_timeout(db, DB_BUSY_MS);
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_wal_autocheckpoint(db, 0);
    return 0;
}

/* Whether every name that SQLite would open is a regular file or missing. For an immutable file
 * SQLite opens only the file itself. */
static bool opens_plain_files(const char *path, enum db_mode mode)
{
    char side[4096];
    bool is_plain = db_is_plain(path);
    for (size_t i = 0; is_plain && mode != DB_IMMUTABLE && i < DB_SIDES; i++) {
        snprintf(side, sizeof(side), "%s%s", path, db_sides[i]);
        is_plain = db_is_plain(side);
    }
    return is_plain;
}

int db_open(const char *path, enum db_mode mode, sqlite3 **ret_db)
{
    struct buf uri = {0};
    int flags = SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    *ret_db = NULL;
    if (!opens_plain_files(path, mode))
        return -EISDIR;
    add_uri(&uri, path);
    if (mode == DB_IMMUTABLE)
        buf_add_lit(&uri, "?immutable=1");
    buf_add_char(&uri, '\0');
    if (buf_failed(&uri)) {
        buf_free(&uri);
        return -ENOMEM;
    }
    flags |= mode == DB_IMMUTABLE ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    int code = sqlite3_open_v2(uri.at, ret_db, flags, NULL);
    buf_free(&uri);
    int result = code == SQLITE_OK ? configure(*ret_db) : db_error(*ret_db);
    if (result) {
        sqlite3_close(*ret_db);
        *ret_db = NULL;
    }
    return result;
}

/* The errno of the last failed operation: of the write-ahead log or journal, else of the file, else
 * from SQLite's error code, which says little about a failed commit. */
static int system_errno(sqlite3 *db)
{
    sqlite3_file *journal = NULL;
    int error = 0;
    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, (void *)&journal) == 0 &&
        journal && journal->pMethods)
        journal->pMethods->xFileControl(journal, SQLITE_FCNTL_LAST_ERRNO, &error);
    if (!error)
        sqlite3_file_control(db, "main", SQLITE_FCNTL_LAST_ERRNO, &error);
    return error ? error : sqlite3_system_errno(db);
}

static int errno_of_system(sqlite3 *db)
{
    switch (system_errno(db)) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return -ENOSPC;
    case ENOMEM:
        return -ENOMEM;
    case EMFILE:
    case ENFILE:
        return -EMFILE;
    default:
        return -EIO;
    }
}

int db_error(sqlite3 *db)
{
    int code = db ? sqlite3_extended_errcode(db) : SQLITE_NOMEM;
    switch (code & 0xff) {
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_IOERR:
        if (code == SQLITE_IOERR_NOMEM)
            return -ENOMEM;
        /* SQLite grows the shared index of the write-ahead log by writing to it, and does not
         * report the errno of that. */
        if (code == SQLITE_IOERR_SHMSIZE)
            return -ENOSPC;
        return errno_of_system(db);
    case SQLITE_CANTOPEN:
        return errno_of_system(db);
    default:
        return -EIO;
    }
}

static bool has_failed(sqlite3_file *file)
{
    int error = 0;
    if (file && file->pMethods)
        file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &error);
    return error == EIO || error == ENXIO;
}

/* SQLite reports a page that the disk failed to read as corrupt. Only the errno, kept with the
 * connection's file, tells the two apart. */
static bool has_failed_to_read(sqlite3 *db)
{
    sqlite3_file *file = NULL, *journal = NULL;
    (void)sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, (void *)&file);
    (void)sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, (void *)&journal);
    return has_failed(file) || has_failed(journal);
}

enum db_fault db_fault(sqlite3 *db)
{
    int code = sqlite3_extended_errcode(db);
    bool is_corrupt = (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB;
    if (is_corrupt && !has_failed_to_read(db))
        return DB_CORRUPT;
    bool is_unread = code == SQLITE_IOERR_READ || code == SQLITE_IOERR_CORRUPTFS;
    return is_corrupt || is_unread ? DB_UNREADABLE : DB_SOUND;
}

int db_exec(sqlite3 *db, const char *sql)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : db_error(db);
}

int db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret_statement)
{
    int code = sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret_statement, NULL);
    return code == SQLITE_OK ? 0 : db_error(db);
}

int db_row(sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        return 1;
    int result = code == SQLITE_DONE ? 0 : db_error(sqlite3_db_handle(statement));
    sqlite3_reset(statement);
    return result;
}

int db_run(sqlite3_stmt *statement)
{
    int result;
    while ((result = db_row(statement)) == 1)
        ;
    return result;
}

int db_roll_back(sqlite3 *db, sqlite3_stmt *rollback)
{
    if (!sqlite3_get_autocommit(db))
        (void)db_run(rollback);
    return sqlite3_get_autocommit(db) ? 0 : -EIO;
}

int db_number(sqlite3 *db, const char *sql, int64_t *ret_number)
{
    sqlite3_stmt *statement;
    int result = db_prepare(db, sql, &statement);
    if (result)
        return result;
    result = db_row(statement);
    if (result == 1)
        *ret_number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return result < 0 ? result : result ? 0 : -ENOENT;
}

static int sync_path(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int result = fsync(fd) ? -errno : 0;
    close(fd);
    return result;
}

int db_sync_folder(const char *path)
{
    return sync_path(path, O_RDONLY | O_DIRECTORY);
}

int db_sync_file(const char *path)
{
    return sync_path(path, O_RDWR);
}
