/* Holds the rows of a file of events against the checksums that they were written with. */
#pragma once

#include "log/store/sqlite/db.h"

#include <stdbool.h>

/* The columns of an event that count, see db.h; those up to `kind` are integers. */
/* clang-format off */
#define ROWCHECK_ROW(COLUMN, AND)                                                                  \
    COLUMN(id) AND COLUMN(channel) AND COLUMN(time) AND COLUMN(prev) AND COLUMN(kind)              \
    AND COLUMN(type) AND COLUMN(content_type) AND COLUMN(sender) AND COLUMN(key) AND COLUMN(data)  \
    AND COLUMN(checksum)
/* clang-format on */
#define ROWCHECK_PLACE(name) ROWCHECK_##name
enum rowcheck_column { ROWCHECK_ROW(ROWCHECK_PLACE, DB_COMMA), ROWCHECK_COLUMNS };

/* The name of a column in the table `event`. */
const char *rowcheck_name(enum rowcheck_column column);

/* Whether the row matches its checksum, for a channel of that name. `at` has the places of its
 * columns. Rows of older versions have no checksum and always match. */
bool rowcheck_is_as_written(sqlite3_stmt *row, const int at[ROWCHECK_COLUMNS], struct str channel);

/* Finds the first event of a file that does not match its checksum: its id, 0 for none. Returns 0
 * or a negative errno. */
int rowcheck_find(sqlite3 *db, uint64_t *ret_id);
