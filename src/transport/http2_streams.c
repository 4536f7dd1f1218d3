/* A stream lives from its request's head until nghttp2 says that it is over: both sides have ended
 * it, or one has reset it. A stream that we close before that is taken from nghttp2 at once, and
 * freed by its own timer, since whoever closes it may still be at work on it.
 *
 * Bytes leave in http2_stream_fill(), which nghttp2 calls for streams in turn while their windows
 * and the connection's allow it. A stream that has nothing to send is not asked again until
 * something makes it dirty, and one whose window is spent not until the client has opened it: its
 * subscriber falls behind like that of a socket that is full, and holds up no other. */
#include "transport/http2_streams.h"

#include <stdlib.h>

enum { LINGER_MS = 2000 };

static struct loop *loop_of(const struct http2_request_stream *stream)
{
    return &stream->request.worker->loop;
}

/* ---- phases ---------------------------------------------------------------------------------- */

static int64_t phase_ms(const struct http2_request_stream *stream, enum http2_phase phase)
{
    const struct worker_limits *limits = &stream->request.worker->config.limits;
    switch (phase) {
    case HTTP2_BODY:
        return limits->body_ms;
    case HTTP2_HELD:
    case HTTP2_WAIT:
        return limits->publish_ms;
    case HTTP2_SEND:
        return limits->stall_ms;
    case HTTP2_LINGER:
        return LINGER_MS;
    case HTTP2_POLL:
    case HTTP2_PULL:
        break;
    }
    return -1;
}

void http2_stream_enter(struct http2_request_stream *stream, enum http2_phase phase,
                        int64_t since_ns)
{
    if (stream->state == REQUEST_CLOSED)
        return;
    stream->phase = (uint8_t)phase;
    int64_t ms = phase_ms(stream, phase) - (loop_of(stream)->now_ns - since_ns) / 1000000;
    timer_set(loop_of(stream), &stream->request.timer, ms > 0 ? ms : 0);
}

/* Hands the stream, and with it the timer, to a pull or a poll. A closed stream keeps the timer,
 * which frees it. */
static void take(struct http2_request_stream *stream, enum http2_phase phase)
{
    if (stream->state == REQUEST_CLOSED)
        return;
    stream->phase = (uint8_t)phase;
    if (stream->request.intake)
        stream->request.intake->begun_ns = 0;
    timer_stop(&stream->request.timer);
    if (stream->request.worker->draining)
        http2_stream_drain(stream, 0);
}

void http2_stream_drain(struct http2_request_stream *stream, int64_t after_ms)
{
    if ((stream->phase != HTTP2_POLL && stream->phase != HTTP2_PULL) ||
        stream->state != REQUEST_OPEN || stream->draining)
        return;
    stream->draining = true;
    timer_set(loop_of(stream), &stream->request.timer, after_ms);
}

void http2_stream_ring_in(struct request_stream *request, int64_t ms)
{
    const struct http2_request_stream *stream = http2_of_request(request);
    if (!stream->draining && stream->state != REQUEST_CLOSED)
        timer_set(&request->worker->loop, &request->timer, ms);
}

/* ---- beginning and end ----------------------------------------------------------------------- */

struct http2_request_stream *http2_stream_new(struct http2_connection *connection,
                                              const struct request_stream_ops *ops,
                                              void (*ring)(struct timer *timer))
{
    struct worker *worker = connection->control.worker;
    struct http2_request_stream *stream = slabs_take(&worker->slabs, sizeof(*stream));
    if (!stream)
        return NULL;
    *stream = (struct http2_request_stream){
        .request = {.ops = ops, .worker = worker, .timer = {.ring = ring}},
        .connection = connection,
        .id = net_next_id(&worker->net)};
    list_add_last(&connection->streams, &stream->node);
    connection->streams_count++;
    timer_stop(&connection->control.timer); /* the connection is not idle */
    return stream;
}

