/* The engine of a log: what makes decided appends safe, and keeps them. Memory and a disk stand
 * behind it, and nothing else in the log knows which of them it has. */
#pragma once

#include "log/log_internal.h"

struct engine {
    /* The events end with the process: cursors of an earlier run get a gap. */
    bool is_volatile;

    /* Opens the store as log->store, reports to `loader` what is in it, and sets the log's bounds.
     * Returns like store_sqlite_open(). */
    int (*open)(struct log *log, const struct store_loader *loader,
                struct store_newest *ret_newest);

    /* Starts the engine's thread, if it has one. 0 or a negative errno. */
    int (*start)(struct log *log);

    /* Ends it, once all that was submitted is answered. */
    void (*stop)(struct log *log);

    /* Takes the append over, see log_append(). Any thread, without the log's lock. */
    void (*submit)(struct log *log, struct append *append);

    /* Stores the TRIM entries of retention, which apply_trim() has decided. They are idempotent: an
     * entry that is lost is decided again. NULL if upkeep stores trims, those of many channels in a
     * commit. Without the log's lock. */
    void (*trim)(struct log *log, struct batch *trims);

    /* The memory that counts against the log's bound, under the log's lock. NULL if the bound is
     * one of the events' data. */
    uint64_t (*memory)(const struct log *log);
};
