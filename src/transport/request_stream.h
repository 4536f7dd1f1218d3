/* A request stream: the way of a request's response to its client, whatever the connection speaks.
 *
 *     api/, formats  ──exchange_respond()──▶  request stream  ──▶  kind of connection  ──▶  socket
 *                    ──exchange_pull()────▶
 *
 * Handlers and formats know the request stream alone. The connection's kind embeds it and gives it
 * its operations. A connection of HTTP/1.1 has one at a time (http1_state.h): it writes chunks, and
 * what ends it ends the connection. A connection that carries many has one for each, frames their
 * bytes, and asks their pulls in turn for as much as their windows allow.
 *
 * A response that goes on is written by a *pull*, which is asked for bytes when they can be sent.
 * Bytes that go before any of it, such as heartbeats and the unsent rest of an event, are added to
 * `out`. Bytes that came and are not used yet lie in `intake`. Both are there only while they are
 * needed, since every idle subscriber has a request stream.
 *
 * All of it belongs to the thread of its worker. A request stream lives until its kind frees it,
 * which calls pull_ops.free before. */
#pragma once

#include "base/problem.h"
#include "http/body.h"
#include "http/gzip.h"
#include "transport/holding.h"
#include "transport/rest.h"
#include "transport/worker_state.h"

struct exchange;
struct page_key;
struct response;
struct request_stream;

struct pull {
    const struct pull_ops *ops;
    struct request_stream *request; /* NULL until it has begun */
};

/* The operations of what writes a body that goes on. The request stream's kind calls `free`
 * last. */
struct pull_ops {
    /* Returns the next bytes, called when all of `out` is sent; see conn_ops. `sent` follows before
     * the next call, with the number of bytes that were taken, and `blocked` if no more are. It may
     * say that there is no need to ask again: whatever changes that makes the request stream
     * dirty. */
    struct str (*fill)(struct pull *pull);
    bool (*sent)(struct pull *pull, size_t n, bool blocked);
    /* Bytes have come; NULL: the peer has nothing to say, they stay unread. Returns how many were
     * used: all of them, unless worker_spend() says that it is enough for now, or `deaf` would say
     * that nothing is to be read. The rest comes again. */
    size_t (*input)(struct pull *pull, char *bytes, size_t len);
    /* With `input`: whether nothing is to be read now. Then the pull sees to request_stream_wake()
     * or request_stream_pause(). */
    bool (*deaf)(struct pull *pull);
    void (*ring)(struct pull *pull);  /* the request stream's timer */
    void (*drain)(struct pull *pull); /* end politely */
    void (*free)(struct pull *pull);
    /* With `input`: the bytes held of what has not come whole; and: forget it, and end the
     * connection with a problem. */
    size_t (*held)(const struct pull *pull);
    void (*refuse)(struct pull *pull, enum problem problem);
    /* With `input`: whether a message that has come whole is being worked through. Then `input` is
     * called without bytes, to go on. */
    bool (*busy)(const struct pull *pull);
};

/* A body that is being received. */
struct request_body {
    struct http_chunked chunked;
    struct buf decoded;    /* the body without its chunk framing */
    bool whole;            /* the whole body is in `decoded` */
    struct http_gzip gzip; /* while the body is decompressed */
    struct buf plain;      /* the decompressed part */
    bool is_plain;         /* all of the body is in `plain` */
};

static inline size_t request_body_held(const struct request_body *body)
{
    return body->decoded.cap + body->plain.cap + (body->gzip.stream ? HTTP_GZIP_SIZE : 0);
}

/* The bytes that a request stream receives, or has to look at again. Its kind may embed it. */
struct stream_intake {
    struct request_stream *request;
    struct buf in;          /* came and not used */
    struct holding holding; /* for `in`, the body, and what the pull has of a message */
    struct list wait_node;  /* in worker->paused or worker->resumed */
    struct request_body *body;
    struct json_scan *check; /* of a large body or message that is whole; NULL: no check is under
                              * way */
    int64_t begun_ns; /* when the current part of a request, or the current message, began; later by
                       * the time for which the server has put off reading it */
    int64_t later_ns; /* since when reading it is put off; 0: it is not */
};

