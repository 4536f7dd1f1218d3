/* DIR/sums.db: events, bytes and newest ids of each channel over all sealed files, so that an
 * opening need not read each file. All of it can be counted again from the files, so a damaged
 * database, or that of a newer version, is replaced by an empty one. For one thread at a time. */
#pragma once

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct sums;

/* A file whose channels are in the sums, and what is kept in memory of it. */
struct sums_file {
    uint64_t first;  /* the id that names it */
    uint32_t stamp;  /* see segment.h */
    uint64_t oldest; /* ids and times of its oldest and newest event */
    uint64_t newest;
    int64_t oldest_time_us;
    int64_t newest_time_us;
    uint64_t keyed;    /* id of its newest event that has a key, 0 for none */
    uint32_t channels; /* how many it has */
    struct str filter; /* the bits of its filter */
    struct str links;  /* see links_bytes(); empty if a version without links added the file */
};

/* A channel, over all files that are in the sums. */
struct sums_row {
    struct str name;
    uint32_t number;
    uint64_t last;    /* id of its newest event in the files */
    uint64_t trimmed; /* the channel was trimmed up to here when it was counted */
    uint64_t count;   /* of its events above `trimmed`, and the bytes of their data */
    uint64_t bytes;
};

/* Opens or makes the database. Errors are errors of the disk. */
int sums_open(const char *path, struct sums **ret_sums);
/* NULL is fine. */
void sums_close(struct sums *sums);
/* Closes it, if it is open, and unlinks the file, durably. */
int sums_discard(struct sums *sums, const char *path);

/* Call `each` for all files by rising `first`, and for the channels low <= number < high by rising
 * number. Strings are good during the call. A non-zero result ends it and is returned. */
int sums_each_file(struct sums *sums, int (*each)(void *context, const struct sums_file *file),
                   void *context);
int sums_each_row(struct sums *sums, uint64_t low, uint64_t high,
                  int (*each)(void *context, const struct sums_row *row), void *context);

/* The channel's row, its name good until the next call: 1, or 0 when there is none. */
int sums_get(struct sums *sums, uint32_t number, struct sums_row *ret_row);

/* Begins and ends a transaction, durable once sums_end() returns 0. With an error as `result`,
 * which it returns, sums_end() rolls back. */
int sums_begin(struct sums *sums);
int sums_end(struct sums *sums, int result);

/* Adds the channel's figures in a further file to its row, or makes the row. Returns 1 and changes
 * nothing if the row was counted from another trimmed id or has another name. */
int sums_add(struct sums *sums, const struct sums_row *row);
int sums_put(struct sums *sums, const struct sums_row *row);
int sums_drop(struct sums *sums, uint32_t number);
int sums_put_file(struct sums *sums, const struct sums_file *file);
int sums_drop_file(struct sums *sums, uint64_t first);

/* After large changes: frees the page cache and checkpoints. */
int sums_checkpoint(struct sums *sums);
