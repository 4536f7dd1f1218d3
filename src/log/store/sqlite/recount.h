/* Finds sums that are wrong, by counting channels anew from the sealed files. */
#pragma once

#include "log/store/sqlite/chain.h"

/* Counts some channels anew if that is due, mends their rows, and tells config->recounted by how
 * much they were wrong. Upkeep's thread. */
void recount_some(struct chain *chain);
