/* The state of an HTTP/1.1 connection: requests in, responses in order, until it becomes a stream
 * or a websocket. It has one request stream at a time. http1.c reads and writes it, incoming.c
 * takes its requests apart, and pipeline.c sends its responses. */
#pragma once

#include "transport/request_stream.h"

/* The event that the connection waits for, and so the meaning of its timer. */
enum session_phase {
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

/* Every idle subscriber has a session, so parts that are needed only at times hang on a pointer. */
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

/* The server stops: ends now if idle, after the answers that are due, or, as a stream, in
 * `after_ms`. */
void session_drain(struct session *session, uint32_t after_ms);

/* ---- for incoming.c and pipeline.c ----------------------------------------------------------- */

static inline struct session *session_of(const struct request_stream *request)
{
    return container_of(request, struct session, request);
}

/* The bytes that have come; NULL for none. And the same, created if there is nothing: NULL if there
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

/* Begins a phase, unless the connection is in it, and sets its timer. And: sets it again; sets that
 * for a peer which does not read. */
void session_enter(struct session *session, enum session_phase phase);
void session_time_phase(struct session *session);
void session_time_stall(struct session *session);

/* Whether the time is over that the phase gives. */
bool session_is_late(const struct session *session);

/* Sets what the connection waits for now, and until when. */
void session_settle(struct session *session);

/* The connection is the pull's from here. */
void session_begin_pull(struct session *session, struct pull *pull);

/* The only exchange waits, and does no more. */
void session_begin_wait(struct session *session);
void session_end_wait(struct session *session);

/* Whether no request is read for that. */
static inline bool session_is_taken(const struct session *session)
{
    return session->request.pull || session->phase == PHASE_POLL;
}
