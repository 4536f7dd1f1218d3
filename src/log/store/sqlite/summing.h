/* Keeps the sums right while files are sealed, rewritten and unlinked and channels are trimmed. */
#pragma once

#include "log/store/sqlite/chain.h"

/* Everything here but the part for opening is for the thread that does upkeep.
 *
 * Nothing fails because the sums cannot be kept: they are dropped then, and made anew from the
 * files later. */

/* ---- opening --------------------------------------------------------------------------------- */

/* Tells the segments that are listed what the sums know of their files: those are `summed`, and
 * need not be opened. If a file is gone or is not the one that was added, the sums are dropped. */
int summing_match(struct chain *chain);

/* Brings a row from the trimmed id that it was counted at to the one that the channel has now, as
 * the files have it, and notes that the sums need that too. -ESTALE when the trimmed id has fallen
 * and there are events between. */
int summing_bring_up(struct chain *chain, struct sums_row *row);

/* Drops the sums, since they are wrong or cannot be kept: an opening asks the files. */
void summing_drop(struct chain *chain, const char *reason, int error);

/* ---- upkeep ---------------------------------------------------------------------------------- */

/* The channel was trimmed or forgotten: its row is to be brought up by summing_settle(). */
void summing_note(struct chain *chain, uint32_t number);

/* Brings the rows up that were noted. 0 when the sums on the disk contradict nothing that is known:
 * only then a file may be replaced or unlinked, and forgotten channels may be forgotten for good.
 */
int summing_settle(struct chain *chain);

/* The file is about to be unlinked. If it is not 0, it must not be. */
int summing_leave(struct chain *chain, struct segment *segment);

/* The file was replaced by one without what was trimmed. */
void summing_replaced(struct chain *chain, struct segment *segment);

/* Adds the sealed files that are not in the sums yet, once it is worth while. */
void summing_add(struct chain *chain);
