/* How a rolled file becomes a sealed one, and a sealed one smaller. Upkeep's thread. */
#pragma once

#include "log/store/sqlite/chain.h"

/* Gives the file its index by channel and its table of counts, moves the write-ahead log into it
 * and marks it sealed. Reads go on meanwhile but for the last moment. A crash at any time leaves a
 * file that segment_load() finishes or that is sealed again. Its trims must be in state.db. */
int seal_segment(struct chain *chain, struct segment *segment);

/* Replaces a sealed file by one that has only what is above the trimmed ids: what is dead leaves
 * the disk. 1 when there is nothing above them, and the file is as it was. */
int seal_rewrite(struct chain *chain, struct segment *segment);
