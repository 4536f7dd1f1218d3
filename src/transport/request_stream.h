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
#include "transport/ending.h"
#include "transport/holding.h"
#include "transport/rest.h"
#include "transport/worker_state.h"

struct exchange;
struct page_key;
struct response;
struct request_stream;
struct subscription_facts;

struct pull {
    const struct pull_ops *ops;
    struct request_stream *request; /* NULL until it has begun */
};

/* The operations of a pull. The kind of connection calls `free` last. */
struct pull_ops {
    /* Returns the next bytes; called when all of `out` is sent, see conn_ops. Before the next call
     * `sent` tells how many bytes were taken, and whether no more can be sent (`blocked`). `sent`
     * may return false if there is nothing more to send: later changes call request_stream_dirty().
     */
    struct str (*fill)(struct pull *pull);
    bool (*sent)(struct pull *pull, size_t n, bool blocked);
    /* Bytes have come; NULL: the pull takes no input, and bytes stay unread. Returns how many it
     * used: all, unless worker_spend() ends the step or `deaf` would return true. Unused bytes are
     * passed again. */
    size_t (*input)(struct pull *pull, char *bytes, size_t len);
    /* With `input`: whether to read nothing now. Then the pull must arrange for
     * request_stream_wake() or request_stream_pause(). */
    bool (*deaf)(struct pull *pull);
    void (*ring)(struct pull *pull); /* the request stream's timer */
    /* Ends politely, and says why. */
    void (*goodbye)(struct pull *pull, enum ending why);
    void (*free)(struct pull *pull);
    /* With `input`: `held` is the number of bytes held for an unfinished message; `refuse` drops
     * them and ends the connection with a problem. */
    size_t (*held)(const struct pull *pull);
    void (*refuse)(struct pull *pull, enum problem problem);
    /* With `input`: whether a complete message is still being processed. Then `input` is called
     * without bytes, to continue. */
    bool (*busy)(const struct pull *pull);
    /* Whether it sends events of the channel. NULL: it sends none. */
    bool (*reads)(const struct pull *pull, struct str channel);
    /* Whether it may go on under rules that have changed. One that can do without a part of what it
     * sends drops that part, and goes on. NULL: it may. */
    bool (*review)(struct pull *pull, const struct access *access);
    /* Says what it subscribes to, see rounds.h. NULL: it is no subscription. */
    void (*tell)(const struct pull *pull, struct subscription_facts *facts);
    /* With `input`: whether the peer has said goodbye, and the pull still has to answer that. It
     * then ends the request stream. */
    bool (*leaves)(const struct pull *pull);
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

/* The bytes that a request stream receives, or must look at again. Its kind may embed it. */
struct stream_intake {
    struct request_stream *request;
    struct buf in; /* came and not used */
    /* holdings of `in`, of the body, and of the pull's unfinished message */
    struct holding holding;
    struct list wait_node; /* in worker->paused or worker->resumed */
    struct request_body *body;
    /* the check of a large, complete body or message; NULL: none is under way */
    struct json_scan *check;
    int64_t begun_ns; /* when the current part of a request, or the current message, began; moved
                         forward by the time for which the server put off reading it */
    int64_t later_ns; /* since when its reading is put off; 0: it is not */
};

/* The bytes to send before those of the pull, beginning with the rest of a large event. */
struct stream_out {
    struct rest_place rest;
    struct buf bytes;
    size_t sent;            /* of them */
    int64_t taken_ns;       /* when they were first there, or the client last took some */
    struct holding holding; /* counts unsent bytes: a whole answer, or a rest */
};

/* When a connection last got events by a poll, see page.c. */
struct poll_pace {
    uint16_t ms;
    bool is_set;
};

enum request_stream_state {
    REQUEST_OPEN,
    REQUEST_ENDING, /* nothing more is added; ends once `out` is sent */
    REQUEST_CLOSED, /* is freed before long */
};

/* The operations that each kind of connection has. */
struct request_stream_ops {
    /* Sends the response of an exchange, which is used up. With a key the response may be cached;
     * `respond_known` sends a cached response, if there is one. Both complete the key with what the
     * response depends on beside the page. */
    void (*respond)(struct exchange *exchange, const struct response *response,
                    const struct page_key *key);
    bool (*respond_known)(struct exchange *exchange, struct page_key *key); /* NULL: keeps none */
    /* Sends the head of a response whose body the pull writes. The exchange is used up. False when
     * the client is gone: the pull was freed. */
    bool (*open)(struct exchange *exchange, const struct response *response, struct pull *pull);
    void (*free_exchange)(struct exchange *exchange);
    /* The exchange begins to wait: from now on its `waiting` is called. */
    void (*wait)(struct exchange *exchange);
    void (*end_wait)(struct exchange *exchange);

    /* `dirty`: there may be bytes to send. `woken`: the same for a subscriber that the hub woke; if
     * it is `behind`, others get their new events first. `behind`: only notes whether it is. */
    void (*dirty)(struct request_stream *request);
    void (*woken)(struct request_stream *request, bool behind);
    void (*behind)(struct request_stream *request, bool behind);
    /* `end`: ends the response once all of `out` is sent. `close`: ends it at once, after a
     * failure. */
    void (*end)(struct request_stream *request);
    void (*close)(struct request_stream *request);
    enum request_stream_state (*state)(const struct request_stream *request);

