/* The request cache: heads of polls that a worker has seen, with what the API made of them.
 *
 * Clients that poll a channel send the same head over and over. Only its bytes decide about the
 * reading of a page, so a known head need not be parsed again. The API handles the request all the
 * same: see worker->known. */
#pragma once

#include "base/buf.h"
#include "http/head.h"

struct exchange;
struct reading;

enum { KNOWN_REQUESTS = 4, KNOWN_HEAD_BYTES = 2048 };

struct known_request {
    struct buf bytes;        /* the whole head, to its empty line; empty: nothing is kept */
    struct http_head head;   /* parsed; points into `bytes` */
    struct str origin;       /* in `bytes` */
    struct reading *reading; /* a share of it */
};

/* The cache of a worker. Zeroes are a valid start. */
struct request_cache {
    struct known_request at[KNOWN_REQUESTS];
    unsigned next; /* to be replaced */
};

/* Keeps the reading of the current request. Not if its head is longer than KNOWN_HEAD_BYTES, if it
 * has a body, a header or a parameter that might be a secret (all but the few known ones), or if
 * the reading may change. Not for requests whose answer depends on more than their bytes: see
 * docs/decisions/0005. */
void request_cache_keep(struct request_cache *cache, const struct exchange *exchange,
                        struct reading *reading);

/* The request whose head stands at the front of `bytes`, valid until the next request_cache_keep();
 * or NULL. */
const struct known_request *request_cache_find(const struct request_cache *cache, struct str bytes);

/* Forgets all of them: when the worker ends, and when other settings may decide otherwise about the
 * same bytes. */
void request_cache_clear(struct request_cache *cache);
