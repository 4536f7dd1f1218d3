/* The report of a store that is opened: its channels, and the keys of its last minutes. */
#pragma once

#include "log/store/sqlite/chain.h"

/* Raises the trimmed ids by what state.db says, and reports all to the loader. After the chain is
 * loaded, whose trims have raised them already. */
int load_report(struct chain *chain, const struct store_loader *loader,
                struct store_newest *ret_newest);
