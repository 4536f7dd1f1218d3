/* The delivery log: every delivery with its attempts, and what was given up with its events. On
 * the saver's thread, in the registry's file. */
#pragma once

#include "base/buf.h"

#include <stdint.h>

enum { DELIVERY_LOG_PAGE_MAX = 1000, DELIVERY_LOG_OK_RESPONSE_MAX = 1024 };

enum delivery_state {
    DELIVERY_DELIVERED,
    DELIVERY_FAILING, /* will be tried again */
    DELIVERY_DEAD,    /* given up; its events are kept until it is sent again or discarded */
    DELIVERY_SKIPPED, /* skipped: not sent unless the owner asks for it */
    DELIVERY_STATES,
};

/* An attempt of a delivery. The first attempt creates the delivery. Texts are borrowed. */
struct logged_attempt {
    uint64_t n; /* the delivery */
    uint64_t endpoint;
    uint64_t first; /* ids of its first and last event */
    uint64_t last;
    uint32_t count;  /* 0 for a later attempt: the log keeps the first one's */
    uint32_t number; /* 1 for the first */
    enum delivery_state state;
    struct str channel; /* of its first event */
    struct str type;
    int64_t time_us; /* when the attempt began */
    int64_t took_us;
    int status; /* 0 for no answer */
    const char *error;
    struct str response;
    struct str letter; /* with DEAD: its events, packed */
};

#define DELIVERY_LOG_TABLES                                                                        \
    "CREATE TABLE delivery(n INTEGER PRIMARY KEY, endpoint INTEGER NOT NULL,"                      \
    " first INTEGER NOT NULL, last INTEGER NOT NULL, count INTEGER NOT NULL,"                      \
    " state INTEGER NOT NULL, attempts INTEGER NOT NULL, channel TEXT NOT NULL,"                   \
    " type TEXT NOT NULL, time INTEGER NOT NULL, took INTEGER NOT NULL, status INTEGER NOT NULL,"  \
    " error TEXT, response BLOB);"                                                                 \
    "CREATE INDEX delivery_endpoint ON delivery(endpoint);"                                        \
    "CREATE INDEX delivery_failed ON delivery(endpoint, state) WHERE state <> 0;"                  \
    "CREATE TABLE attempt(delivery INTEGER NOT NULL, number INTEGER NOT NULL,"                     \
    " time INTEGER NOT NULL, took INTEGER NOT NULL, status INTEGER NOT NULL, error TEXT,"          \
    " response BLOB, PRIMARY KEY(delivery, number)) WITHOUT ROWID;"                                \
    "CREATE TABLE letter(n INTEGER PRIMARY KEY, events BLOB NOT NULL);"

struct sqlite3;
struct delivery_log;

/* Prepares the statements on the registry's file, which is borrowed. Returns 0 or a negative errno;
 * call delivery_log_finalize() in any case. */
int delivery_log_prepare(struct sqlite3 *db, struct delivery_log **ret_log);
/* NULL is fine. */
void delivery_log_finalize(struct delivery_log *log);

/* The highest number of a delivery. Returns 0 or a negative errno, like all functions below. */
int delivery_log_newest(struct delivery_log *log, uint64_t *ret_n);

/* The number of an endpoint's dead letters. */
int delivery_log_dead(struct delivery_log *log, uint64_t endpoint, uint64_t *ret_count);

/* Writes an attempt. One of a delivery that the log no longer has is dropped. Within the registry's
 * transaction. */
int delivery_log_add(struct delivery_log *log, const struct logged_attempt *attempt);

/* Notes that a delivery will not be tried again because its lane was dropped. No effect if it is
 * not pending. Within the registry's transaction. */
int delivery_log_skip(struct delivery_log *log, uint64_t n);

/* Prunes the log in slices: deliveries older than `before_us`, the oldest delivered or skipped ones
 * beyond `rows`, and those of deleted endpoints. A call looks at 2 × `most` deliveries, and the
 * next continues from there. Failed deliveries go by age only, dead letters never. Within the
 * registry's transaction. */
int delivery_log_prune(struct delivery_log *log, int64_t before_us, uint64_t rows, uint64_t most);

struct delivery_query {
    uint64_t endpoint;
    uint64_t n;         /* only this delivery, with whole responses; 0: a page */
    uint64_t before;    /* only numbers below; 0 for no bound */
    uint64_t event;     /* only deliveries with this event; 0 for all */
    unsigned states;    /* bits 1 << enum delivery_state; 0 for all */
    struct str channel; /* only this channel; empty for all */
    /* Whether a delivery whose first event was on this channel may be told; NULL: each may be. */
    bool (*may_tell)(const struct delivery_query *query, struct str channel);
    struct str kept; /* further parameters of the link to the next page, as "&NAME=VALUE" */
    uint32_t limit;
};

/* Adds a JSON object {"deliveries":[…],"next":n}, newest first, each with its attempts. With
 * query->n only that delivery, or nothing if it does not exist. A page looks at a bounded number of
 * deliveries, so it may have few or none although more follow. */
int delivery_log_write(struct delivery_log *log, const struct delivery_query *query,
                       struct buf *out);

/* The parts of a delivery that are needed to send it again. */
struct dead_letter {
    uint64_t n;
    uint64_t first;
    uint64_t last;
    uint32_t attempts;
    enum delivery_state state;
    struct buf events; /* packed; empty unless it is a dead letter. Freed by the caller. */
};
/* -ENOENT when there is none. */
int delivery_log_find(struct delivery_log *log, uint64_t endpoint, uint64_t n,
                      struct dead_letter *ret_letter);

/* The oldest dead letters above `after`: at most `most` numbers. */
int delivery_log_list_dead(struct delivery_log *log, uint64_t endpoint, uint64_t after,
                           uint64_t *ret_numbers, size_t most, size_t *ret_count);

/* Deletes a dead letter that its owner has dealt with. -ENOENT if there is none. */
int delivery_log_drop(struct delivery_log *log, uint64_t endpoint, uint64_t n);
