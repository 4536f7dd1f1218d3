/* SQLite as the store uses it: opening files, running statements, and its errors as errnos. */
#pragma once

#include "base/str.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

/* How long a connection waits while another program has the file locked. */
enum { DB_BUSY_MS = 10000 };

enum db_mode {
    DB_WRITE,     /* read and write; the file must be there */
    DB_READ,      /* read beside a writer of the same process */
    DB_IMMUTABLE, /* read a file that nobody changes: no locks, no journal */
};

/* The ends of the names that SQLite opens beside a database. A write-ahead log that is left behind
 * is played into the next database of its name. */
enum { DB_SIDES = 3 };
extern const char *const db_sides[DB_SIDES]; /* "-wal", "-shm", "-journal" */

/* Unlinks a database and what lies beside it, the write-ahead log first. Goes on after an error,
 * and returns the first; names that are not there are none. */
int db_unlink(const char *path);

/* Whether the path is a file, or nothing is there. A FIFO, a device or a folder is neither. */
bool db_is_plain(const char *path);

/* Opens a file for reading or writing, with the flags of open(); a file that is made has mode 0600.
 * The descriptor, or a negative errno: -EISDIR for anything but a file, and -ENXIO for a socket or
 * a FIFO that is to be written to. Never waits for the other end of a FIFO. */
int db_open_file(const char *path, int flags);

/* Opens a connection for one thread at a time. It never checkpoints by itself, neither in a commit
 * nor when it is closed: the writer decides when. Close with sqlite3_close(). Returns -EISDIR if
 * the path, or a name that SQLite would open beside it, is not a regular file: reading from a FIFO
 * would never end. */
int db_open(const char *path, enum db_mode mode, sqlite3 **ret_db);

/* An empty file with mode 0600, for db_open() to fill; -EEXIST when it is there. */
int db_create_file(const char *path);

/* The errno for what went wrong last on the connection: -ENOSPC where room would help (quotas and
 * file size limits too), -ENOMEM, -EMFILE when descriptors have run out, else -EIO. */
int db_error(sqlite3 *db);

/* Why the last call on the connection failed. Must follow that call directly. */
enum db_fault {
    DB_SOUND,      /* for another reason than those below */
    DB_CORRUPT,    /* a page is not what SQLite wrote */
    DB_UNREADABLE, /* the disk failed to read a page, now or for good */
};
enum db_fault db_fault(sqlite3 *db);

/* Runs statements whose rows are of no interest. 0 or a negative errno. */
int db_exec(sqlite3 *db, const char *sql);

/* A statement to be kept and used again; free with sqlite3_finalize(). */
int db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret_statement);

/* Steps once: 1 a row is there, 0 there is none (any more), or a negative errno. Unless it is 1 the
 * statement was reset. */
int db_row(sqlite3_stmt *statement);

/* Runs to the end and resets: 0 or a negative errno. */
int db_run(sqlite3_stmt *statement);
/* Rolls back a transaction that was left open, by a prepared statement that needs no memory.
 * Returns 0, or -EIO if the transaction is still open. */
int db_roll_back(sqlite3 *db, sqlite3_stmt *rollback);

/* The first column of the first row of `sql`; -ENOENT when there is none. */
int db_number(sqlite3 *db, const char *sql, int64_t *ret_number);

/* Columns are named once. A list such as
 *     #define LANE(COLUMN, AND) COLUMN(endpoint) AND COLUMN(slot) AND COLUMN(channel)
 * makes both the text of the statement and the enum of places, so that neither can shift against
 * the other:
 *     #define LANE_PLACE(name) LANE_##name
 *     enum { LANE(LANE_PLACE, DB_COMMA) };
 *     DB_SELECT(LANE) "lane"                the column LANE_slot
 *     "INSERT INTO lane" DB_VALUES(LANE)    its mark 1 + LANE_slot
 *     "UPDATE lane SET " DB_SETS(LANE)      the same */
#define DB_COMMA ,
#define DB_NAME(name) #name
#define DB_MARK(name) "?"
#define DB_NAMES(LIST) LIST(DB_NAME, ", ")
#define DB_MARKS(LIST) LIST(DB_MARK, ", ")
#define DB_SET(name) #name " = ?"
#define DB_SETS(LIST) LIST(DB_SET, ", ")
#define DB_SELECT(LIST) "SELECT " DB_NAMES(LIST) " FROM "
#define DB_VALUES(LIST) "(" DB_NAMES(LIST) ") VALUES(" DB_MARKS(LIST) ")"

static inline void db_bind_id(sqlite3_stmt *statement, int at, uint64_t id)
{
    sqlite3_bind_int64(statement, at, (sqlite3_int64)id);
}

/* Binds text that stays where it is until the statement is reset. */
static inline void db_bind_text(sqlite3_stmt *statement, int at, struct str text)
{
    sqlite3_bind_text64(statement, at, text.at ? text.at : "", text.len, SQLITE_STATIC,
                        SQLITE_UTF8);
}

static inline uint64_t db_id(sqlite3_stmt *statement, int column)
{
    return (uint64_t)sqlite3_column_int64(statement, column);
}

/* The bytes of a text or blob, good until the next step or reset. */
static inline struct str db_bytes(sqlite3_stmt *statement, int column)
{
    const char *at = sqlite3_column_blob(statement, column);
    return (struct str){at, (size_t)sqlite3_column_bytes(statement, column)};
}

/* Makes what was created, renamed or unlinked in a folder durable. */
int db_sync_folder(const char *path);

/* Syncs the bytes of a file. Only for files that no connection has open: closing any descriptor of
 * a file drops all locks of the process on it. */
int db_sync_file(const char *path);
