/* Counts a channel's events in sealed files, using the file's own count where the range includes
 * all of them. */
#pragma once

#include "log/store/sqlite/chain.h"

struct tally {
    uint64_t count;
    uint64_t bytes; /* of their data */
};

/* Adds the file's events with low < id <= high, given the file's row of the channel
 * (READER_CHANNEL_ROW). Any thread that has the reader. */
int tally_channel(struct reader *reader, sqlite3_stmt *row, uint32_t number, uint64_t low,
                  uint64_t high, struct tally *tally);

/* Adds the channel's events in all files that are in the sums, with low < id <= high. Upkeep. */
int tally_files(struct chain *chain, uint32_t number, uint64_t low, uint64_t high,
                struct tally *tally);
