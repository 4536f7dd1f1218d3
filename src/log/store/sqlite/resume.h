/* Makes the files of a chain ready after any end of the last run. */
#pragma once

#include "log/store/sqlite/chain.h"

/* Mends what a crash left of each file, and reads what has to be in memory: not of files that are
 * in the sums. Files that are not of this log are left out. Those that are neither the newest nor
 * sealed are rolled. After chain_list(). */
int resume_files(struct chain *chain);
