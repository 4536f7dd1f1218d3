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

/* Whether the row matches its checksum, for a channel of that name. `at` has the places of its
 * columns. Rows of older versions have no checksum and always match. */
bool rowcheck_is_as_written(sqlite3_stmt *row, const int at[ROWCHECK_COLUMNS], struct str channel);

/* Finds the first event of a file that does not match its checksum: its id, 0 for none. Returns 0
 * or a negative errno. */
int rowcheck_find(sqlite3 *db, uint64_t *ret_id);
