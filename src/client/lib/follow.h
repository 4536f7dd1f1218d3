/* Follows channels over connections that may break: each goes on where the last one ended. */
#pragma once

#include "client/lib/interrupt.h"
#include "client/lib/server_url.h"
#include "client/lib/trust.h"

enum follow_mechanism { FOLLOW_SSE, FOLLOW_NDJSON, FOLLOW_POLL, FOLLOW_WS };

/* Names of channels, patterns or types. All is borrowed. */
struct follow_names {
    const char *const *at;
    size_t count;
};

/* The channels to follow, and the position to begin at. The caller keeps all of it until
 * follow_run() returns. */
struct follow_wish {
    struct server_url url;
    struct trust trust;
    const char *token; /* see server_url_token_valid(); NULL: none */
    enum follow_mechanism mechanism;
    struct follow_names channels; /* names and patterns; at least one */
    struct follow_names types;    /* an empty list: all types */
    const char *after; /* an id, "earliest", "now" or a time of RFC 3339; NULL: see `last` */
    const char *as;    /* the name of the reader as a member of channels; NULL: none */
    uint64_t last;     /* begins with the newest events, so many; 0: with what comes from now on */
};

/* The program that takes the events. All functions are called by the thread that called
 * follow_run(), with `owner`; their texts are good until they return. */
struct follow_sink {
    void *owner;
    /* Takes an event, as the JSON object of its envelope. True: no more are wanted. */
    bool (*take)(void *owner, struct str envelope);
    /* Called when no more events are at hand, if some were taken: the time to write them out. True:
     * no more are wanted. */
    bool (*pause)(void *owner);
    /* Takes a notice of the server, a JSON object: "$gap" if events are lost to this reader, "$bye"
     * if the server ends the connection. */
    void (*tell)(void *owner, const char *name, struct str object);
    /* Called when a connection has ended, with a sentence that says why; the next attempt comes
     * after `wait_ms`. */
    void (*lost)(void *owner, struct str why, uint64_t wait_ms);
    /* A pipe or socket; follow_run() returns when nobody reads from it any more. -1: none. */
    int watched_fd;
};

/* Follows until the sink wants no more, until the interrupt comes, or until the reader of
 * watched_fd has gone: then it returns 0. A negative errno, with a sentence in `ret_why`, if the
 * server cannot be reached at first, or refuses. Blocks; does not touch signals or standard
 * streams. `ret_why` is the caller's to free. */
int follow_run(const struct follow_wish *wish, const struct follow_sink *sink,
               const struct interrupt *interrupt, struct buf *ret_why);
