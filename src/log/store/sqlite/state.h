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
    uint64_t id; /* of the newest event in a file that is gone */
    int64_t time_us;
    uint32_t number; /* the highest channel number that was ever forgotten */
};

int state_newest(struct state *state, struct state_newest *ret_newest);

/* Calls `each` for all rows, in no order; strings are good during the call. A non-zero result ends
 * it and is returned. */
int state_rows(struct state *state, int (*each)(void *context, const struct state_row *row),
               void *context);

/* The same for channels that were forgotten while files may hold events of them up to `upto`. */
int state_forgotten(struct state *state, int (*each)(void *context, uint32_t number, uint64_t upto),
                    void *context);
/* The same for the next `limit` numbers above `after`, rising. */
int state_forgotten_after(struct state *state, uint32_t after, int limit,
                          int (*each)(void *context, uint32_t number, uint64_t upto),
                          void *context);

/* The same for channels whose events up to `upto` are still to be erased from the files. */
int state_erasures(struct state *state, int (*each)(void *context, uint32_t number, uint64_t upto),
                   void *context);

/* Facts about the chain of files, see holes.c. */
struct state_chain {
    uint64_t log;    /* see links.h; 0 when it is not known */
    uint64_t tail;   /* the id that names the newest file that has events */
    uint64_t newest; /* an event that this file has had, none of the first */
};

int state_chain(struct state *state, struct state_chain *ret_chain);

/* Call `each` for the files that upkeep has removed, with the file that was before each, and for
 * the ranges after < id <= upto of which events are lost. Both by rising ids. */
int state_removals(struct state *state,
                   int (*each)(void *context, uint64_t first, const struct link *before),
                   void *context);
int state_holes(struct state *state, int (*each)(void *context, uint64_t after, uint64_t upto),
                void *context);

/* Each call below is durable when it returns 0, and has done nothing otherwise; unless the disk
 * that failed did not even let us prove that, no crash changes it. */

/* Raises the rows of these channels; with `erase` also notes that the files must be rewritten. */
int state_trim(struct state *state, const struct store_trim *trims, size_t count, bool erase);

/* Everything noted to be erased has been. */
int state_erased(struct state *state);

/* Forgets channels, each trimmed up to upto[i], and raises the rows `namespaces`. */
int state_forget(struct state *state, const struct store_trim *namespaces, size_t namespaces_count,
                 const uint32_t *numbers, const uint64_t *upto, size_t count);

/* Drops what is kept of forgotten channels of which no file has anything any more. */
int state_unforget(struct state *state, const uint32_t *numbers, size_t count);

int state_set_newest(struct state *state, uint64_t id, int64_t time_us);

/* Notes that events up to this id may be lost, so that every reader with a cursor below it gets a
 * gap. Nothing else in the folder says so. The newest id is at least that, of `time_us`. */
int state_set_lost(struct state *state, uint64_t id, int64_t time_us);
/* The highest id so noted, 0 for none. */
int state_lost(struct state *state, uint64_t *ret_id);

/* Keeps the greatest of each that was ever set. The tail is a file that is there: of one of that
 * name which was removed nothing is kept. */
int state_set_chain(struct state *state, const struct state_chain *chain);

/* The file is about to be unlinked. Removals of files below `least` are dropped, and nothing is
 * expected before the one of that name. */
int state_put_removal(struct state *state, uint64_t first, const struct link *before,
                      uint64_t least);

int state_put_hole(struct state *state, uint64_t after, uint64_t upto);
int state_drop_hole(struct state *state, uint64_t upto);

/* Moves the write-ahead log into the file once it is worth while, and sets room aside for more, so
 * that a full disk can still be trimmed, which is what makes room on it. */
int state_checkpoint(struct state *state);
