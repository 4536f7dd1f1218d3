/* Counting a channel's events in sealed files: by the file's own count where that is all of it. */
#pragma once

#include "log/store/sqlite/chain.h"

struct tally {
    uint64_t count;
    uint64_t bytes; /* of their data */
};

/* Adds what the file has in low < id <= high, given its own row of the channel, a
 * READER_CHANNEL_ROW. Any thread that has the reader. */
int tally_channel(struct reader *reader, sqlite3_stmt *row, uint32_t number, uint64_t low,
                  uint64_t high, struct tally *tally);

/* Adds what all files that are in the sums have of the channel in low < id <= high. Upkeep. */
int tally_files(struct chain *chain, uint32_t number, uint64_t low, uint64_t high,
                struct tally *tally);
