/* A read request, and its start in the log, for every mechanism that answers it. */
#pragma once

#include "subscribe/start.h"
#include "subscribe/subscription.h"
#include "transport/exchange.h"

/* Made by the API for a request, and shared with equal requests; freed by reading_free(). */
struct reading {
    struct selection *selection;
    struct position from;
    enum format_id format;
    bool data;        /* format=data */
    bool gzip;        /* the stream is compressed */
    bool may_gzip;    /* or would be for other clients */
    bool no_echo;     /* leaves out the events published by this connection */
    bool prefer_wait; /* the wait was asked for by a Prefer header */
    bool has_before;
    uint64_t before;
    uint32_t limit;
    uint32_t wait_s;
    uint32_t beat_s;
    struct str channel; /* the one channel, when asked by /channels/…; in `arena` */
    struct str as;      /* the name that the client gives itself for presence; in `arena` */
    struct str kept;    /* the query without positions and token, for links; in `arena` */
    struct arena arena;
    uint32_t shares;    /* further owners */
    struct start start; /* once it was found */
};

/* Zeroes with one owner; NULL if there is no memory. */
struct reading *reading_new(void);
/* Adds an owner, who must call reading_free() too. */
struct reading *reading_share(struct reading *reading);
void reading_free(struct reading *reading);

/* Sets the refusal for a failed hub_subscribe(), and counts the limit that was reached. */
void reading_refuse(struct worker *worker, int result, struct refusal *ret_refusal);

/* Subscribes at a start. Returns false if the hub refuses. */
bool reading_subscribe(struct worker *worker, struct sub *sub, const struct sub_ops *ops,
                       struct selection *selection, unsigned encoding, const struct start *start,
                       struct refusal *ret_refusal);

/* Adds the fields of every read's answer: Cursor and Vary. */
void reading_add_cursor(struct response *response, uint64_t cursor);

/* The same, and the links to the other mechanisms. */
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
