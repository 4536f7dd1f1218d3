/* The events of batches as rows that a statement can select.
 *
 * A statement for each event spends most of its time on what is the same for all of them: it begins
 * and ends, finds the end of the table, and takes eleven values that are bound one by one. With a
 * virtual table a single `INSERT … SELECT` writes a whole commit: SQLite asks for the columns as it
 * writes the records, and stays at the end of the table. It copies no text before that. */
#pragma once

#include "log/event.h"

#include <sqlite3.h>

/* A place in a list of batches. */
struct event_place {
    struct batch *const *batch; /* the end of the list, if there is no event */
    struct batch *const *end;
    uint32_t event;
};

/* The APPENDED events of the batches from `first` on: at most `most`, and only while each id is the
 * one before plus 1. */
struct event_rows {
    struct event_place first;
    size_t most;
};

/* The first APPENDED event of the batches, or the end. */
struct event_place event_place_begin(struct batch *const *batches, size_t count);

/* The event there; NULL at the end. */
const struct event *event_at(const struct event_place *place);

/* The place of the first event that is not among the rows. Sets the id of the last one that is. */
struct event_place event_rows_end(const struct event_rows *rows, uint64_t *ret_last);

/* Defines the table `appended` on the connection, with the columns of WRITER_ROW. `rows` must
 * outlive the connection, and its batches each statement that selects from the table. 0 or a
 * negative errno. */
int event_rows_define(sqlite3 *db, struct event_rows *rows);
