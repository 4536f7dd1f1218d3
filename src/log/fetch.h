/* Reads of the log forwards, as jobs of the readers' pool: for views and lanes that have fallen
 * behind. */
#pragma once

#include "log/ask.h"

/* Rows that a fetch looks at, at most, before it reports to its owner. */
enum { LOG_READ_ROWS = 50000 };

/* The owner embeds the fetch, and calls log_fetch_deinit() and question_end() once it
 * has taken the answer. */
struct log_fetch {
    struct question question;
    struct selection *selection; /* a reference */
    struct store_query query;    /* the whole read; `rows` limits a slice */
    void (*done)(struct log_fetch *fetch);
    /* The answer: */
    struct batch *batch; /* may be NULL if nothing was found */
    uint64_t through;    /* everything that matched up to this id is in the batch */
    int error;           /* a negative errno; there is no batch then */
    /* Internal: */
    size_t bytes;
    uint64_t rows; /* rows that were looked at so far */
    bool by_index; /* the selection turned out to need no scan */
};

/* Prepares a fetch with after, upto, limit, bytes and rows of the query, for question_ask(). `done`
 * is called on the asker's thread, also if the question was dropped. Takes its own reference to the
 * selection. */
void log_fetch_init(struct log_fetch *fetch, struct asker *asker, struct selection *selection,
                    const struct store_query *query, void (*done)(struct log_fetch *fetch));
void log_fetch_deinit(struct log_fetch *fetch);
