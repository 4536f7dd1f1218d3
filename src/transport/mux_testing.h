/* For tests only: a second kind of connection, which carries many request streams at a time, as
 * HTTP/2 does. It frames their bytes, gives each a window, and knows nothing of what is sent.
 *
 * A frame is eight characters, "1D000042" say, and its bytes: the number of the stream, what it is
 * (H: a head, D: a part of the body, E: the end, R: a reset) and how many bytes follow. */
#pragma once

#include "transport/exchange.h"
#include "transport/testing.h"

#include <stdio.h>

enum { MUX_STREAMS = 4, MUX_FRAME_HEAD = 8 };

struct mux_stream {
    struct request_stream request;
    struct mux *mux;
    struct poll_pace pace;
    struct exchange *waits; /* NULL: none */
    size_t window;
    enum request_stream_state state;
    bool is_begun;
};

/* The bytes that have come to the other end of a stream. */
struct mux_got {
    struct buf head, body;
    bool ended;
    bool reset;
};

struct mux {
    struct conn conn;
    struct bench *bench;
    struct mux_stream streams[MUX_STREAMS];
    struct buf frames;
    size_t sent; /* of them */
    bool is_closed;
    struct peer peer;
    struct mux_got got[MUX_STREAMS];
};

static inline struct mux_stream *mux_stream_of(const struct request_stream *request)
{
    return container_of(request, struct mux_stream, request);
}

static inline void mux_add_frame(struct mux_stream *stream, char kind, struct str bytes)
{
    struct mux *mux = stream->mux;
    buf_addf(&mux->frames, "%d%c%06zu", (int)(stream - mux->streams), kind, bytes.len);
    buf_add_str(&mux->frames, bytes);
    conn_dirty(&mux->conn);
}

/* ---- sending --------------------------------------------------------------------------------- */

/* Frees all of a stream but its structure, as a kind does once a stream is over. */
static inline void mux_free_stream(struct mux_stream *stream)
{
    struct request_stream *request = &stream->request;
    if (!stream->is_begun)
        return;
    stream->is_begun = false;
    stream->state = REQUEST_CLOSED;
    timer_stop(&request->timer);
    if (stream->waits) {
        stream->waits->request = NULL;
        stream->waits->waiting->ops->drop(stream->waits->waiting);
    }
    if (request->pull)
        request->pull->ops->free(request->pull);
    stream->waits = NULL;
    request->pull = NULL;
    request_stream_drop_intake(request);
    request_stream_drop_out(request);
}

/* The next bytes of a stream, and whether they are its own and not the pull's. */
static inline struct str mux_next(struct mux_stream *stream, bool *ret_own)
{
    struct request_stream *request = &stream->request;
    struct str bytes = STR_NONE;
    *ret_own = !request_stream_is_clear(request);
    if (stream->waits)
        stream->waits->waiting->ops->look(stream->waits->waiting);
    else if (!*ret_own && request->pull && stream->state == REQUEST_OPEN)
        bytes = request->pull->ops->fill(request->pull);
    *ret_own = !request_stream_is_clear(request); /* the pull may have added some */
    return *ret_own ? request_stream_unsent(request) : bytes;
}

/* Frames as much of a stream as its window allows. What is taken from the pull is copied, so that
 * the bytes of many streams leave in one send. */
static inline void mux_gather(struct mux_stream *stream)
{
    struct request_stream *request = &stream->request;
    struct str bytes;
    bool own;
    while (stream->window && stream->state != REQUEST_CLOSED &&
           (bytes = mux_next(stream, &own)).len) {
        size_t n = bytes.len < stream->window ? bytes.len : stream->window;
        mux_add_frame(stream, 'D', (struct str){bytes.at, n});
        stream->window -= n;
        if (own)
            request_stream_advance(request, n);
        else
            (void)request->pull->ops->sent(request->pull, n, n < bytes.len);
        if (own && request_stream_is_clear(request))
            request_stream_drop_out(request);
    }
    bool ended = stream->state == REQUEST_ENDING && request_stream_is_clear(request);
    if (!ended && stream->state != REQUEST_CLOSED)
        return;
    mux_add_frame(stream, ended ? 'E' : 'R', STR_NONE);
    mux_free_stream(stream);
}

static inline struct str mux_fill(struct conn *conn)
{
    struct mux *mux = container_of(conn, struct mux, conn);
    if (mux->sent == mux->frames.len) {
        buf_clear(&mux->frames);
        mux->sent = 0;
        for (int i = 0; i < MUX_STREAMS; i++)
            if (mux->streams[i].is_begun)
                mux_gather(&mux->streams[i]);
    }
    return str_skip(buf_str(&mux->frames), mux->sent);
}