    struct conn *(*conn)(const struct request_stream *request);
    /* Tells this request stream from others: the id of its connection, or one like it. */
    uint32_t (*id)(const struct request_stream *request);
    struct poll_pace *(*pace)(const struct request_stream *request);
    void (*ring_in)(struct request_stream *request, int64_t ms);

    /* Allocates an intake: zeroes, and `request` set. NULL if there is no memory. */
    struct stream_intake *(*intake_new)(struct request_stream *request);
    void (*resume)(struct request_stream *request); /* called when its turn to be read has come */
    /* Frees the buffers that the holding counts, see request_stream_shed(). */
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

/* Returns the buffer for bytes that go before those of the pull, valid until it is sent. Call
 * request_stream_dirty() after adding. Without memory the request stream is closed, and added bytes
 * are lost. */
struct buf *request_stream_add(struct request_stream *request);
void request_stream_dirty(struct request_stream *request);

/* The same for a pull's subscriber that the hub woke: new events go before pages of subscribers
 * that catch up. */
static inline void request_stream_woken(struct request_stream *request, const struct sub *sub)
{
    request->ops->woken(request, sub->state == SUB_BEHIND);
}

/* The result of `sent` for a pull with one subscriber: whether to call `fill` again. Notes whether
 * others go first. */
static inline bool request_stream_has_more(struct request_stream *request, const struct sub *sub)
{
    request->ops->behind(request, !sub_is_live(sub) && sub->state != SUB_QUEUED);
    return !sub_is_live(sub);
}

/* Keeps the unsent rest of an event: the end of the piece, by reference, or if `piece` is NULL a
 * copy of the bytes. Counts against rests_max. The request stream may be closed for it. */
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

static inline bool request_stream_is_closed(const struct request_stream *request)
{
    return request->ops->state(request) == REQUEST_CLOSED;
}

/* The connection of the request stream, for its peer's address and its state. */
static inline struct conn *request_stream_conn(const struct request_stream *request)
{
    return request->ops->conn(request);
}

static inline uint32_t request_stream_id(const struct request_stream *request)
{
    return request->ops->id(request);
}

/* The name of that id, by which publishers can exclude the request stream from events. */
struct str request_stream_name(const struct request_stream *request, char room[CONN_NAME_SIZE]);

/* The address of the client, whatever proxies are between; see net/client.h. */
static inline void request_stream_client(const struct request_stream *request,
                                         union client_address *ret)
{
    client_of(request_stream_conn(request), request_stream_id(request), ret);
}

/* The same as text in `room`. */
static inline struct str request_stream_address(const struct request_stream *request,
                                                char room[INET6_ADDRSTRLEN])
{
    union client_address client;
    request_stream_client(request, &client);
    return client_address_text(&client, room);
}

/* Called at a subscriber's beat: closes if the peer has acknowledged nothing for two earlier beats.
 * Returns whether it closed. */
bool request_stream_close_deserted(struct request_stream *request, unsigned beat_s);

/* Sets the pull's timer, or an earlier one if the server stops before. */
static inline void request_stream_ring_in(struct request_stream *request, int64_t ms)
{
    request->ops->ring_in(request, ms);
}

/* Has request_stream_ops.resume called later in this turn (`wake`), or once the log has caught up
 * with its publishers (`pause`). */
void request_stream_wake(struct request_stream *request);
void request_stream_pause(struct request_stream *request);

/* ---- `out` ----------------------------------------------------------------------------------- */

/* The unsent bytes of `out`: their number, the number not shared with others, and the next ones to
 * send. */
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

/* Whether bytes to send were lost for lack of memory. */
static inline bool request_stream_lost(const struct request_stream *request)
{
    return request->out && buf_failed(&request->out->bytes);
}

/* Notes that `n` more bytes of `out` were sent. */
void request_stream_advance(struct request_stream *request, size_t n);

/* Updates the holding of `out`. Call whenever `out` has grown or shrunk, or the client has begun or
 * ceased to take bytes. */
void request_stream_count_out(struct request_stream *request);
void request_stream_drop_out(struct request_stream *request);

/* ---- `intake` -------------------------------------------------------------------------------- */

/* Returns the intake, created if there is none. NULL without memory; the request stream is then
 * closed. */
struct stream_intake *request_stream_take_in(struct request_stream *request);
void request_stream_drop_intake(struct request_stream *request);

/* Updates the holdings of the intake. Call whenever it may have grown or shrunk. */
void request_stream_count_intake(struct request_stream *request);

/* The bytes that the pull holds of an unfinished message. */
size_t request_stream_pull_held(const struct request_stream *request);

/* Drops the decoded bytes of a body. */
void request_stream_drop_body(struct request_stream *request);

/* When the current part of a request, or the current message, began. The time for which the server
 * put off reading does not count against the peer. */
int64_t request_stream_begun_ns(const struct request_stream *request);

/* Gives up the memory that the holding counts: beyond held_max the largest holdings go. */
static inline void request_stream_shed(struct request_stream *request, struct holding *holding)
{
    request->ops->shed(request, holding);
}
