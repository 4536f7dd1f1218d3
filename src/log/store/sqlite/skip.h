/* Finds how far the rows of a file cannot be read, so that a scan goes on behind them. */
#pragma once

#include "log/store/sqlite/reader.h"

/* The ids after < id <= upto: those that one page of the table's tree has room for. */
struct skip {
    uint64_t after;
    uint64_t upto;
};

/* The first row with low < id <= high cannot be read; `low` is not below the file's ids, nor `high`
 * above them. Returns a range of ids of which none can be read: that of the page, wherever a search
 * comes upon it, so that it ends above low and may begin below it. The thread that has the reader.
 */
struct skip skip_up(struct reader *reader, uint64_t low, uint64_t high);

/* The same for the last row with low < id <= high: the range begins below high. */
struct skip skip_down(struct reader *reader, uint64_t low, uint64_t high);

/* The row `id` could not be read. Returns an id that stands for what is damaged: the last of the
 * page of rows, or the row's own if its page is sound, since long data lies in pages of its own. */
uint64_t skip_place(struct reader *reader, uint64_t id);
