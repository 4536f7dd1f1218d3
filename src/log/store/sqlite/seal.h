/* Seals rolled files and rewrites sealed ones without their trimmed events. Upkeep. */
#pragma once

#include "log/store/sqlite/chain.h"

/* Seals a file: makes its index by channel and its table of counts, moves the write-ahead log into
 * it, and sets the flag. Reads continue except for a last short moment. After a crash at any point,
 * segment_load() finishes the seal or the file is sealed again. Its trims must be in state.db. */
int seal_segment(struct chain *chain, struct segment *segment);

/* Replaces a sealed file by one without the trimmed events, which so leave the disk. Returns 1, and
 * changes nothing, if no event is left. */
int seal_rewrite(struct chain *chain, struct segment *segment);
