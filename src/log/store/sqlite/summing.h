/* Keeps the sums right while files are sealed, rewritten and unlinked and channels are trimmed. */
#pragma once

#include "log/store/sqlite/chain.h"

/* All functions but those for opening are for the thread of upkeep. An error in the sums fails
 * nothing else: they are dropped, and made again from the files later. */

/* ---- opening --------------------------------------------------------------------------------- */

/* Tells the listed segments what the sums know of their files: those are then `summed`, and need
 * not be opened. If a file is missing or differs from the one that was added, the sums are dropped.
 */
int summing_match(struct chain *chain);

/* Brings a row from the trimmed id at which it was counted to the current one of the channel, by
 * counting in the files, and notes that the stored row needs the same. -ESTALE: the trimmed id has
 * fallen, and there are events between. */
int summing_bring_up(struct chain *chain, struct sums_row *row);

/* Drops the sums, because they are wrong or cannot be stored: the next opening reads the files. */
void summing_drop(struct chain *chain, const char *reason, int error);

/* ---- upkeep ---------------------------------------------------------------------------------- */

/* Notes that the channel was trimmed or forgotten: summing_settle() then updates its row. */
void summing_note(struct chain *chain, uint32_t number);

/* Updates the noted rows. 0: the sums agree with all trims. Only then may a file be replaced or
 * unlinked, or a channel be forgotten for good. */
int summing_settle(struct chain *chain);

/* Takes the file out of the sums. On an error it must not be unlinked. */
int summing_leave(struct chain *chain, struct segment *segment);

/* Notes that a rewrite has replaced the file. */
void summing_replaced(struct chain *chain, struct segment *segment);

/* Adds waiting sealed files to the sums, once that is worth while. */
void summing_add(struct chain *chain);
