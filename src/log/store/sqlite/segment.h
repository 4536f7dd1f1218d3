/* One file of the chain: what it is called, what is in it, and in which of its three lives it is.
 *
 *     active   appended to; write-ahead log beside it; its index by channel is in memory
 *     rolled   the same, but no longer appended to
 *     sealed   a single file with an index in it, never changed again, only replaced or unlinked
 *
 * A file's name is an id that is above all ids in the file before it and not above any of its own.
 */
#pragma once

#include "log/store/sqlite/db.h"
#include "log/store/sqlite/index.h"
#include "log/store/sqlite/links.h"
#include "log/store/sqlite/sums.h"

#include <pthread.h>
#include <stdatomic.h>

enum { SEGMENT_VERSION = 1 };

struct reader;

/* Which channels may be in a sealed file, so that the others need not open it: a Bloom filter of at
 * most 32 KiB. Of the channels that are not in the file it lets one in 2,000 through, one in 50
 * when the file has 32,000 channels, one in 3 when it has 100,000. */
struct segment_filter {
    uint8_t *bits;
    uint32_t mask; /* number of bits minus 1, all ones in binary */
    uint32_t hashes;
};

struct segment {
    atomic_uint refs;
    uint64_t first; /* the id that names it */
    char *path;

    /* The gate: readers hold it shared while they use the file; upkeep holds it alone for the
     * moment in which the file is sealed, replaced or unlinked. */
    pthread_rwlock_t gate;
    bool sealed;         /* gate */
    bool finished;       /* flagged as sealed, but has a write-ahead log: takes no more appends */
    bool gone;           /* gate; no event is retained, and the file is unlinked */
    struct index *index; /* gate; NULL once sealed */
    struct segment_filter filter; /* gate; once sealed */
    uint32_t stamp;               /* gate; given when it is sealed, kept when it is rewritten */
    uint32_t channels;            /* gate; number of channels, once sealed */

    struct reader *idle;         /* open connections that nobody uses; readers->lock */
    _Atomic unsigned generation; /* connections of an older generation are not used again */
    _Atomic uint64_t oldest;     /* ids of its oldest and newest event, 0 for none */
    _Atomic uint64_t newest;
    _Atomic int64_t oldest_time_us;
    _Atomic int64_t newest_time_us;
    _Atomic uint64_t bytes; /* on the disk */
    atomic_bool unlisted;   /* a reader has found that the file's index lacks rows */

    /* Upkeep's. */
    struct links links;     /* read from the file */
    bool summed;            /* the sums count its events */
    uint64_t keyed;         /* if so: id of its newest event that has a key, 0 for none */
    bool erase;             /* has events that were deleted, and is to be rewritten */
    bool trimmed;           /* events may have been trimmed since it was counted */
    int64_t count_after_ns; /* do not count again before */
    int64_t retry_after_ns; /* after a failure: do not seal, count or rewrite it before */
    unsigned failures;      /* failures in a row, because the file cannot be read */
    struct writer *writer;  /* of a rolled file that is still open */
};

/* Takes the gate shared; false, without the gate, if the segment is gone. */
bool segment_enter(struct segment *segment);
void segment_leave(struct segment *segment);

/* A new segment without content, with one reference; its file need not exist. */
struct segment *segment_new(const char *folder, uint64_t first);
struct segment *segment_ref(struct segment *segment);
struct segment *segment_unref(struct segment *segment);

/* Makes the file for the next active segment in advance, under the name that segment_take_spare()
 * expects; an existing one is kept. */
int segment_make_spare(const char *folder);

/* Renames the spare file to this segment's name. Durable. */
int segment_take_spare(const char *folder, struct segment *segment);

/* Makes the tables of an empty file; a rewrite begins with them, too. */
int segment_make_schema(sqlite3 *db);

/* Finds the state of the file after any end of the last run. Finishes an interrupted seal, and
 * builds the index of an unsealed file. Returns -EIO, after a log line, if the file cannot be read.
 */
int segment_load(struct segment *segment);

/* Takes over what the sums know of a sealed file. Only the file's header is read: -ESTALE if it is
 * another file than the sums know. */
int segment_load_summed(struct segment *segment, const struct sums_file *file);

/* The link to this file, for the next file. */
struct link segment_link(const struct segment *segment);

/* Whether all ids in a loaded file are above those of the file before it and below `end`, the id
 * that names the file behind it; 0 for none. */
bool segment_is_confined(const struct segment *segment, uint64_t end);

/* Removes events whose ids do not fit the file's range, with a log line, and loads the file again.
 * They come from commits that were reported as failed and came back, in versions that did not
 * prevent that. No other thread has the segment; `db` is the connection that writes to it, or NULL.
 */
int segment_confine(struct segment *segment, uint64_t end, sqlite3 *db);

/* Loads what memory needs of a sealed file. `db` has the file open. */
int segment_load_sealed(struct segment *segment, sqlite3 *db);

/* Whether a sealed segment may have the channel. Under the gate. */
bool segment_may_have(const struct segment *segment, uint32_t number);

/* Ends write-ahead logging, which needs the file alone: -EBUSY while another program reads it. */
int segment_make_single(sqlite3 *db);

/* Whether a journal or write-ahead log lies beside the file. It would spoil a file that takes this
 * one's place. */
bool segment_has_journal(const struct segment *segment);

/* Unlinks the file and its journals. */
int segment_unlink(const struct segment *segment);
