/* An HTTP/1.1 connection: requests in, responses in order, until it becomes a stream or a
 * websocket. It has one request stream at a time. */
#pragma once

#include "transport/request_stream.h"

/* The part of the current request that has come. */
enum session_part {
    PART_NONE,
    PART_HEAD, /* a part of its head */
    PART_BODY, /* all of its head, a part of its body */
};

/* The request that a connection is receiving, or has to look at again; NULL in all other
 * connections. */
struct session_intake {
    struct stream_intake common; /* comes first: it is what is freed */
    struct list exchanges;       /* struct pipelined, in order of the requests */
    uint32_t inflight;           /* number of them */
    struct http_scan scan;
    int64_t held_ns;  /* when the request that is held was first held; 0 for none */
    size_t discarded; /* bytes thrown away after our side was shut */
};

/* There is one for every idle subscriber: what is needed only at times hangs on a pointer. */
struct session {
    struct conn conn;
    struct list node; /* in worker->sessions */
    struct request_stream request;
    struct poll_pace pace;
    uint8_t phase;      /* enum session_phase */
    uint8_t part;       /* enum session_part */
    bool closing : 1;   /* once `out` is sent */
    bool finished : 1;  /* no more requests are read: the last has come, or the peer is done
                         * sending */
    bool held : 1;      /* a whole request waits for earlier answers or for the log */
    bool continued : 1; /* `100 Continue` was sent for the current request */
    bool processing : 1;
    bool chunked : 1;  /* the body that the pull writes ends with a last chunk */
    bool draining : 1; /* the timer rings for the drain of the pull */
    bool refused : 1;  /* over connections_max: its first request is answered so, and is the
                        * last */
};

/* Takes over an accepted socket. */
void session_accept(struct worker *worker, int fd);

/* The server stops: ends now if idle, after the answers that are due, or, as a stream, in
 * `after_ms`. */
void session_drain(struct session *session, uint32_t after_ms);

/* ---- for incoming.c and pipeline.c ------------------------------------------------------------
 */

static inline struct session *session_of(const struct request_stream *request)
{
    return container_of(request, struct session, request);
}

/* What it has received; NULL for nothing. And the same, created if there is nothing: NULL if there
 * is no memory, and the connection closed. */
static inline struct session_intake *session_intake(const struct session *session)
{
    struct stream_intake *common = session->request.intake;
    return common ? container_of(common, struct session_intake, common) : NULL;
}

static inline struct session_intake *session_take_in(struct session *session)
{
    (void)request_stream_take_in(&session->request);
    return session_intake(session);
}

/* The number of exchanges that are open. */
static inline uint32_t session_inflight(const struct session *session)
{
    return session->request.intake ? session_intake(session)->inflight : 0;
}

/* Drops the intake if nothing in it is needed. */
void session_drop_intake(struct session *session);

/* Closes when everything is sent, after telling the peer that we are done. */
void session_close_soon(struct session *session);

/* Sets what the connection waits for now, and until when. */
void session_settle(struct session *session);

/* The connection is the pull's from here, and is its own again. */
void session_begin_pull(struct session *session, struct pull *pull);
void session_end_pull(struct session *session);
