/* Upkeep of the chain: keeping trims, rolling, sealing, rewriting, unlinking. */
#pragma once

#include "log/store/sqlite/chain.h"
#include "log/store/sqlite/forgotten.h"

struct erasure;

struct house {
    struct chain *chain;
    struct erasure *erasures; /* channels deleted whose events are to leave the disk */
    size_t erasures_count;
    size_t erasures_cap;
    _Atomic uint64_t erasures_bytes; /* for any thread */
    bool erasing;                    /* segments marked `erase` are being rewritten */
    bool noted;                      /* a pass has ended, and left something noted */
    struct forgotten forgotten;
    int64_t erase_after_ns; /* not before: a rewrite costs more than a DELETE does */
};

void house_init(struct house *house, struct chain *chain);
void house_deinit(struct house *house);

/* Notes what state.db says is still to be erased. While opening. */
int house_load(struct house *house);

/* The operations of store_ops with these names. Upkeep thread. */
int house_trim(struct house *house, const struct store_trim *trims, size_t count);
int house_forget(struct house *house, const struct store_trim *folded, size_t folded_count,
                 const uint32_t *numbers, size_t count);
int house_keep(struct house *house);