/* Nobody waits for the answer. */
static void drop_exchange(struct http2_request_stream *stream)
{
    struct exchange *exchange = stream->exchange;
    stream->exchange = NULL;
    if (!exchange)
        return;
    exchange->request = NULL;
    if (exchange->question)
        question_drop(exchange->question);
    if (exchange->waiting)
        exchange->waiting->ops->drop(exchange->waiting);
    else
        exchange_drop(exchange); /* freed when it is answered */
}

/* A connection without streams is idle, or at its end if the server stops. */
static void settle_connection(struct http2_connection *connection)
{
    struct worker *worker = connection->control.worker;
    if (connection->streams_count || connection->lingers || connection->conn.dead)
        return;
    timer_set(&worker->loop, &connection->control.timer, worker->config.limits.idle_ms);
    if (!connection->draining || http2_has_unread(connection))
        return;
    http2_end(connection->http2);
    conn_dirty(&connection->conn);
}

void http2_stream_drop_input(struct http2_request_stream *stream)
{
    struct stream_intake *intake = stream->request.intake;
    if (!stream->tunnel || !intake || !intake->in.len)
        return;
    if (!stream->connection->conn.dead) /* else nghttp2 may know streams that are freed already */
        http2_consume(stream->connection->http2, &stream->wire, intake->in.len);
    buf_free(&intake->in);
    conn_dirty(&stream->connection->conn);
}

void http2_stream_free(struct http2_request_stream *stream)
{
    struct http2_connection *connection = stream->connection;
    struct request_stream *request = &stream->request;
    stream->state = REQUEST_CLOSED;
    timer_stop(&request->timer);
    list_remove(&stream->node);
    list_remove(&stream->look);
    drop_exchange(stream);
    if (request->pull)
        request->pull->ops->free(request->pull);
    request->pull = NULL;
    http2_stream_drop_input(stream);
    request_stream_drop_intake(request);
    request_stream_drop_out(request);
    clients_remove(&connection->conn.net->forwarded, stream->id);
    slab_give(stream);
    connection->streams_count--;
    settle_connection(connection);
}

void http2_stream_closed(struct http2_stream *wire)
{
    http2_stream_free(http2_of_wire(wire));
}

static void reset(struct http2_request_stream *stream, enum http2_reset reason)
{
    if (stream->state == REQUEST_CLOSED)
        return;
    stream->state = REQUEST_CLOSED;
    http2_reset(stream->connection->http2, &stream->wire, reason);
    timer_set(loop_of(stream), &stream->request.timer, 0);
    conn_dirty(&stream->connection->conn);
}

/* A stream that has ended, and whose client has not, was not cancelled. */
void http2_stream_close(struct request_stream *request)
{
    struct http2_request_stream *stream = http2_of_request(request);
    reset(stream, stream->phase == HTTP2_LINGER ? HTTP2_RESET_NONE : HTTP2_RESET_CANCEL);
}

/* The rest of a request that was answered before it came is not wanted. A WebSocket that has ended
 * waits for the other side's end. */
void http2_stream_ended(struct http2_stream *wire)
{
    struct http2_request_stream *stream = http2_of_wire(wire);
    if (stream->tunnel)
        http2_stream_enter(stream, HTTP2_LINGER, loop_of(stream)->now_ns);
    else
        reset(stream, HTTP2_RESET_NONE);
}

/* ---- exchanges ------------------------------------------------------------------------------- */

struct exchange *http2_exchange_new(struct http2_request_stream *stream, struct str origin)
{
    struct worker *worker = stream->request.worker;
    size_t len = origin.at && origin.len <= EXCHANGE_ORIGIN_MAX ? origin.len : 0;
    struct exchange *exchange = mem_try_alloc(sizeof(*exchange) + len);
    if (!exchange)
        return NULL;
    *exchange = (struct exchange){.request = &stream->request,
                                  .ops = stream->request.ops,
                                  .worker = worker,
                                  .holding = {.request = &stream->request},
                                  .since_ns = worker->loop.now_ns,
                                  .is_tunnel = stream->tunnel,
                                  .browser = origin.at != NULL};
    if (len)
        exchange->origin = (struct str){memcpy(exchange + 1, origin.at, len), len};
    stream->exchange = exchange;
    http2_stream_enter(stream, HTTP2_WAIT, worker->loop.now_ns);
    return exchange;
}

