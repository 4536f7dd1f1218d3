/* Finds files of the log that are missing or do not belong to it, and keeps the ranges of ids whose
 * events are lost by that. */
#pragma once

#include "log/store.h"
#include "log/store/sqlite/segment.h"

struct chain;

/* The events after < id <= upto are lost. */
struct hole {
    uint64_t after;
    uint64_t upto;
};

/* Beyond so many the oldest two become one. */
enum { HOLES_MAX = 64 };

/* Does not change once the chain is open. */
struct holes {
    size_t count;
    struct hole at[HOLES_MAX + 1]; /* by rising `upto` */
    uint64_t foreign;              /* files that are not of this log */
};

/* Holds the files that are loaded against each other's links, and takes those that are foreign out
 * of the chain: they are left as they are. Tells config->lost of each hole. While opening, before
 * anything in a file is changed. */
int holes_check(struct chain *chain);

/* The id up to which events are lost, 0 for none: whatever comes next is above it. */
uint64_t holes_upto(const struct chain *chain);

/* Notes in state.db which file is the newest, and an event that would be lost with its write-ahead
 * log. Upkeep's thread. */
int holes_note_tail(struct chain *chain);

/* Notes in state.db that the file is about to be unlinked: then the next one does not miss it. If
 * it fails, the file must not be. Upkeep's thread, or the one that opens. */
int holes_note_removal(struct chain *chain, const struct segment *segment);

/* Holes among the retained events, and what else is wrong with the log. Any thread. */
struct store_losses holes_losses(struct chain *chain);
