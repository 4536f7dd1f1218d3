/* The record of deliveries: every one with its attempts, and what was given up with its events. On
 * the keeper's thread, in the registry's file. */
#pragma once

#include "base/buf.h"

#include <stdint.h>

enum { RECORD_PAGE_MAX = 1000, RECORD_OK_RESPONSE_MAX = 1024 };

enum record_state {
    RECORD_DELIVERED,
    RECORD_FAILING, /* will be tried again */
    RECORD_DEAD,    /* given up; its events are kept until it is dealt with */
    RECORD_SKIPPED, /* not sent, and never will be unless somebody wants it */
    RECORD_STATES,
};

/* An attempt of a delivery. The first attempt creates the delivery. Texts belong to the code that
 * filled them in. */
struct record_attempt {
    uint64_t n; /* the delivery */
    uint64_t endpoint;
    uint64_t first; /* ids of its first and last event */
    uint64_t last;
    uint32_t count;  /* 0 with a later attempt: they stay as the record has them */
    uint32_t number; /* 1 for the first */
    enum record_state state;
    struct str channel; /* of its first event */
    struct str type;
    int64_t time_us; /* when the attempt began */
    int64_t took_us;
    int status; /* 0 for no answer */
    const char *error;
    struct str response;
    struct str letter; /* with DEAD: its events, packed */
};

#define RECORD_TABLES                                                                              \
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
struct record_statements;

int record_prepare(struct sqlite3 *db, struct record_statements **ret_statements);
/* NULL is fine. */
void record_finalize(struct record_statements *statements);

/* The highest number that a delivery has. 0 or a negative errno, like all below. */
int record_newest(struct record_statements *statements, uint64_t *ret_n);

/* How many dead letters an endpoint has. */
int record_dead(struct record_statements *statements, uint64_t endpoint, uint64_t *ret_count);

/* Within the registry's transaction. An attempt at a delivery that the record no longer has is
 * dropped. */
int record_add(struct record_statements *statements, const struct record_attempt *attempt);

/* Drops what is older than `before_us`, the oldest delivered or skipped beyond `rows` in all, and
 * everything of endpoints that are gone, a slice in each call: it looks at 2 × `most` deliveries,
 * and goes on from there in the next. What has failed goes by age alone, and dead letters never by
 * themselves. Within the registry's transaction. */
int record_prune(struct record_statements *statements, int64_t before_us, uint64_t rows,
                 uint64_t most);

struct record_query {
    uint64_t endpoint;
    uint64_t n;         /* only this delivery, with whole responses; 0: a page */
    uint64_t before;    /* only numbers below; 0 for no bound */
    uint64_t event;     /* only those that carry this one; 0 for all */
    unsigned states;    /* bits 1 << enum record_state; 0 for all */
    struct str channel; /* only this one; empty for all */
    struct str kept;    /* further parameters of the link to the next page, as "&NAME=VALUE" */
    uint32_t limit;
};

/* Adds a JSON object: the newest first, with all attempts: {"deliveries":[…],"next":n}, or with
 * query->n the one delivery; nothing when it is not there. A page looks at a bounded number of
 * deliveries: it may have few or none, and more may follow. */
int record_tell(struct record_statements *statements, const struct record_query *query,
                struct buf *out);

/* The parts of a delivery that are needed to send it again. */
struct record_letter {
    uint64_t n;
    uint64_t first;
    uint64_t last;
    uint32_t attempts;
    enum record_state state;
    struct buf events; /* packed; empty unless it is dead. The caller's to free. */
};
/* -ENOENT when there is none. */
int record_find(struct record_statements *statements, uint64_t endpoint, uint64_t n,
                struct record_letter *ret_letter);

/* The oldest dead letters above `after`: their numbers, at most `most`. */
int record_list_dead(struct record_statements *statements, uint64_t endpoint, uint64_t after,
                     uint64_t *ret_numbers, size_t most, size_t *ret_count);

/* Drops a dead letter that somebody has dealt with otherwise. -ENOENT when there is none. */
int record_drop(struct record_statements *statements, uint64_t endpoint, uint64_t n);