static inline bool mux_sent(struct conn *conn, size_t n)
{
    container_of(conn, struct mux, conn)->sent += n;
    return true;
}

static inline void mux_readable(struct conn *conn)
{
    conn->readable = false;
}

static inline void mux_hung_up(struct conn *conn)
{
    conn_close(conn);
}

static inline void mux_closed(struct conn *conn)
{
    struct mux *mux = container_of(conn, struct mux, conn);
    for (int i = 0; i < MUX_STREAMS; i++)
        mux_free_stream(&mux->streams[i]);
    mux->is_closed = true;
}

static const struct conn_ops mux_conn_ops = {mux_readable, mux_fill, mux_sent, mux_hung_up,
                                             mux_closed,   NULL,     NULL,     NULL};

/* ---- the operations of its request streams --------------------------------------------------- */

static inline void mux_add_head(struct mux_stream *stream, const struct response *response)
{
    struct buf head = {0};
    buf_addf(&head, "%d %.*s\n", response->status, STR_FMT(response->type));
    for (unsigned i = 0; i < response->count; i++)
        buf_addf(&head, "%.*s: %.*s\n", STR_FMT(response->fields[i].name),
                 STR_FMT(response_value(response, i)));
    mux_add_frame(stream, 'H', buf_str(&head));
    buf_free(&head);
}

static inline void mux_respond(struct exchange *exchange, const struct response *response,
                               const struct page_key *key)
{
    struct request_stream *request = exchange->request;
    (void)key;
    exchange_free(exchange);
    if (!request)
        return;
    mux_add_head(mux_stream_of(request), response);
    for (int i = 0; i < RESPONSE_PARTS; i++)
        buf_add_str(request_stream_add(request), response->body[i]);
    request_stream_end(request);
}

static inline bool mux_open(struct exchange *exchange, const struct response *response,
                            struct pull *pull)
{
    struct request_stream *request = exchange->request;
    exchange_free(exchange);
    mux_add_head(mux_stream_of(request), response);
    request->pull = pull;
    pull->request = request;
    return true;
}

static inline void mux_free_exchange(struct exchange *exchange)
{
    holding_set(&exchange->worker->holdings, &exchange->holding, ACCOUNT_ANSWERS, 0);
    free(exchange);
}

static inline void mux_wait(struct exchange *exchange)
{
    mux_stream_of(exchange->request)->waits = exchange;
}

static inline void mux_end_wait(struct exchange *exchange)
{
    mux_stream_of(exchange->request)->waits = NULL;
    timer_stop(&exchange->request->timer);
}

static inline void mux_dirty(struct request_stream *request)
{
    conn_dirty(&mux_stream_of(request)->mux->conn);
}

static inline void mux_woken(struct request_stream *request, bool behind)
{
    (void)behind;
    mux_dirty(request);
}

static inline void mux_behind(struct request_stream *request, bool behind)
{
    (void)request;
    (void)behind;
}

static inline void mux_end(struct request_stream *request)
{
    struct mux_stream *stream = mux_stream_of(request);
    if (stream->state == REQUEST_OPEN)
        stream->state = REQUEST_ENDING;
    mux_dirty(request);
}

/* Freed by the next look at it: a pull may be the one that closes. */
static inline void mux_close(struct request_stream *request)
{
    mux_stream_of(request)->state = REQUEST_CLOSED;
    mux_dirty(request);
}

static inline enum request_stream_state mux_state(const struct request_stream *request)
{
    return mux_stream_of(request)->state;
}

static inline struct conn *mux_conn(const struct request_stream *request)
{
    return &mux_stream_of(request)->mux->conn;
}

static inline uint32_t mux_id(const struct request_stream *request)
{
    return mux_conn(request)->id;
}

static inline struct poll_pace *mux_pace(const struct request_stream *request)
{
    return &mux_stream_of(request)->pace;
}

static inline void mux_ring_in(struct request_stream *request, int64_t ms)
{
    timer_set(&request->worker->loop, &request->timer, ms);
}

static inline struct stream_intake *mux_intake_new(struct request_stream *request)
{
    struct stream_intake *intake = mem_try_alloc(sizeof(*intake));
    if (intake)
        *intake = (struct stream_intake){.request = request, .holding = {.request = request}};
    return intake;
}

static inline void mux_resume(struct request_stream *request)
{
    (void)request;
}

static inline void mux_shed(struct request_stream *request, struct holding *holding)
{
    (void)holding;
    request_stream_close(request);
    request_stream_drop_out(request);
}