/* The bytes to send before any of the pull. The rest of a large event goes first. */
struct stream_out {
    struct rest_place rest;
    struct buf bytes;
    size_t sent;            /* of them */
    int64_t taken_ns;       /* when there were first some, or the client last took some */
    struct holding holding; /* an answer while the socket takes it, a rest while it does not */
};

/* When a connection last got events by a poll: see page.c. */
struct poll_pace {
    uint16_t ms;
    bool is_set;
};

enum request_stream_state {
    REQUEST_OPEN,
    REQUEST_ENDING, /* nothing is added any more; ends once `out` is sent */
    REQUEST_CLOSED, /* is freed before long */
};

/* The operations that each kind of connection has. */
struct request_stream_ops {
    /* Sends the response of an exchange, which is used up. With a key it may be kept, for
     * `respond_known`, which sends it again if it still has it, and completes the key with what a
     * kept response depends on beside the page. */
    void (*respond)(struct exchange *exchange, const struct response *response,
                    const struct page_key *key);
    bool (*respond_known)(struct exchange *exchange, struct page_key *key); /* NULL: keeps none */
    /* Sends the head of a response whose body the pull writes. The exchange is used up. False when
     * the client is gone: the pull was freed. */
    bool (*open)(struct exchange *exchange, const struct response *response, struct pull *pull);
    void (*free_exchange)(struct exchange *exchange);
    /* The exchange has begun to wait, and does no more: its `waiting` is told of what happens. */
    void (*wait)(struct exchange *exchange);
    void (*end_wait)(struct exchange *exchange);

    /* `dirty`: there may be bytes to send. `woken`: the same for a subscriber that the hub has
     * woken; if it is `behind`, its bytes may wait until others have their new events. `behind`:
     * only notes whether it is. */
    void (*dirty)(struct request_stream *request);
    void (*woken)(struct request_stream *request, bool behind);
    void (*behind)(struct request_stream *request, bool behind);
    /* `end`: ends the response once all of `out` is sent. `close`: ends it at once, as after a
     * failure. */
    void (*end)(struct request_stream *request);
    void (*close)(struct request_stream *request);
    enum request_stream_state (*state)(const struct request_stream *request);

    struct conn *(*conn)(const struct request_stream *request);
    struct poll_pace *(*pace)(const struct request_stream *request);
    void (*ring_in)(struct request_stream *request, int64_t ms);

    /* Makes room for what comes: zeroes, and `request` set. NULL if there is no memory. */
    struct stream_intake *(*intake_new)(struct request_stream *request);
    void (*resume)(struct request_stream *request); /* reads on: the turn has come */
    /* Frees what the holding stands for: see request_stream_shed(). */
    void (*shed)(struct request_stream *request, struct holding *holding);
};

struct request_stream {
    const struct request_stream_ops *ops;
    struct worker *worker;
    struct pull *pull;            /* NULL: no response goes on */
    struct stream_intake *intake; /* NULL: nothing has come */
    struct stream_out *out;       /* NULL: nothing is to be sent */
    struct timer timer;           /* of its kind, and of the pull */
};

/* ---- for pulls ------------------------------------------------------------------------------- */

/* Returns the buffer for bytes that go out before anything of the pull. It stands until it is sent.
 * After adding, call request_stream_dirty(). Without memory the request stream is closed, and added
 * bytes are lost. */
struct buf *request_stream_add(struct request_stream *request);
void request_stream_dirty(struct request_stream *request);

/* The same for a subscriber of the pull that the hub has woken: new events go before pages for
 * subscribers that catch up. */
static inline void request_stream_woken(struct request_stream *request, const struct sub *sub)
{
    request->ops->woken(request, sub->state == SUB_BEHIND);
}

/* The result of `sent` for a pull with one subscriber: whether to ask again. Notes whether that may
 * wait for others. */
static inline bool request_stream_has_more(struct request_stream *request, const struct sub *sub)
{
    request->ops->behind(request, !sub_is_live(sub) && sub->state != SUB_QUEUED);
    return !sub_is_live(sub);
}

