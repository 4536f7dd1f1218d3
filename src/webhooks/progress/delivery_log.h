/* The delivery log: every delivery with its attempts, and what was given up with its events. On
 * the saver's thread, in the registry's file. */
#pragma once

#include "base/buf.h"

#include <stdint.h>

enum { DELIVERY_LOG_PAGE_MAX = 1000, DELIVERY_LOG_OK_RESPONSE_MAX = 1024 };

enum delivery_state {
    DELIVERY_DELIVERED,
    DELIVERY_FAILING, /* will be tried again */
    DELIVERY_DEAD,    /* given up; its events are kept until it is dealt with */
    DELIVERY_SKIPPED, /* not sent, and never will be unless somebody wants it */
    DELIVERY_STATES,
};

/* An attempt of a delivery. The first attempt creates the delivery. Texts belong to the code that
 * filled them in. */
struct logged_attempt {
    uint64_t n; /* the delivery */
    uint64_t endpoint;
    uint64_t first; /* ids of its first and last event */
    uint64_t last;
    uint32_t count;  /* 0 with a later attempt: they stay as the log has them */
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

int delivery_log_prepare(struct sqlite3 *db, struct delivery_log **ret_log);
/* NULL is fine. */
void delivery_log_finalize(struct delivery_log *log);

/* The highest number that a delivery has. 0 or a negative errno, like all below. */
int delivery_log_newest(struct delivery_log *log, uint64_t *ret_n);

/* How many dead letters an endpoint has. */
int delivery_log_dead(struct delivery_log *log, uint64_t endpoint, uint64_t *ret_count);

/* Within the registry's transaction. An attempt at a delivery that the log no longer has is
 * dropped. */
int delivery_log_add(struct delivery_log *log, const struct logged_attempt *attempt);

/* A delivery that would be tried again will not be: its lane was dropped. Others stay as they are.
 * Within the registry's transaction. */
int delivery_log_skip(struct delivery_log *log, uint64_t n);

/* Drops what is older than `before_us`, the oldest delivered or skipped beyond `rows` in all, and
 * everything of endpoints that are gone, a slice in each call: it looks at 2 × `most` deliveries,
 * and goes on from there in the next. What has failed goes by age alone, and dead letters never by
 * themselves. Within the registry's transaction. */
int delivery_log_prune(struct delivery_log *log, int64_t before_us, uint64_t rows, uint64_t most);

struct delivery_query {
    uint64_t endpoint;
    uint64_t n;         /* only this delivery, with whole responses; 0: a page */
    uint64_t before;    /* only numbers below; 0 for no bound */
    uint64_t event;     /* only those that carry this one; 0 for all */
    unsigned states;    /* bits 1 << enum delivery_state; 0 for all */
    struct str channel; /* only this one; empty for all */
    struct str kept;    /* further parameters of the link to the next page, as "&NAME=VALUE" */
    uint32_t limit;
};

/* Adds a JSON object: the newest first, with all attempts: {"deliveries":[…],"next":n}, or with
 * query->n the one delivery; nothing when it is not there. A page looks at a bounded number of
 * deliveries: it may have few or none, and more may follow. */
int delivery_log_write(struct delivery_log *log, const struct delivery_query *query,
                       struct buf *out);

/* The parts of a delivery that are needed to send it again. */
struct dead_letter {
    uint64_t n;
    uint64_t first;
    uint64_t last;
    uint32_t attempts;
    enum delivery_state state;
    struct buf events; /* packed; empty unless it is dead. The caller's to free. */
};
/* -ENOENT when there is none. */
int delivery_log_find(struct delivery_log *log, uint64_t endpoint, uint64_t n,
                      struct dead_letter *ret_letter);

/* The oldest dead letters above `after`: their numbers, at most `most`. */
int delivery_log_list_dead(struct delivery_log *log, uint64_t endpoint, uint64_t after,
                           uint64_t *ret_numbers, size_t most, size_t *ret_count);

/* Drops a dead letter that somebody has dealt with otherwise. -ENOENT when there is none. */
int delivery_log_drop(struct delivery_log *log, uint64_t endpoint, uint64_t n);
