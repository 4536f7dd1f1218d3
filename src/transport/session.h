/* An HTTP/1.1 connection: requests in, responses in order, until it becomes a stream or a
 * websocket. */
#pragma once

#include "http/body.h"
#include "http/gzip.h"
#include "http/response.h"
#include "transport/holding.h"
#include "base/problem.h"
#include "transport/rest.h"
#include "transport/worker_state.h"

struct pull;

/* The operations of a connection that no longer alternates requests and responses. The session owns
 * the pull and calls `free` last. */
struct pull_ops {
    /* Like conn_ops, called when the session's own bytes are out. `sent` may say that there is no
     * need to ask again: whatever changes that makes the session dirty. */
    struct str (*fill)(struct pull *pull);
    bool (*sent)(struct pull *pull, size_t n, bool blocked);
    /* Bytes have come; NULL: the peer has nothing to say, they stay unread. Returns how many were
     * used: all of them, unless worker_spend() says that it is enough for now, or `deaf` would say
     * that nothing is to be read. The rest comes again. */
    size_t (*input)(struct pull *pull, char *bytes, size_t len);
    /* With `input`: whether nothing is to be read now. Then the pull sees to session_wake() or
     * session_pause(). */
    bool (*deaf)(struct pull *pull);
    void (*ring)(struct pull *pull);  /* the session's timer */
    void (*drain)(struct pull *pull); /* end politely */
    void (*free)(struct pull *pull);
    /* With `input`: the bytes held of what has not come whole; and: forget it, and end the
     * connection with a problem. */
    size_t (*held)(const struct pull *pull);
    void (*refuse)(struct pull *pull, enum problem problem);
    /* With `input`: whether a message that has come whole is being worked through. Then `input` is
     * called without bytes, to go on. */
    bool (*busy)(const struct pull *pull);
    void (*leave)(struct pull *pull); /* without `input`: the peer is done sending; NULL: close */
    bool brief; /* ends by itself soon: one who is done sending is not taken for gone */
};

struct pull {
    const struct pull_ops *ops;
    struct session *session;
};

/* The part of the current request that has come. */
enum session_part {
    PART_NONE,
    PART_HEAD, /* a part of its head */
    PART_BODY, /* all of its head, a part of its body */
};

/* A body that is being received. */
struct session_body {
    struct http_chunked chunked;
    struct buf decoded;    /* the body without its chunk framing */
    bool whole;            /* the whole body is in `decoded` */
    struct http_gzip gzip; /* while the body is decompressed */
    struct buf plain;      /* the decompressed part */
    bool is_plain;         /* all of the body is in `plain` */
};

static inline size_t session_body_held(const struct session_body *body)
{
    return body->decoded.cap + body->plain.cap + (body->gzip.stream ? HTTP_GZIP_SIZE : 0);
}

/* The request that a connection is receiving, or has to look at again; NULL in all other
 * connections. */
struct session_intake {
    struct session *session;
    struct buf in;          /* came and not used */
    struct holding holding; /* for `in`, the body, and what the pull has of a message */
    struct list exchanges;  /* in order of the requests */
    struct list wait_node;  /* in worker->paused or worker->resumed */
    struct session_body *body;
    struct json_scan *check; /* of a large body or message that is whole; NULL: no check is under
                              * way */
    struct http_scan scan;
    int64_t begun_ns; /* when the current part of a request, or the current message, began; later by
                       * the time for which the server has put off reading it */
    int64_t later_ns; /* since when reading it is put off; 0: it is not */
    int64_t held_ns;  /* when the request that is held was first held; 0 for none */
    size_t discarded; /* bytes thrown away after our side was shut */
};

/* The bytes to send before any of the pull; NULL if there are none. The rest of a large event goes
 * first. */
struct session_out {
    struct session *session;
    struct rest_place rest;
    struct buf bytes;
    size_t sent;            /* of them */
    int64_t taken_ns;       /* when there were first some, or the socket last took some */
    struct holding holding; /* an answer while the socket takes it, a rest while it does not */
};

