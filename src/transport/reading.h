/* A read request, for whatever mechanism answers it, and its start in the log. */
#pragma once

#include "transport/exchange.h"

enum start_kind {
    START_CURSOR,     /* a position that the client claims */
    START_UNREADABLE, /* a Last-Event-ID that is no position: counts as a gap */
    START_EARLIEST,
    START_NOW,
    START_LAST, /* the newest events, a number of them */
    START_TIME, /* events after a time */
};

struct start {
    enum start_kind kind;
    uint64_t id;
    uint32_t last;
    int64_t time_us;
    uint64_t told; /* START_CURSOR: gaps up to here are known to the client; 0: up to `id` */
};

/* The reason of a gap for a client whose position is not one of this log. For the others see
 * log_gap_reason(). */
#define GAP_UNKNOWN "unknown"

/* Made by the API for a request, and shared with its repetitions; freed by reading_free(). */
struct reading {
    struct selection *selection;
    struct start start;
    enum format_id format;
    bool data;        /* format=data */
    bool no_echo;     /* leave out what came by this very connection */
    bool prefer_wait; /* the wait was asked for by Prefer */
    bool has_before;
    bool named_limit;
    uint64_t before;
    uint32_t limit;
    uint32_t wait_s;
    uint32_t beat_s;
    struct str channel; /* the one channel, when asked by /channels/…; in `arena` */
    struct str kept;    /* the query without positions and token, for links; in `arena` */
    struct arena arena;
    uint32_t shares; /* further owners */
    /* The start once it was found: */
    uint64_t cursor;
    uint64_t told; /* gaps up to here are not to be told */
    const char
        *gap; /* why a gap from `claimed` to `told` is to be told first; NULL: there is none */
    uint64_t claimed; /* the client's position; unless GAP_UNKNOWN, up to where it knows of gaps */
};

struct reading *reading_new(void);
/* Another owner, who calls reading_free() too. */
struct reading *reading_share(struct reading *reading);
void reading_free(struct reading *reading);

/* A search for where to begin, under way. */
struct start_search {
    struct question question;
    struct selection *selection;
    struct start start;
    uint64_t cursor;
    uint64_t upto; /* START_LAST: all above it was looked at; 0 at the beginning of the log */
    uint32_t left; /* START_LAST: so many events are still to be found */
    int error;
    void *owner;
    void (*found)(void *owner, int error, uint64_t cursor, uint64_t told);
};

/* Whether the start can be told at once (true: `cursor`, `told`, `gap` and `claimed` are set),
 * or has to be searched for. */
bool start_is_known(struct hub *hub, struct selection *selection, const struct start *start,
                    struct reading *ret);

/* Searches for it; `found` is called on the hub's thread. NULL when there is no memory. If
 * START_LAST uses up its allowance, the oldest event found so far is the start. `exchange`: the one
 * that waits for it, or NULL. */
struct start_search *start_search(struct hub *hub, struct selection *selection,
                                  const struct start *start, struct exchange *exchange, void *owner,
                                  void (*found)(void *owner, int error, uint64_t cursor,
                                                uint64_t told));

/* Ends the search early: `found` is not called. */
void start_search_drop(struct start_search *search);

/* The problem to answer when hub_subscribe() has failed with `result`, with what to say about it.
 * Counts the limit that was hit. */
enum problem reading_subscribe_problem(struct worker *worker, int result, struct str *ret_detail);

/* The headers that every read's answer has: Cursor and Vary. */
void reading_add_cursor(struct response *response, uint64_t cursor);

/* The same, and links to the other mechanisms. */
void reading_add_headers(struct response *response, const struct reading *reading, struct str base,
                         uint64_t cursor);

/* Adds the links by which a subscriber of WebSub discovers the hub and the topic's own name. */
void reading_add_topic(struct response *response, struct str base, struct str channel);

/* Adds a link to the same selection with a parameter: "?NAME=VALUE" and the kept query. */
void reading_add_link(struct response *response, const struct reading *reading, const char *name,
                      struct str value, const char *relation);

/* Adds "?NAME=VALUE" and the kept query behind it. */
void reading_add_query(struct buf *out, const struct reading *reading, const char *name,
                       struct str value);