static const struct request_stream_ops mux_ops = {
    .respond = mux_respond,
    .open = mux_open,
    .free_exchange = mux_free_exchange,
    .wait = mux_wait,
    .end_wait = mux_end_wait,
    .dirty = mux_dirty,
    .woken = mux_woken,
    .behind = mux_behind,
    .end = mux_end,
    .close = mux_close,
    .state = mux_state,
    .conn = mux_conn,
    .id = mux_id,
    .pace = mux_pace,
    .ring_in = mux_ring_in,
    .intake_new = mux_intake_new,
    .resume = mux_resume,
    .shed = mux_shed,
};

static inline void mux_ring(struct timer *timer)
{
    struct request_stream *request = container_of(timer, struct request_stream, timer);
    struct exchange *waits = mux_stream_of(request)->waits;
    if (waits)
        waits->waiting->ops->ring(waits->waiting);
    else if (request->pull)
        request->pull->ops->ring(request->pull);
}

/* ---- what tests do --------------------------------------------------------------------------- */

static inline void mux_join(struct mux *mux, struct bench *bench)
{
    int fds[2];
    *mux = (struct mux){.bench = bench};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    mux->peer = (struct peer){.fd = fds[0]};
    assert_int_equal(conn_init(&mux->conn, &bench->worker.net, fds[1], NET_PLAIN, &mux_conn_ops),
                     0);
}

/* Begins a request, "GET /stream" say, on a stream with a window for its body. */
static inline void mux_request(struct mux *mux, int i, const char *line, struct str body,
                               size_t window)
{
    static const struct http_limits limits = HTTP_LIMITS_DEFAULT;
    struct worker *worker = &mux->bench->worker;
    struct mux_stream *stream = &mux->streams[i];
    struct http_scan scan = {0};
    struct buf text = {0};
    *stream = (struct mux_stream){
        .mux = mux,
        .window = window,
        .is_begun = true,
        .request = {.ops = &mux_ops, .worker = worker, .timer = {.ring = mux_ring}}};
    struct exchange *exchange = mem_alloc(sizeof(*exchange));
    *exchange = (struct exchange){.request = &stream->request,
                                  .ops = &mux_ops,
                                  .worker = worker,
                                  .holding = {.request = &stream->request},
                                  .since_ns = worker->loop.now_ns,
                                  .head = &worker->memo.head};
    buf_addf(&text, "%s HTTP/1.1\r\nHost: x\r\n\r\n", line);
    assert_int_equal(http_head_parse(buf_str(&text), &limits, &scan, &worker->memo.head), 0);
    worker->head_bytes = STR_NONE;
    worker->body = worker->received = body;
    worker->config.handle(exchange);
    buf_free(&text);
}

/* Lets the server work, and takes the frames apart that have come. */
static inline void mux_hear(struct mux *mux)
{
    bench_settle(mux->bench);
    peer_hear(mux->bench, &mux->peer);
    struct buf *in = &mux->peer.got;
    while (in->len >= MUX_FRAME_HEAD) {
        char head[MUX_FRAME_HEAD + 1] = {0};
        memcpy(head, in->at, MUX_FRAME_HEAD);
        size_t len = strtoul(head + 2, NULL, 10);
        struct mux_got *got = &mux->got[head[0] - '0'];
        if (in->len < MUX_FRAME_HEAD + len)
            break;
        struct buf *to = head[1] == 'H' ? &got->head : &got->body;
        buf_add(to, in->at + MUX_FRAME_HEAD, len);
        got->ended = got->ended || head[1] == 'E';
        got->reset = got->reset || head[1] == 'R';
        buf_drop(in, MUX_FRAME_HEAD + len);
    }
}

/* Gives a stream so many bytes more. */
static inline void mux_open_window(struct mux *mux, int i, size_t bytes)
{
    mux->streams[i].window += bytes;
    conn_dirty(&mux->conn);
    mux_hear(mux);
}

/* How often a text stands in a body. */
static inline unsigned mux_count(const struct mux *mux, int i, const char *text)
{
    struct peer all = {.got = mux->got[i].body};
    return peer_count(&all, text);
}

static inline bool mux_head_has(const struct mux *mux, int i, const char *text)
{
    struct peer all = {.got = mux->got[i].head};
    return peer_has(&all, text);
}

static inline void mux_leave(struct mux *mux)
{
    conn_close(&mux->conn);
    while (net_bury(&mux->bench->worker.net))
        ;
    assert_true(mux->is_closed);
    for (int i = 0; i < MUX_STREAMS; i++) {
        buf_free(&mux->got[i].head);
        buf_free(&mux->got[i].body);
    }
    buf_free(&mux->frames);
    peer_leave(mux->bench, &mux->peer);
}
