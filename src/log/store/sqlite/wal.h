/* Answers that SQLite does not give about its write-ahead log: how to undo a commit that failed,
 * and how much of a log that was read again is safe. */
#pragma once

#include <sqlite3.h>

/* Makes sure that no commit that failed is ever found in the write-ahead log again, neither after
 * the end of the process nor after a power cut. 0 is proof; anything else is not, and it may be
 * tried again. No transaction may be under way on the connection. */
int wal_cut(sqlite3 *db);

/* Makes safe what was found in the write-ahead log when the database was opened, and that what was
 * not is never found: neither may have been synced. Before anybody is shown it, and before other
 * connections write. */
int wal_settle(sqlite3 *db);