struct exchange *http2_exchange_replace(struct http2_request_stream *stream)
{
    struct exchange *real = stream->exchange;
    struct exchange *stand_in = mem_try_alloc(sizeof(*stand_in) + real->origin.len);
    if (!stand_in)
        return NULL;
    *stand_in = *real;
    if (real->origin.len)
        stand_in->origin.at = memcpy(stand_in + 1, real->origin.at, real->origin.len);
    stand_in->question = NULL;
    stand_in->parked = NULL;
    caller_ref(stand_in->caller);
    stand_in->holding = (struct holding){.request = &stream->request};
    if (real->question)
        question_drop(real->question);
    exchange_drop(real);
    return stream->exchange = stand_in;
}

void http2_stream_free_exchange(struct exchange *exchange)
{
    struct http2_request_stream *stream =
        exchange->request ? http2_of_request(exchange->request) : NULL;
    if (stream && stream->exchange == exchange)
        stream->exchange = NULL;
    holding_set(&exchange->worker->holdings, &exchange->holding, ACCOUNT_ANSWERS, 0);
    free(exchange);
}

void http2_stream_wait(struct exchange *exchange)
{
    take(http2_of_request(exchange->request), HTTP2_POLL);
}

void http2_stream_end_wait(struct exchange *exchange)
{
    struct http2_request_stream *stream = http2_of_request(exchange->request);
    stream->draining = false;
    list_remove(&stream->look);
    http2_stream_enter(stream, HTTP2_WAIT, loop_of(stream)->now_ns);
}

/* ---- responses ------------------------------------------------------------------------------- */

static void add_body(struct request_stream *request, const struct response *response)
{
    struct buf *out = request_stream_add(request);
    buf_reserve(out, response_length(response));
    for (int i = 0; i < RESPONSE_PARTS; i++)
        buf_add_str(out, response->body[i]);
}

static void respond(struct http2_request_stream *stream, const struct response *response,
                    bool is_head)
{
    struct request_stream *request = &stream->request;
    bool body = !response->bodiless && !is_head && response_length(response);
    if (http2_respond(stream->connection->http2, &stream->wire, response, body)) {
        reset(stream, HTTP2_RESET_FAILED);
        return;
    }
    stream->state = REQUEST_ENDING;
    http2_stream_enter(stream, HTTP2_SEND, loop_of(stream)->now_ns);
    if (body)
        add_body(request, response);
    request_stream_dirty(request);
}

void http2_stream_respond(struct exchange *exchange, const struct response *response,
                          const struct page_key *key)
{
    struct http2_request_stream *stream =
        exchange->request ? http2_of_request(exchange->request) : NULL;
    (void)key;
    if (stream) {
        stream->exchange = NULL;
        if (stream->state == REQUEST_OPEN)
            respond(stream, response, exchange->is_head);
    }
    exchange_free(exchange);
}

bool http2_stream_open(struct exchange *exchange, const struct response *response,
                       struct pull *pull)
{
    struct http2_request_stream *stream =
        exchange->request ? http2_of_request(exchange->request) : NULL;
    bool open = stream && stream->state == REQUEST_OPEN &&
                !http2_respond(stream->connection->http2, &stream->wire, response, true);
    exchange_free(exchange);
    if (stream) {
        stream->exchange = NULL;
        if (!open)
            reset(stream, HTTP2_RESET_FAILED);
    }
    if (!open) {
        pull->ops->free(pull);
        return false;
    }
    stream->request.pull = pull;
    pull->request = &stream->request;
    take(stream, HTTP2_PULL);
    /* Bytes may have come before the answer, or the end of a client that says nothing at all. */
    if (stream->request.intake || (stream->tunnel && stream->wire.is_whole))
        request_stream_wake(&stream->request);
    conn_dirty(&stream->connection->conn);
    return true;
}

