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

/* Compares the loaded files with each other's links, and takes foreign files out of the chain;
 * these stay on the disk unchanged. Calls config->lost for each hole. While opening, before any
 * file is changed. */
int holes_check(struct chain *chain);

/* The id up to which events are lost, 0 for none. Events appended from now on are above it. */
uint64_t holes_upto(const struct chain *chain);

/* Notes in state.db the newest file, and an event that would be missing if the write-ahead log were
 * lost. Upkeep. */
int holes_note_tail(struct chain *chain);

/* Notes in state.db that the file will be unlinked, so that the file after it does not miss it. On
 * an error the file must not be unlinked. Upkeep, or the thread that opens. */
int holes_note_removal(struct chain *chain, const struct segment *segment);

/* Reports holes among the retained events, and other faults of the log. Any thread. */
struct store_losses holes_losses(struct chain *chain);
