/* Reads of the log forwards, as jobs of the readers' pool: for views and lanes that have fallen
 * behind. */
#pragma once

#include "log/read_room.h"

/* Rows that a fetch looks at, at most, before it reports to its owner. */
enum { LOG_READ_ROWS = 50000 };

/* The owner embeds the fetch, and calls log_fetch_deinit() when the job's mail is opened. */
struct log_fetch {
    struct log_job job;
    struct read_place place;     /* counts the batch, if the job is submitted through a room */
    struct selection *selection; /* a reference */
    struct store_query query;    /* the whole read; `rows` limits a slice */
    /* The answer: */
    struct batch *batch; /* may be NULL if nothing was found */
    uint64_t through;    /* everything that matched up to this id is in the batch */
    int error;           /* a negative errno; there is no batch then */
    /* Internal: */
    size_t bytes;
    uint64_t rows; /* rows that were looked at so far */
    bool by_index; /* the selection turned out to need no scan */
};

/* Prepares a fetch with after, upto, limit, bytes and rows of the query. The job is submitted by
 * read_place_begin(), or by log_submit() if its result is not counted. Takes its own reference to
 * the selection. */
void log_fetch_init(struct log_fetch *fetch, struct selection *selection,
                    const struct store_query *query, struct mailbox *reply,
                    void (*done)(struct mail *mail, void *owner));
void log_fetch_deinit(struct log_fetch *fetch);
