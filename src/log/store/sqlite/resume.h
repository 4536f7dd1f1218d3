/* Makes the files of a chain usable after any end of the last run. */
#pragma once

#include "log/store/sqlite/chain.h"

/* Mends what a crash left in each file, and loads what memory needs of it, unless the sums have it.
 * Foreign files are left out. All but the newest file are rolled if they are not sealed. After
 * chain_list(). */
int resume_files(struct chain *chain);
