/* Reads of the log forwards, as jobs of the readers' pool: for views and lanes that have fallen
 * behind. */
#pragma once

#include "log/read_room.h"

/* What one fetch looks at, at most, before its owner hears of it. */
enum { LOG_READ_ROWS = 50000 };

/* The owner embeds it and frees what it holds, by log_fetch_deinit(), when the job's mail is
 * opened. */
struct log_fetch {
    struct log_job job;
    struct read_place place; /* where the batch counts, if the job is submitted through a room */
    struct selection *selection; /* a reference */
    struct store_query query;    /* what to read in all: `rows` slice by slice */
    /* The answer: */
    struct batch *batch; /* may be NULL when nothing was found */
    uint64_t through;    /* all that matched up to here is in the batch */
    int error;           /* a negative errno; then there is no batch */
    /* Its own: */
    size_t bytes;
    uint64_t rows; /* looked at so far */
    bool by_index; /* its selection was found to need no scan */
};

/* Prepares a fetch of after, upto, limit, bytes and rows of the query; the job is submitted by
 * read_place_begin(), or by log_submit() if nobody counts what it finds. Takes its own reference to
 * the selection. */
void log_fetch_init(struct log_fetch *fetch, struct selection *selection,
                    const struct store_query *query, struct mailbox *reply,
                    void (*done)(struct mail *mail, void *owner));
void log_fetch_deinit(struct log_fetch *fetch);
