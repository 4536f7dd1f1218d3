/* Copies out of a damaged database what can be read of it, table by table. */
#pragma once

#include "log/store/sqlite/db.h"

#include <stdbool.h>

struct salvage {
    sqlite3 *from;
    sqlite3 *to; /* has the table; NULL: only to see how much can be read */
    /* Whether a row may be taken; NULL for all. The table's columns begin at SALVAGE_FIRST. */
    bool (*takes)(void *context, sqlite3_stmt *row);
    /* Called for each row that is copied, or would be if `to` is NULL; NULL for none. A negative
     * errno ends the copying. */
    int (*took)(void *context, sqlite3_stmt *row);
    void *context;
};

enum { SALVAGE_FIRST = 1 };

struct salvaged {
    uint64_t rows; /* rows that were copied */
    bool whole;    /* the table could be read from its beginning to its end */
    /* If not: the last rowid that was taken from the beginning on, and the first of those that were
     * taken from the end back. Nothing between them was. 0 and INT64_MAX for none. */
    int64_t low;
    int64_t high;
};

/* Copies a table. Damage is no error, nor is a missing table: then nothing of it could be read.
 * Returns 0, or a negative errno of the database that is written to, or of memory. The caller has
 * begun a transaction. */
int salvage_table(const struct salvage *salvage, const char *table, struct salvaged *ret_salvaged);

/* Opens a database that may be damaged: as it lies there if nothing lies beside it, else with what
 * SQLite makes of its journal. */
int salvage_open(const char *path, sqlite3 **ret_db);

/* Whether a FIFO, a folder or the like has the name of the journal, or of the index of it: then the
 * database is read without its journal, and nobody knows what that had. */
bool salvage_lacks_journal(const char *path);
