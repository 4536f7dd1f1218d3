/* Copies the readable rows out of a damaged database, table by table. */
#pragma once

#include "log/store/sqlite/db.h"

#include <stdbool.h>

struct salvage {
    sqlite3 *from;
    sqlite3 *to; /* has the same table; NULL: only count what is readable */
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
    bool whole;    /* the whole table could be read */
    /* If not: the last rowid read upwards, and the first one read downwards; nothing between them
     * was read. 0 and INT64_MAX if there is none. */
    int64_t low;
    int64_t high;
};

/* Copies a table. A damaged or missing table is no error: then less, or nothing, is copied. Returns
 * 0, or a negative errno of the writing or of memory. The caller has begun a transaction. */
int salvage_table(const struct salvage *salvage, const char *table, struct salvaged *ret_salvaged);

/* Opens a database that may be damaged: without its journals if there are none, else after SQLite
 * has recovered from them. */
int salvage_open(const char *path, sqlite3 **ret_db);

/* Whether the name of the journal, or of its index, belongs to a FIFO, a folder or the like. Then
 * the database is read without its journal, whose content is unknown. */
bool salvage_lacks_journal(const char *path);
