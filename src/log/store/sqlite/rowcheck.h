/* Holds the rows of a file of events against the checksums that they were written with. */
#pragma once

#include "log/store/sqlite/db.h"

#include <stdbool.h>

enum rowcheck_column {
    ROWCHECK_ID,
    ROWCHECK_CHANNEL,
    ROWCHECK_TIME,
    ROWCHECK_PREV,
    ROWCHECK_KIND,
    ROWCHECK_TYPE,
    ROWCHECK_CONTENT_TYPE,
    ROWCHECK_SENDER,
    ROWCHECK_KEY,
    ROWCHECK_DATA,
    ROWCHECK_CHECKSUM,
    ROWCHECK_COLUMNS,
};

/* The name of a column in the table `event`. */
const char *rowcheck_name(enum rowcheck_column column);

/* Whether the row is as it was written, in a channel of that name. `at` says where its columns are.
 * A row without a checksum, of an older version, counts as such. */
bool rowcheck_is_as_written(sqlite3_stmt *row, const int at[ROWCHECK_COLUMNS], struct str channel);

/* Finds the first event of a file that is not as it was written: its id, 0 for none. 0 or a
 * negative errno. */
int rowcheck_find(sqlite3 *db, uint64_t *ret_id);
