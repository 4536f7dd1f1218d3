/* The state of an HTTP/1.1 connection: requests in, responses in order, until it becomes a stream
 * or a websocket. It has one request stream at a time. http1.c reads and writes it, incoming.c
 * takes its requests apart, and pipeline.c sends its responses. */
#pragma once

#include "transport/request_stream.h"

/* The event that the connection waits for. It gives the timer its meaning. */
enum http1_phase {
    PHASE_IDLE, /* between requests */
    PHASE_HEAD,
    PHASE_BODY,
    PHASE_WAIT, /* responses are due */
    PHASE_SEND, /* a response is to be sent */
    PHASE_POLL, /* the exchange waits */
    PHASE_PULL,
    PHASE_LINGER, /* our side is shut */
};

/* The part of the current request that has come. */
enum http1_part {
    PART_NONE,
    PART_HEAD, /* a part of its head */
    PART_BODY, /* all of its head, a part of its body */
};

/* The request being received, or to be looked at again. NULL in all other connections. */
struct http1_intake {
    struct stream_intake common; /* first member: freed by its address */
    struct list exchanges;       /* struct pipelined, in order of the requests */
    uint32_t inflight;           /* number of them */
    struct http_scan scan;
    int64_t held_ns;  /* when the held request was first held; 0 if none is held */
    size_t discarded; /* bytes thrown away after our side was shut */
};

/* Every idle subscriber has one of these, so parts that are needed only at times hang on a
 * pointer. */
struct http1 {
    struct conn conn;
    struct request_stream request;
    struct poll_pace pace;
    uint8_t phase;      /* enum http1_phase */
    uint8_t part;       /* enum http1_part */
    bool closing : 1;   /* once `out` is sent */
    bool finished : 1;  /* no more requests are read: the last has come, or the peer is done
                         * sending */
    bool held : 1;      /* a complete request waits for earlier answers or for the log */
    bool continued : 1; /* `100 Continue` was sent for the current request */
    bool processing : 1;
    bool chunked : 1;  /* the body that the pull writes ends with a last chunk */
    bool draining : 1; /* the timer is set for the drain of the pull */
    bool asked : 1;    /* its first request has come: it will not speak HTTP/2 */
    /* enum entry_excess: over a limit of connections; its first request is refused, and is its last
     */
    uint8_t refused : 2;
};

/* Closes a connection on which nothing is under way, with a word to the peer over TLS. */
void http1_close_idle(struct http1 *http1);

/* conn_ops.drain: an idle connection ends now, others after the answers that are due, a stream
 * within `after_ms`. */
void http1_drain(struct http1 *http1, uint32_t after_ms);

/* ---- for incoming.c and pipeline.c ----------------------------------------------------------- */

static inline struct http1 *http1_of(const struct request_stream *request)
{
    return container_of(request, struct http1, request);
}

/* The received bytes; NULL if there are none. http1_take_in() creates the intake if there is none;
 * without memory it closes the connection and returns NULL. */
static inline struct http1_intake *http1_intake(const struct http1 *http1)
{
    struct stream_intake *common = http1->request.intake;
    return common ? container_of(common, struct http1_intake, common) : NULL;
}

static inline struct http1_intake *http1_take_in(struct http1 *http1)
{
    (void)request_stream_take_in(&http1->request);
    return http1_intake(http1);
}

/* The number of exchanges that are open. */
static inline uint32_t http1_inflight(const struct http1 *http1)
{
    return http1->request.intake ? http1_intake(http1)->inflight : 0;
}

/* Frees the intake if nothing in it is needed. */
void http1_drop_intake(struct http1 *http1);

/* Sends what is left, shuts our side, and closes when the peer has closed too. */
void http1_close_soon(struct http1 *http1);

/* Enters a phase and sets its timer, unless the connection is in it. http1_time_phase() sets the
 * timer again; http1_time_stall() sets that for a peer which does not read. */
void http1_enter(struct http1 *http1, enum http1_phase phase);
void http1_time_phase(struct http1 *http1);
void http1_time_stall(struct http1 *http1);

/* Whether the time limit of the phase is over. */
bool http1_is_late(const struct http1 *http1);

/* Finds the phase that follows from the connection's state, and enters it. */
void http1_settle(struct http1 *http1);

/* Gives the connection to the pull. */
void http1_begin_pull(struct http1 *http1, struct pull *pull);

/* Begins and ends the wait of the only exchange. */
void http1_begin_wait(struct http1 *http1);
void http1_end_wait(struct http1 *http1);

/* Whether a pull or a poll has the connection, so that no request is read. */
static inline bool http1_is_taken(const struct http1 *http1)
{
    return http1->request.pull || http1->phase == PHASE_POLL;
}