/* The unsent rest of an event: the end of the piece, to which it takes a reference, or, if that is
 * NULL, bytes that are copied. Counts against rests_max, like all that a client does not take. The
 * request stream may be closed for it. */
void request_stream_keep_rest(struct request_stream *request, struct str rest, struct piece *piece);

/* Ends the response once everything is sent. */
static inline void request_stream_end(struct request_stream *request)
{
    request->ops->end(request);
}

static inline void request_stream_close(struct request_stream *request)
{
    request->ops->close(request);
}

static inline bool request_stream_is_ending(const struct request_stream *request)
{
    return request->ops->state(request) == REQUEST_ENDING;
}

static inline bool request_stream_is_closed(const struct request_stream *request)
{
    return request->ops->state(request) == REQUEST_CLOSED;
}

/* The connection: who is at the other end, and whether it takes bytes. */
static inline struct conn *request_stream_conn(const struct request_stream *request)
{
    return request->ops->conn(request);
}

/* At a beat of a subscriber: closes if the peer has acknowledged nothing for two beats that went
 * out before this one. Whether it did. */
bool request_stream_close_deserted(struct request_stream *request, unsigned beat_s);

/* Rings the pull in so many ms, unless it is to be drained before. */
static inline void request_stream_ring_in(struct request_stream *request, int64_t ms)
{
    request->ops->ring_in(request, ms);
}

/* Has request_stream_ops.resume called later in this turn, or once the log has caught up with
 * publishers. */
void request_stream_wake(struct request_stream *request);
void request_stream_pause(struct request_stream *request);

/* ---- `out` ----------------------------------------------------------------------------------- */

/* How much of `out` is to be sent yet, of that without what is shared with others, and what is
 * next. */
static inline size_t request_stream_own_len(const struct request_stream *request)
{
    return request->out ? request->out->bytes.len - request->out->sent : 0;
}

static inline size_t request_stream_unsent_len(const struct request_stream *request)
{
    return request->out ? request_stream_own_len(request) + rest_unsent(&request->out->rest).len
                        : 0;
}

static inline struct str request_stream_unsent(const struct request_stream *request)
{
    if (!request_stream_unsent_len(request))
        return STR_NONE;
    return request->out->rest.rest ? rest_unsent(&request->out->rest)
                                   : str_skip(buf_str(&request->out->bytes), request->out->sent);
}

/* Whether everything of `out` is sent. */
static inline bool request_stream_is_clear(const struct request_stream *request)
{
    return !request_stream_unsent_len(request);
}

/* Whether memory lacked for something that was to be sent. */
static inline bool request_stream_lost(const struct request_stream *request)
{
    return request->out && buf_failed(&request->out->bytes);
}

/* Notes that `n` more bytes of it were sent. */
void request_stream_advance(struct request_stream *request, size_t n);

/* Counts `out` anew: after each time that it has grown or shrunk, or the client has begun or ceased
 * to take bytes. */
void request_stream_count_out(struct request_stream *request);
void request_stream_drop_out(struct request_stream *request);

/* ---- `intake` -------------------------------------------------------------------------------- */

/* Returns the intake, created if there is none; NULL if there is no memory: the request stream is
 * then closed. */
struct stream_intake *request_stream_take_in(struct request_stream *request);
void request_stream_drop_intake(struct request_stream *request);

/* Counts what has come and is not used. After each time that it may have grown or shrunk. */
void request_stream_count_intake(struct request_stream *request);

/* The bytes of what has not come whole that the pull holds. */
size_t request_stream_pull_held(const struct request_stream *request);

/* Forgets what was decoded of a body. */
void request_stream_drop_body(struct request_stream *request);

/* When the part of a request, or the message, that is on its way began. The time for which the
 * server has put off reading what has come does not count as the peer's. */
int64_t request_stream_begun_ns(const struct request_stream *request);

/* Gives up what the holding stands for: beyond held_max the largest give way. */
static inline void request_stream_shed(struct request_stream *request, struct holding *holding)
{
    request->ops->shed(request, holding);
}
