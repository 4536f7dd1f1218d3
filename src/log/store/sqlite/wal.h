/* Two things that SQLite does not offer for its write-ahead log: to undo a failed commit for good,
 * and to make durable what was recovered from a log. */
#pragma once

#include <sqlite3.h>

/* Ensures that no failed commit is ever recovered from the write-ahead log, neither after the end
 * of the process nor after a power cut. 0 is proof; after any error it may be called again. No
 * transaction may be open on the connection. */
int wal_cut(sqlite3 *db);

/* Makes durable what SQLite recovered from the write-ahead log when it opened the database, and
 * ensures that nothing else is ever recovered: neither may have been synced. Call before anybody is
 * shown the content, and before other connections write. */
int wal_settle(sqlite3 *db);
