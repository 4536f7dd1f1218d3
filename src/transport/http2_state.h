/* The state of an HTTP/2 connection and of its request streams. http2_connection.c reads and writes
 * the connection, http2_requests.c receives its requests, and http2_streams.c sends its
 * responses. */
#pragma once

#include "http2/http2.h"
#include "transport/exchange.h"

/* The event that a stream waits for, and so the meaning of its timer. */
enum http2_phase {
    HTTP2_BODY, /* the rest of the request */
    HTTP2_HELD, /* the request is whole, and waits for the log or is being checked */
    HTTP2_WAIT, /* the response is due */
    HTTP2_POLL, /* the exchange waits */
    HTTP2_PULL,
    HTTP2_SEND,   /* the client is to take the rest of the response */
    HTTP2_LINGER, /* our side is ended */
};

/* Every idle subscriber of the connection has one, so parts that are needed only at times hang on a
 * pointer. The fields that a delivery needs come first here and in the connection, since each cache
 * line of a thousand of them is a miss. */
struct http2_request_stream {
    struct request_stream request;
    struct http2_stream wire;
    struct http2_connection *connection;
    uint32_t id;               /* like those of connections */
    uint8_t phase;             /* enum http2_phase */
    uint8_t state;             /* enum request_stream_state */
    bool tunnel : 1;           /* a WebSocket by extended CONNECT */
    bool draining : 1;         /* the timer rings for the drain of its pull or poll */
    bool behind : 1;           /* its next bytes are for catching up */
    struct exchange *exchange; /* not answered; NULL: none */
    struct list look;          /* in connection->looks while it is to be asked */
    struct list node;          /* in connection->streams */
};

struct http2_connection {
    struct conn conn;
    struct http2 *http2;
    struct str next;   /* the bytes of all streams that leave next, in worker->send_room */
    struct list looks; /* streams to ask in the next gathering: for their polls, and those that were
                        * woken while they were asked */
    struct buf out;    /* bytes that the socket did not take, or that had no room there */
    size_t sent;       /* of them */
    struct http2_request_stream *asked; /* by its `fill`; NULL: none */
    uint8_t
        refused : 2;   /* enum entry_excess: over a limit of connections, it is told so, and ends */
    bool ending : 1;   /* was told that it ends */
    bool lingers : 1;  /* our side is shut */
    bool finished : 1; /* the peer is done sending, or cannot be understood any more */
    bool draining : 1;
    bool lively : 1; /* the bytes that were gathered last are not for catching up alone */
    uint32_t streams_count;
    struct holding codec; /* for the memory of nghttp2 */
    /* Stands for the connection in the worker's queues and accounts; its intake has bytes that came
     * and were not read, and its timer is the connection's. */
    struct request_stream control;
    struct list streams;
    struct poll_pace pace;
    struct holding holding; /* for `out` */
    struct holding head;    /* for a request's head that is not whole */
    size_t discarded;       /* bytes thrown away after our side was shut */
};

/* Whether bytes of the peer have come that were not read yet. */
static inline bool http2_has_unread(const struct http2_connection *connection)
{
    const struct stream_intake *intake = connection->control.intake;
    return (intake && intake->in.len) || conn_has_unread(&connection->conn);
}

static inline struct http2_request_stream *http2_of_request(const struct request_stream *request)
{
    return container_of(request, struct http2_request_stream, request);
}

static inline struct http2_request_stream *http2_of_wire(struct http2_stream *wire)
{
    return container_of(wire, struct http2_request_stream, wire);
}
