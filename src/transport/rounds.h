/* Walks over everything that goes on over a worker's connections: streams, WebSockets and polls.
 *
 *     rounds_begin() ──▶ rounds_some(), in slices ──▶ conn_ops.visit ──▶ rounds_show() ──▶ `visit`
 *                                            the last connection ──▶ `done`
 *
 * Subscribers who are nobody are in no table (live.h), and an idle one has no byte to spare. So a
 * list of subscriptions is made by a walk over the connections, when somebody asks for it. A slice
 * lasts half a millisecond, and one walk is under way at a time. The streams of an HTTP/2
 * connection are shown together: http2_streams_max bounds them. Connections that were visited go to
 * the end of the worker's list, and new ones come behind them: a walk visits each connection that
 * is there from its beginning to its end, and no connection twice. If the rules of access change
 * meanwhile, the walk gives its connections up to the review (review.h), and begins anew after it.
 * All of it belongs to the thread of the worker. */
#pragma once

#include "transport/exchange.h"
#include "transport/formats/formats.h"

struct rounds;

struct rounds_ops {
    /* Called for everything that goes on; `waiting` is NULL for a pull. It may end what it is
     * shown. */
    void (*visit)(struct rounds *rounds, struct request_stream *request, struct waiting *waiting);
    /* The walk begins anew: forgets what was shown. */
    void (*restart)(struct rounds *rounds);
    /* The walk is over: not whole if the worker has ended before. May free the rounds. */
    void (*done)(struct rounds *rounds, bool whole);
};

/* Embedded by the owner of a walk, who keeps it until `done`. */
struct rounds {
    struct list node;
    const struct rounds_ops *ops;
    struct worker *worker;
    unsigned shown; /* of the connection that is being visited */
    bool begun;
};

/* Begins a walk. `rounds` is in use until `done`, which is called at once if the worker stops. */
void rounds_begin(struct worker *worker, struct rounds *rounds, const struct rounds_ops *ops);

/* Does a slice. */
void rounds_some(struct worker *worker);

/* Whether something is left for the next turn. */
static inline bool rounds_are_busy(const struct worker *worker)
{
    return !list_empty(&worker->rounds);
}

/* Ends all walks of a worker that has ended. */
void rounds_end(struct worker *worker);

/* conn_ops.visit: shows what goes on to the `visitor`. */
void rounds_show(void *visitor, struct request_stream *request, struct waiting *waiting);

/* ---- facts of a subscription ---------------------------------------------------------------- */

/* Strings are borrowed. */
struct subscription_facts {
    enum format_id format;
    const struct caller *caller; /* NULL: anybody */
    uint32_t since_s;            /* see rounds_now_s() */
    uint64_t cursor;             /* the position up to which it has taken everything; 0: unknown */
    bool is_behind;              /* reads events that others have had */
    size_t terms_count;
    struct str terms[SELECTION_TERMS_MAX]; /* channels and patterns */
};

/* The facts of what was shown. False if it is no subscription. */
bool rounds_facts(const struct request_stream *request, const struct waiting *waiting,
                  struct subscription_facts *ret);

/* Whether events of the channel would be sent. */
bool facts_have_channel(const struct subscription_facts *facts, struct str channel);

/* Ends a pull as politely as it can, and answers a poll early. False if it was about to end. */
bool rounds_end_shown(struct request_stream *request, struct waiting *waiting);

/* For pull_ops.tell and waiting_ops.tell: add a term, the terms of a selection, the position of a
 * subscriber, or both of these. */
void facts_add_term(struct subscription_facts *facts, struct str term);
void facts_add_terms(struct subscription_facts *facts, const struct selection *selection);
void facts_add_position(struct subscription_facts *facts, const struct hub *hub,
                        const struct sub *sub);
void facts_add(struct subscription_facts *facts, const struct hub *hub, const struct sub *sub);

/* Seconds of the monotonic clock: four bytes say when a subscription began. */
static inline uint32_t rounds_now_s(const struct worker *worker)
{
    return (uint32_t)(worker->loop.now_ns / 1000000000);
}
