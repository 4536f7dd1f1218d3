/* DIR/state.db: what must be known of channels when the files that held their events are gone.
 *
 * Other modules keep tables of their own in the same file, through connections of their own. They
 * must not checkpoint by themselves (PRAGMA wal_autocheckpoint=0): state_checkpoint() does it while
 * it holds the file's write lock. A checkpoint that overlaps another connection's commit can lose
 * pages in SQLite before 3.51.3 (sqlite.org/wal.html, "The WAL-Reset Bug"). */
#pragma once

#include "log/store.h"
#include "log/store/sqlite/links.h"

struct state;

/* The latest format of the log's tables that this program knows. */
enum { STATE_VERSION = 1 };

/* Opens or makes the file. -ENOTSUP when it was made by a newer version. */
int state_open(const char *path, struct state **ret_state);
void state_close(struct state *state);

/* A channel as state.db keeps it; also the trimmed id of a namespace's forgotten channels, with
 * number 0. */
struct state_row {
    struct str name;
    uint32_t number;
    uint64_t last;
    uint64_t trimmed;
};

struct state_newest {
    uint64_t id; /* ids and times of the newest event in a removed file */
    int64_t time_us;
    uint32_t number; /* the highest channel number that was ever forgotten */
};

/* Reads what is noted of events in removed files. Returns 0 or a negative errno, like all functions
 * of this file whose comment says nothing else. */
int state_newest(struct state *state, struct state_newest *ret_newest);

/* Calls `each` for all rows, in no order; strings are good during the call. A non-zero result ends
 * it and is returned. */
int state_rows(struct state *state, int (*each)(void *context, const struct state_row *row),
               void *context);

/* The same for channels that were forgotten while files may hold events of them up to `upto`. */
int state_forgotten(struct state *state, int (*each)(void *context, uint32_t number, uint64_t upto),
                    void *context);
/* The same for at most `limit` numbers above `after`, ascending. */
int state_forgotten_after(struct state *state, uint32_t after, int limit,
                          int (*each)(void *context, uint32_t number, uint64_t upto),
                          void *context);

/* Calls `each` for the channels with events up to `upto` that are still to be erased from the
 * files. */
int state_erasures(struct state *state, int (*each)(void *context, uint32_t number, uint64_t upto),
                   void *context);

/* Facts about the chain of files, see holes.c. */
struct state_chain {
    uint64_t log;    /* random number of the log, see links.h; 0 if unknown */
    uint64_t tail;   /* the id that names the newest file that has events */
    uint64_t newest; /* an event that was in this file, and not its first */
};

/* Reads what is noted of the chain of files. */
int state_chain(struct state *state, struct state_chain *ret_chain);

/* Call `each` for the files that upkeep removed, each with the file before it, and for the ranges
 * after < id <= upto whose events are lost. Both by ascending ids. */
int state_removals(struct state *state,
                   int (*each)(void *context, uint64_t first, const struct link *before),
                   void *context);
int state_holes(struct state *state, int (*each)(void *context, uint64_t after, uint64_t upto),
                void *context);

/* The calls below are durable when they return 0, and have changed nothing after an error. The
 * exception: if the disk does not even let them undo a failed commit, that commit may come back
 * after a crash. */

/* Raises the rows of these channels; with `erase` also notes that the files must be rewritten. */
int state_trim(struct state *state, const struct store_trim *trims, size_t count, bool erase);

/* Notes that every erasure has been done. */
int state_erased(struct state *state);

/* Forgets channels, each trimmed up to upto[i], and raises the rows `namespaces`. */
int state_forget(struct state *state, const struct store_trim *namespaces, size_t namespaces_count,
                 const uint32_t *numbers, const uint64_t *upto, size_t count);

/* Deletes the rows of forgotten channels that no file has events of. */
int state_unforget(struct state *state, const uint32_t *numbers, size_t count);

int state_set_newest(struct state *state, uint64_t id, int64_t time_us);

/* Notes that events up to this id may be lost, so that every reader with a cursor below it gets a
 * gap. This note is the only trace of the loss. New ids will be above it, and above `time_us`. */
int state_set_lost(struct state *state, uint64_t id, int64_t time_us);
/* The highest id noted as possibly lost, 0 for none. */
int state_lost(struct state *state, uint64_t *ret_id);

/* Adds a pause, and forgets all but the STORE_PAUSES newest ones. */
int state_add_pause(struct state *state, const struct store_pause *pause);
/* Sets the pauses of `ret_newest`. */
int state_pauses(struct state *state, struct store_newest *ret_newest);

/* Sets facts; of each member the highest value ever set is kept. `tail` names a file that exists
 * now, so a note about a removed file of that name is dropped. */
int state_set_chain(struct state *state, const struct state_chain *chain);

/* Notes that the file will be unlinked. Notes about files below `least` are dropped, and the file
 * of that name then expects none before it. */
int state_put_removal(struct state *state, uint64_t first, const struct link *before,
                      uint64_t least);

/* Notes, and forgets, that the events after < id <= upto are lost. */
int state_put_hole(struct state *state, uint64_t after, uint64_t upto);
int state_drop_hole(struct state *state, uint64_t upto);

/* Checkpoints once that is worth while, and reserves room for the write-ahead log: a full disk can
 * be trimmed only by writing to this file. */
int state_checkpoint(struct state *state);
