/* The report of a store that is opened: its channels, and the keys of its last minutes. */
#pragma once

#include "log/store/sqlite/chain.h"

/* Raises the trimmed ids to those in state.db, and reports all channels and recent keys to the
 * loader. Called after the chain is loaded, whose trims have raised the trimmed ids already. */
int load_report(struct chain *chain, const struct store_loader *loader,
                struct store_newest *ret_newest);