/* ---- sending --------------------------------------------------------------------------------- */

struct str http2_stream_fill(struct http2_stream *wire, bool *ret_end)
{
    struct http2_request_stream *stream = http2_of_wire(wire);
    struct request_stream *request = &stream->request;
    struct str bytes = request_stream_unsent(request);
    stream->connection->asked = stream;
    if (!bytes.len && request->pull && stream->state == REQUEST_OPEN)
        bytes = request->pull->ops->fill(request->pull);
    stream->connection->asked = NULL;
    if (request_stream_lost(request))
        http2_stream_close(request); /* something is missing in it */
    bool all = request_stream_is_clear(request) || bytes.len == request_stream_unsent_len(request);
    *ret_end = stream->state == REQUEST_ENDING && all;
    return bytes;
}

bool http2_stream_sent(struct http2_stream *wire, size_t n, bool blocked)
{
    struct http2_request_stream *stream = http2_of_wire(wire);
    struct request_stream *request = &stream->request;
    stream->connection->lively = stream->connection->lively || !stream->behind;
    if (request_stream_is_clear(request)) {
        /* Only the end of a response has no bytes of its pull. */
        bool asked = n || stream->state == REQUEST_OPEN;
        bool more = asked && request->pull->ops->sent(request->pull, n, blocked);
        return more || stream->state == REQUEST_ENDING || !request_stream_is_clear(request);
    }
    if (!n)
        return true;
    request->out->taken_ns = loop_of(stream)->now_ns;
    request_stream_advance(request, n);
    if (request_stream_is_clear(request))
        request_stream_drop_out(request);
    else
        request_stream_count_out(request);
    return true;
}

/* Has the stream, or its poll, asked for bytes by the next gathering. A stream that is being asked
 * may return none, which would put it aside after this: it is resumed later. */
static void mark(struct http2_request_stream *stream)
{
    struct http2_connection *connection = stream->connection;
    if (stream->phase != HTTP2_POLL && stream != connection->asked)
        http2_resume(connection->http2, &stream->wire);
    else if (!list_linked(&stream->look))
        list_add_last(&connection->looks, &stream->look);
}

void http2_stream_dirty(struct request_stream *request)
{
    mark(http2_of_request(request));
    conn_dirty(http2_stream_conn(request));
}

void http2_stream_woken(struct request_stream *request, bool behind)
{
    struct http2_request_stream *stream = http2_of_request(request);
    stream->behind = behind;
    mark(stream);
    if (behind)
        conn_dirty_later(&stream->connection->conn);
    else
        conn_dirty(&stream->connection->conn);
}

void http2_stream_behind(struct request_stream *request, bool behind)
{
    http2_of_request(request)->behind = behind;
}

/* ---- the rest of its operations -------------------------------------------------------------- */

void http2_stream_end(struct request_stream *request)
{
    struct http2_request_stream *stream = http2_of_request(request);
    if (stream->state != REQUEST_OPEN)
        return;
    stream->state = REQUEST_ENDING;
    http2_stream_enter(stream, HTTP2_SEND, loop_of(stream)->now_ns);
    http2_stream_dirty(request);
}

enum request_stream_state http2_stream_state(const struct request_stream *request)
{
    return (enum request_stream_state)http2_of_request(request)->state;
}

struct conn *http2_stream_conn(const struct request_stream *request)
{
    return &http2_of_request(request)->connection->conn;
}

uint32_t http2_stream_id(const struct request_stream *request)
{
    return http2_of_request(request)->id;
}

struct poll_pace *http2_stream_pace(const struct request_stream *request)
{
    return &http2_of_request(request)->connection->pace;
}

struct stream_intake *http2_stream_intake_new(struct request_stream *request)
{
    struct stream_intake *intake = mem_try_alloc(sizeof(*intake));
    if (intake)
        *intake = (struct stream_intake){.request = request, .holding = {.request = request}};
    return intake;
}