/* There is one for every idle subscriber: what is needed only at times hangs on a pointer. */
struct session {
    struct conn conn;
    struct worker *worker;
    struct list node; /* in worker->sessions */
    struct timer timer;
    struct pull *pull;
    struct session_intake *intake; /* NULL: nothing has come */
    struct session_out *out;       /* NULL: nothing is to be sent */
    uint32_t inflight;             /* exchanges of `intake` */
    uint16_t polled_ms;            /* when a poll was last answered with something */
    uint8_t phase;                 /* enum session_phase */
    uint8_t part;                  /* enum session_part */
    bool closing;                  /* once `out` is sent */
    bool finished;  /* no more requests are read: the last has come, or the peer is done sending */
    bool held;      /* a whole request waits for earlier answers or for the log */
    bool continued; /* `100 Continue` was sent for the current request */
    bool processing;
    bool http10;      /* of the request that became a pull */
    bool draining;    /* the timer rings for the drain of the pull */
    bool polled : 1;  /* polled_ms is set */
    bool refused : 1; /* over connections_max: its first request is answered so, and is the last */
};

/* A request and its answer. */
struct exchange {
    struct list node;
    struct session *session; /* NULL once the connection is gone */
    struct worker *worker;
    struct publish publish; /* for the API's use, so that a publish costs one allocation */
    struct buf answer;      /* if it was given out of turn */
    struct holding holding; /* for that */
    int64_t since_ns;       /* when the request was understood */
    bool keep_alive;
    bool is_head;
    bool http10;
    bool browser;   /* has an Origin */
    bool publishes; /* others may be pipelined behind it */
    bool patient;   /* has a deadline of its own instead of limits.publish_ms */
    bool answered;
    bool dropped; /* no response is wanted any more */
    uint8_t origin_len;
    struct question *question;    /* to the log, for the answer; NULL: none */
    const struct http_head *head; /* only during handle, when the worker has the rest of the
                                   * request */
    char origin[];                /* a copy of it, for later; empty when too long */
};

/* The request's body. Only during handle. */
static inline struct str exchange_input(const struct exchange *exchange)
{
    return exchange->worker->body;
}

/* The same as it came, before its content coding was undone: what signatures are made over. */
static inline struct str exchange_received(const struct exchange *exchange)
{
    return exchange->worker->received;
}

/* The number of fields that every response has behind its own: Date, and Cache-Control. */
enum { EXCHANGE_FIELDS = 2 };

/* Longer origins are not answered with. */
enum { EXCHANGE_ORIGIN_MAX = 72 };

/* Takes over an accepted socket. */
void session_accept(struct worker *worker, int fd);

/* Gives up what the holding stands for: beyond held_max the largest give way. */
void session_shed(struct session *session, struct holding *holding);

/* Counts what has come and is not used. After each time that it may have grown or shrunk. */
void session_count_intake(struct session *session);

/* When the part of a request, or the message, that is on its way began. The time for which the
 * server has put off reading what has come does not count as the peer's. */
int64_t session_begun_ns(const struct session *session);

/* Looks again at a request that was held back. */
void session_resume(struct session *session);

/* The server stops: ends now if idle, after the answers that are due, or, as a stream, in
 * `after_ms`. */
void session_drain(struct session *session, uint32_t after_ms);

/* Where to add bytes that go out before anything of the pull. Stands until it is sent; whoever has
 * added says session_dirty(). Without memory the connection is closed, and what is added is lost.
 */
struct buf *session_add(struct session *session);
void session_dirty(struct session *session);

/* The same for a subscriber of the pull that the hub has woken: what is new goes before pages for
 * those who catch up. */
void session_woken(struct session *session, const struct sub *sub);

/* The result of `sent` for a pull with one subscriber: whether to ask again. Notes whether that may
 * wait for others. */
bool session_has_more(struct session *session, const struct sub *sub);

/* At a beat of a subscriber: closes the connection if its peer has acknowledged nothing for two
 * beats that went out before this one. Whether it did. */
bool session_close_deserted(struct session *session, unsigned beat_s);

/* Rings the pull in so many ms, unless it is to be drained before. */
void session_ring_in(struct session *session, int64_t ms);

/* Has session_resume() called later in this turn, or once the log has caught up with publishers. */
void session_wake(struct session *session);
void session_pause(struct session *session);

/* Closes when everything is sent, after telling the peer that we are done. */
void session_close_soon(struct session *session);

