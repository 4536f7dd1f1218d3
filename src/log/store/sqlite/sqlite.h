/* The store on disk, with a hook that tests use to break it at every step. */
#pragma once

#include "log/store/sqlite/chain.h"

/* store_sqlite_open() with a hook, which may be NULL. */
int sqlite_open_hooked(const struct store_config *config, const struct store_loader *loader,
                       const struct chain_hook *hook, struct store **ret_store,
                       struct store_newest *ret_newest);

/* The chain of a store opened in that way, for tests. */
struct chain *sqlite_chain(struct store *store);
