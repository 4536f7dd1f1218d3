/* Finds how far the rows of a file cannot be read, so that a scan goes on behind them. */
#pragma once

#include "log/store/sqlite/reader.h"

/* The ids after < id <= upto: those that one page of the table's tree has room for. */
struct skip {
    uint64_t after;
    uint64_t upto;
};

/* Called when the first row with low < id <= high cannot be read; `low` and `high` lie within the
 * file's ids. Returns a range of unreadable ids: that of the page, so it ends above low and may
 * begin below it. The thread that has the reader. */
struct skip skip_up(struct reader *reader, uint64_t low, uint64_t high);

/* The same for the last row with low < id <= high: the range begins below high. */
struct skip skip_down(struct reader *reader, uint64_t low, uint64_t high);

/* Called when the row `id` could not be read. Returns an id for the damaged place: the last id of
 * the page, or `id` itself if the page is sound and only the row's long data, on other pages, is
 * damaged. */
uint64_t skip_place(struct reader *reader, uint64_t id);
