/* The requests of an HTTP/1.1 connection that are not answered, and their responses, which are sent
 * in the order of the requests. */
#pragma once

#include "transport/exchange.h"
#include "transport/http1_state.h"

/* An exchange of such a connection. */
struct pipelined {
    struct list node;  /* in http1_intake.exchanges */
    struct buf answer; /* the response, if it was ready before its turn */
    bool keep_alive;
    bool http10;
    bool publishes; /* publishes may be pipelined after it */
    bool answered;
    struct exchange exchange;
};

static inline struct pipelined *pipelined_of(const struct exchange *exchange)
{
    return container_of(exchange, struct pipelined, exchange);
}

/* The exchange whose answer is next in turn, and the newest; there must be one. */
static inline struct pipelined *pipeline_first(const struct http1 *http1)
{
    return container_of(http1_intake(http1)->exchanges.next, struct pipelined, node);
}

static inline struct pipelined *pipeline_last(const struct http1 *http1)
{
    return container_of(http1_intake(http1)->exchanges.prev, struct pipelined, node);
}

/* The poll for which the connection is in PHASE_POLL. */
static inline struct waiting *pipeline_waiting(const struct http1 *http1)
{
    return pipeline_first(http1)->exchange.waiting;
}

/* Adds an exchange behind all others. NULL if there is no memory. */
struct pipelined *pipeline_add(struct http1 *http1, struct str origin);

/* Replaces the first exchange by one of our own that will be answered in its place: the handler's
 * finds itself dropped. NULL if there is no memory. */
struct pipelined *pipeline_replace_first(struct http1 *http1);

/* The connection is gone: marks all exchanges as dropped. */
void pipeline_drop(struct http1 *http1);

/* Operations of request_stream_ops that concern exchanges; used by http1_state.c. */
void pipeline_respond(struct exchange *exchange, const struct response *response,
                      const struct page_key *key);
bool pipeline_respond_known(struct exchange *exchange, struct page_key *key);
bool pipeline_open(struct exchange *exchange, const struct response *response, struct pull *pull);
void pipeline_free(struct exchange *exchange);