/* The unsent rest of an event: the end of the piece, to which it takes a reference, or, if that is
 * NULL, bytes that are copied. Counts against rests_max, like all that a socket does not take. The
 * connection may be closed for it. */
void session_keep_rest(struct session *session, struct str rest, struct piece *piece);

/* How much of `out` is to be sent yet, of that without what is shared with others, and what is
 * next. */
static inline size_t session_own_len(const struct session *session)
{
    return session->out ? session->out->bytes.len - session->out->sent : 0;
}

static inline size_t session_unsent_len(const struct session *session)
{
    return session->out ? session_own_len(session) + rest_unsent(&session->out->rest).len : 0;
}

static inline struct str session_unsent(const struct session *session)
{
    if (!session_unsent_len(session))
        return STR_NONE;
    return session->out->rest.rest ? rest_unsent(&session->out->rest)
                                   : str_skip(buf_str(&session->out->bytes), session->out->sent);
}

/* Whether everything of `out` is sent. */
static inline bool session_is_clear(const struct session *session)
{
    return !session_unsent_len(session);
}

/* Whether memory lacked for something that was to be sent. */
static inline bool session_lost(const struct session *session)
{
    return session->out && buf_failed(&session->out->bytes);
}

/* The exchange whose answer is next in turn, and the newest; there must be one. */
static inline struct exchange *session_first(const struct session *session)
{
    return container_of(session->intake->exchanges.next, struct exchange, node);
}

static inline struct exchange *session_last(const struct session *session)
{
    return container_of(session->intake->exchanges.prev, struct exchange, node);
}

/* session_take_in() returns the intake, created if there is none; NULL if there is no memory: the
 * connection is then closed. session_drop_intake() drops it if nothing in it is needed. */
struct session_intake *session_take_in(struct session *session);
void session_drop_intake(struct session *session);

/* Sets what the connection waits for now, and until when. For incoming.c alone. */
void session_settle(struct session *session);

/* The connection is the pull's from here, and is its own again. For exchange.c alone. */
void session_begin_pull(struct session *session, struct pull *pull);
void session_end_pull(struct session *session);

/* ---- answering ------------------------------------------------------------------------------ */

/* Answers with a response, which is used up: what it borrows may go afterwards. */
void exchange_respond(struct exchange *exchange, struct response *response);
void exchange_json(struct exchange *exchange, int status, struct str body);

/* Answers with a problem document. `detail` says what would be right. `members` as in
 * problem_add(). */
void exchange_problem(struct exchange *exchange, enum problem problem, struct str detail,
                      struct str members);

/* The same with the fields that `response` has already; its status and body are set here. */
void exchange_refuse(struct exchange *exchange, struct response *response, enum problem problem,
                     struct str detail, struct str members);

/* Answers as before under an equal key, if that is known: true. Otherwise the caller makes the
 * response, and has it kept under the key. The fields of the key that depend on the connection are
 * set here. */
bool exchange_respond_known(struct exchange *exchange, struct page_key *key);
void exchange_respond_keep(struct exchange *exchange, const struct page_key *key,
                           struct response *response);

/* Begins a response, which is used up, whose body the pull writes: the connection is the pull's
 * from here on. No other exchange is open. The exchange is freed. NULL when the connection is gone;
 * then the pull was freed too. */
struct session *exchange_pull(struct exchange *exchange, struct response *response,
                              struct pull *pull);

/* The pull has the connection to itself for a while, with the exchange still open: a long-poll. The
 * connection's timer and its end are the pull's to see. False when there is no connection. */
bool exchange_attach(struct exchange *exchange, struct pull *pull);
/* The pull is done; the exchange is answered next. Does not free the pull. */
void exchange_detach(struct exchange *exchange);

/* Asks the log for this exchange: the question is dropped if the connection goes, and hurried once
 * the peer has finished sending. */
void exchange_ask(struct exchange *exchange, struct question *question);

/* The question was answered. Whether the exchange still wants it; otherwise it was freed. */
bool exchange_is_answered(struct exchange *exchange);

/* Frees an exchange whose connection is gone, or whose answer is complete. The answering functions
 * do this; for those who find `dropped` set. */
void exchange_free(struct exchange *exchange);
