/* Upkeep of the chain: keeping trims, rolling, sealing, rewriting, unlinking. */
#pragma once

#include "log/store/sqlite/chain.h"
#include "log/store/sqlite/forgotten.h"

struct erasure;

struct chain_upkeep {
    struct chain *chain;
    struct erasure *erasures; /* deleted channels whose events must leave the disk */
    size_t erasures_count;
    size_t erasures_cap;
    _Atomic uint64_t erasures_bytes; /* for any thread */
    bool erasing;                    /* segments marked `erase` are being rewritten */
    bool noted;                      /* a pass has ended while erasures were left for the next */
    struct forgotten forgotten;
    int64_t erase_after_ns; /* no pass begins before: a rewrite costs more than the DELETE that
                               causes it */
};

void chain_upkeep_init(struct chain_upkeep *upkeep, struct chain *chain);
void chain_upkeep_deinit(struct chain_upkeep *upkeep);

/* Reads from state.db which events are still to be erased. While opening. */
int chain_upkeep_load(struct chain_upkeep *upkeep);

/* The operations of store_ops with these names. Upkeep thread. */
int chain_upkeep_trim(struct chain_upkeep *upkeep, const struct store_trim *trims, size_t count);
int chain_upkeep_forget(struct chain_upkeep *upkeep, const struct store_trim *namespaces,
                        size_t namespaces_count, const uint32_t *numbers, size_t count);
int chain_upkeep_turn(struct chain_upkeep *upkeep);
