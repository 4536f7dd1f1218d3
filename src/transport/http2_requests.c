/* A request without a body is handled at once. Any other keeps its head as text, and its body, in
 * its intake, until the body has come whole; its head is then read again, since there is room for
 * one parsed head in each thread. A whole request may have to wait: for the log, or until its body
 * is decompressed and checked. Requests of different streams do not wait for each other.
 *
 * A WebSocket's request is handled when its head has come. Its frames go to the pull, and the
 * client may send as many more as the pull has used: a pull that does not listen is back-pressure.
 */
#include "transport/http2_requests.h"

#include "transport/body.h"
#include "transport/forwarding.h"
#include "transport/checked.h"
#include "transport/http2_streams.h"
#include "transport/secure.h"

#include <errno.h>

/* The charge for a request beside its bytes: the clock is read after four requests. */
enum { REQUEST_COST = BUDGET_STRIDE / 4 };

static struct worker *worker_of(const struct http2_request_stream *stream)
{
    return stream->request.worker;
}

/* ---- refusing -------------------------------------------------------------------------------- */

static void drop_request(struct http2_request_stream *stream)
{
    struct stream_intake *intake = stream->request.intake;
    if (intake)
        checked_end(worker_of(stream), &intake->check);
    request_stream_drop_intake(&stream->request);
}

/* Answers a request that is not handled, with this head. The rest of it is not wanted. */
static void refuse_head(struct http2_request_stream *stream, struct str head, enum problem problem,
                        struct str detail)
{
    struct exchange *exchange =
        http2_exchange_new(stream, worker_admitted(worker_of(stream), http_origin_scan(head)));
    if (exchange) {
        exchange->is_head = http_asks_head(head);
        exchange_problem(exchange, problem, detail, STR_NONE);
    } else {
        request_stream_close(&stream->request);
    }
    drop_request(stream);
}

/* The same for one whose head was kept. */
static void refuse(struct http2_request_stream *stream, enum problem problem, struct str detail)
{
    const struct stream_intake *intake = stream->request.intake;
    refuse_head(stream, intake ? buf_str(&intake->in) : STR_NONE, problem, detail);
}

static void refuse_body(struct http2_request_stream *stream, int error)
{
    struct buf detail = {0};
    enum problem problem = body_refusal(error, worker_of(stream)->config.limits.body_max, &detail);
    refuse(stream, problem, buf_str(&detail));
    buf_free(&detail);
    if (error == -EMSGSIZE)
        worker_hit(worker_of(stream), LIMIT_BODIES);
}

/* Refuses a request that came without TLS to a door that redirects to https. */
static void refuse_bare(struct http2_request_stream *stream, const struct http_head *head)
{
    struct worker *worker = worker_of(stream);
    struct exchange *exchange =
        http2_exchange_new(stream, worker_admitted(worker, http_header(head, STR("origin"))));
    if (exchange) {
        exchange->is_head = head->method == HTTP_HEAD;
        secure_refuse(exchange, &stream->connection->conn, head);
    } else {
        request_stream_close(&stream->request);
    }
    drop_request(stream);
}

/* ---- handling -------------------------------------------------------------------------------- */

static void dispatch(struct http2_request_stream *stream, const struct http_head *head,
                     struct str origin, struct str body)
{
    struct worker *worker = worker_of(stream);
    struct exchange *exchange = http2_exchange_new(stream, origin);
    if (!exchange) {
        request_stream_close(&stream->request);
        return;
    }
    stat_add(&worker->stats.requests, 1);
    exchange->is_head = head->method == HTTP_HEAD;
    exchange->head = head;
    worker->body = body;
    forwarding_note(worker, &stream->connection->conn, stream->id, head);
    exchange_handle(exchange);
}

static bool dispatch_known(struct http2_request_stream *stream, struct str head)
{
    struct worker *worker = worker_of(stream);
    const struct known_request *known = request_cache_find(&worker->request_cache, head);
    if (!known || known->bytes.len != head.len)
        return false;
    worker->known = known->reading;
    dispatch(stream, &known->head, known->origin, STR_NONE);
    worker->known = NULL;
    return true;
}

/* Parses the text of a head; NULL after refusing the request. The result is valid until the next
 * call on this worker. */
static const struct http_head *parse(struct http2_request_stream *stream, struct str text)
{
    struct worker *worker = worker_of(stream);
    struct http_scan scan = {0};
    const struct http_head *head;
    int error = http_memo_parse(&worker->memo, text, &worker->config.limits.http, &scan, &head);
    worker->head_bytes = text;
    if (error > 0)
        refuse_head(stream, text, problem_of_status(http_head_error_status(error)),
                    http_head_error_detail(error));
    else if (error) /* it ends before its last line */
        refuse_head(stream, text, PROBLEM_BAD_REQUEST, STR("the head is not one of HTTP"));
    return error ? NULL : head;
}

static void hold(struct http2_request_stream *stream)
{
    if (stream->phase != HTTP2_HELD)
        http2_stream_enter(stream, HTTP2_HELD, worker_of(stream)->loop.now_ns);
}

/* Handles a request that has come whole with a body, as far as the log and the budget allow. */
static void handle_whole(struct http2_request_stream *stream)
{
    struct request_stream *request = &stream->request;
    struct worker *worker = request->worker;
    struct stream_intake *intake = request->intake;
    const struct http_head *head = intake ? parse(stream, buf_str(&intake->in)) : NULL;
    if (!head)
        return;
    struct str body = intake->body ? buf_str(&intake->body->decoded) : STR_NONE;
    if (head->method == HTTP_POST && worker_pressed(worker)) {
        hold(stream);
        request_stream_pause(request);
        return;
    }
    worker->received = body;
    int result = body_prepare(request, head, &body);
    request_stream_count_intake(request);
    if (result == -EAGAIN) {
        hold(stream);
        list_add_last(&worker->bodies, &intake->wait_node);
        worker_put_off(worker, BUDGET_READ);
    } else if (result) {
        refuse_body(stream, result);
    } else {
        dispatch(stream, head, http_header(head, STR("origin")), body);
        drop_request(stream);
    }
}

/* ---- what comes ------------------------------------------------------------------------------ */

/* Keeps a head whose body is yet to come. False: it was refused. */
static bool keep_head(struct http2_request_stream *stream, struct str text)
{
    struct stream_intake *intake = request_stream_take_in(&stream->request);
    if (!intake)
        return false;
    buf_add_str(&intake->in, text);
    intake->begun_ns = worker_of(stream)->loop.now_ns;
    http2_stream_enter(stream, HTTP2_BODY, intake->begun_ns);
    if (!buf_failed(&intake->in))
        return true;
    refuse_body(stream, -ENOMEM);
    return false;
}

/* A head with a body behind it: what can be refused now is not sent in vain. */
static void begin_body(struct http2_request_stream *stream, const struct http_head *head,
                       struct str text)
{
    if (!keep_head(stream, text))
        return;
    if (body_has_foreign_coding(head))
        refuse_body(stream, -EOPNOTSUPP);
    else if (head->framing.content_length > worker_of(stream)->config.limits.body_max)
        refuse_body(stream, -EMSGSIZE);
    else if (head->expect_continue)
        http2_continue(stream->connection->http2, &stream->wire);
    request_stream_count_intake(&stream->request);
}

static void handle_head(struct http2_request_stream *stream, const struct http2_request *request)
{
    struct worker *worker = worker_of(stream);
    const struct conn *conn = &stream->connection->conn;
    if (request->is_whole && !secure_refuses(conn->door) && dispatch_known(stream, request->head))
        return;
    const struct http_head *head = parse(stream, request->head);
    if (!head)
        return;
    if (secure_refuses_request(worker, conn, head)) {
        refuse_bare(stream, head);
        return;
    }
    if (!request->is_whole && !request->is_tunnel && head->method != HTTP_CONNECT) {
        begin_body(stream, head, request->head);
        return;
    }
    if (head->method == HTTP_POST && worker_pressed(worker)) {
        if (keep_head(stream, request->head))
            handle_whole(stream);
        return;
    }
    worker->received = STR_NONE;
    dispatch(stream, head, http_header(head, STR("origin")), STR_NONE);
}

void http2_request_head(struct http2_stream *wire, const struct http2_request *request)
{
    struct http2_request_stream *stream = http2_of_wire(wire);
    stream->tunnel = request->is_tunnel;
    (void)worker_spend(worker_of(stream), request->head.len + REQUEST_COST);
    if (request->is_large)
        refuse(stream, PROBLEM_HEAD_TOO_LARGE, http_head_error_detail(HTTP_E_TOO_LARGE));
    else if (request->is_foreign)
        refuse_head(stream, request->head, PROBLEM_NOT_BUILT,
                    STR("extended CONNECT opens WebSockets alone: say `:protocol: websocket`"));
    else
        handle_head(stream, request);
}

/* ---- frames of WebSockets -------------------------------------------------------------------- */

static bool listens(const struct http2_request_stream *stream)
{
    struct pull *pull = stream->request.pull;
    return stream->state == REQUEST_OPEN && pull->ops->input && !pull->ops->deaf(pull);
}

static bool is_busy(const struct http2_request_stream *stream)
{
    const struct pull *pull = stream->request.pull;
    return pull->ops->busy && pull->ops->busy(pull);
}

/* Has the pull use bytes; returns how many, which the client may send again. */
static size_t give(struct http2_request_stream *stream, char *bytes, size_t len)
{
    struct pull *pull = stream->request.pull;
    size_t used = pull->ops->input(pull, bytes, len);
    http2_consume(stream->connection->http2, &stream->wire, used);
    return used;
}

static void keep_input(struct http2_request_stream *stream, struct str bytes)
{
    struct stream_intake *intake = bytes.len ? request_stream_take_in(&stream->request) : NULL;
    if (!intake)
        return;
    buf_add_str(&intake->in, bytes);
    if (buf_failed(&intake->in))
        request_stream_close(&stream->request);
}

/* Leaves the unread bytes to a later turn. A pull that is deaf says itself when it listens
 * again. */
static void put_off(struct http2_request_stream *stream)
{
    struct worker *worker = worker_of(stream);
    struct stream_intake *intake = stream->request.intake;
    if (!intake || list_linked(&intake->wait_node))
        return;
    intake->later_ns = worker->loop.now_ns;
    list_add_last(is_busy(stream) ? &worker->unfinished : &worker->put_off, &intake->wait_node);
    worker_put_off(worker, BUDGET_READ);
}

/* Whether the peer's close frame waits for the answers that are owed before it. */
static bool is_leaving(const struct http2_request_stream *stream)
{
    const struct pull *pull = stream->request.pull;
    return pull->ops->leaves && pull->ops->leaves(pull);
}

/* A peer that has ended its side, and whose last frame was used, says no more. */
static void settle_input(struct http2_request_stream *stream)
{
    const struct stream_intake *intake = stream->request.intake;
    bool more = (intake && intake->in.len) || is_busy(stream);
    if (stream->wire.is_whole && !more && stream->state == REQUEST_OPEN && !is_leaving(stream))
        request_stream_close(&stream->request);
    else if (more && listens(stream))
        put_off(stream);
    request_stream_count_intake(&stream->request);
    if (!more && intake && !list_linked(&intake->wait_node) &&
        !request_stream_pull_held(&stream->request))
        request_stream_drop_intake(&stream->request);
}

static void input(struct http2_request_stream *stream, char *bytes, size_t len)
{
    const struct stream_intake *intake = stream->request.intake;
    size_t used = 0;
    if (!(intake && intake->in.len) && !is_busy(stream) && listens(stream) &&
        !worker_is_spent(worker_of(stream)))
        used = give(stream, bytes, len);
    keep_input(stream, (struct str){bytes + used, len - used});
    settle_input(stream);
}

/* Goes on with what was kept, within the budget. */
static void input_kept(struct http2_request_stream *stream)
{
    struct worker *worker = worker_of(stream);
    struct stream_intake *intake = stream->request.intake;
    intake->begun_ns = intake->begun_ns ? request_stream_begun_ns(&stream->request) : 0;
    intake->later_ns = 0;
    worker_begin_step(worker);
    while (!worker_is_spent(worker) && listens(stream) && (intake->in.len || is_busy(stream))) {
        bool busy = is_busy(stream);
        size_t used = busy ? give(stream, NULL, 0) : give(stream, intake->in.at, intake->in.len);
        buf_drop(&intake->in, used);
        if (!used && !busy && !is_busy(stream))
            break;
    }
    if (!intake->in.len)
        buf_free(&intake->in);
    settle_input(stream);
}

/* ---- bodies ---------------------------------------------------------------------------------- */

static void add_body(struct http2_request_stream *stream, struct str bytes)
{
    struct request_body *body = body_take(&stream->request);
    if (!body) {
        refuse_body(stream, -ENOMEM);
        return;
    }
    buf_add_str(&body->decoded, bytes);
    if (buf_failed(&body->decoded))
        refuse_body(stream, -ENOMEM);
    else if (body->decoded.len > worker_of(stream)->config.limits.body_max)
        refuse_body(stream, -EMSGSIZE);
    else
        request_stream_count_intake(&stream->request);
}

void http2_request_body(struct http2_stream *wire, char *bytes, size_t len)
{
    struct http2_request_stream *stream = http2_of_wire(wire);
    if (stream->request.pull && stream->state == REQUEST_OPEN) {
        input(stream, bytes, len);
        return;
    }
    if (stream->tunnel && stream->state == REQUEST_OPEN) {
        keep_input(stream, (struct str){bytes, len}); /* until it is opened */
        request_stream_count_intake(&stream->request);
        return;
    }
    http2_consume(stream->connection->http2, wire, len);
    if (stream->phase == HTTP2_BODY)
        add_body(stream, (struct str){bytes, len});
}

void http2_request_whole(struct http2_stream *wire)
{
    struct http2_request_stream *stream = http2_of_wire(wire);
    struct stream_intake *intake = stream->request.intake;
    if (intake && intake->body)
        intake->body->whole = true;
    if (stream->phase == HTTP2_BODY)
        handle_whole(stream);
    else if (stream->request.pull && stream->state == REQUEST_OPEN)
        settle_input(stream);
}

/* ---- the request stream's calls -------------------------------------------------------------- */

static void resume(struct request_stream *request)
{
    struct http2_request_stream *stream = http2_of_request(request);
    if (request->pull)
        input_kept(stream);
    else if (stream->phase == HTTP2_HELD) {
        worker_begin_step(request->worker);
        handle_whole(stream);
    }
}

/* Takes the holding out of the account at once: its stream is freed a little later. */
static void stop_holding(struct request_stream *request, struct holding *holding)
{
    struct rest_place *place = request->out ? &request->out->rest : NULL;
    if (place && place->rest && holding == &place->rest->holding)
        rest_drop(place);
    else
        holding_set(&request->worker->holdings, holding, (enum account_kind)holding->kind, 0);
}

/* A client with an unfinished request gets a refusal. A stream with unsent bytes is reset: a
 * subscriber comes back with its cursor. */
static void shed(struct request_stream *request, struct holding *holding)
{
    struct http2_request_stream *stream = http2_of_request(request);
    struct stream_intake *intake = request->intake;
    bool unfinished = intake && holding == &intake->holding && stream->state == REQUEST_OPEN;
    if (unfinished && request->pull && request->pull->ops->refuse) {
        request->pull->ops->refuse(request->pull, PROBLEM_UNAVAILABLE);
        http2_stream_drop_input(stream);
        request_stream_count_intake(request);
    } else if (unfinished && !request->pull && !stream->exchange) {
        refuse(stream, PROBLEM_UNAVAILABLE,
               STR("too many unfinished requests (limits.held_max): try again"));
    } else {
        request_stream_close(request);
        stop_holding(request, holding);
    }
}

/* ---- timers ---------------------------------------------------------------------------------- */

static void ring_pull(struct http2_request_stream *stream)
{
    struct pull *pull = stream->request.pull;
    bool drain = stream->draining;
    stream->draining = false;
    if (drain)
        pull->ops->goodbye(pull, ENDING_DRAIN);
    else
        pull->ops->ring(pull);
}

static void ring_poll(struct http2_request_stream *stream)
{
    struct waiting *waiting = stream->exchange->waiting;
    stream->draining = false;
    waiting->ops->ring(waiting);
}

static void answer_late(struct http2_request_stream *stream)
{
    if (stream->exchange->patient)
        return;
    bool was_parked = stream->exchange->parked != NULL;
    struct exchange *exchange = http2_exchange_replace(stream);
    if (exchange)
        exchange_answer_late(exchange, was_parked);
    else
        request_stream_close(&stream->request);
}

static void refuse_held(struct http2_request_stream *stream)
{
    refuse(stream, PROBLEM_UNAVAILABLE,
           STR("the server could not take the request in time, since its log is behind: try "
               "again"));
}

/* A slow client is not one that does not read. */
static void end_stalled(struct http2_request_stream *stream)
{
    struct request_stream *request = &stream->request;
    struct worker *worker = request->worker;
    int64_t since_ns = request->out ? request->out->taken_ns : 0;
    if (since_ns && worker->loop.now_ns - since_ns < worker->config.limits.stall_ms * 1000000) {
        http2_stream_enter(stream, HTTP2_SEND, since_ns);
        return;
    }
    worker_hit(worker, LIMIT_STALL);
    request_stream_close(request);
}

static void ring(struct timer *timer)
{
    struct http2_request_stream *stream =
        http2_of_request(container_of(timer, struct request_stream, timer));
    if (stream->state == REQUEST_CLOSED) {
        http2_stream_free(stream);
        return;
    }
    switch ((enum http2_phase)stream->phase) {
    case HTTP2_BODY:
        refuse(stream, PROBLEM_TIMEOUT, STR("send the whole request without long pauses"));
        break;
    case HTTP2_HELD:
        refuse_held(stream);
        break;
    case HTTP2_WAIT:
        answer_late(stream);
        break;
    case HTTP2_POLL:
        ring_poll(stream);
        break;
    case HTTP2_PULL:
        ring_pull(stream);
        break;
    case HTTP2_SEND:
        end_stalled(stream);
        break;
    case HTTP2_LINGER:
        request_stream_close(&stream->request);
        break;
    }
}

static const struct request_stream_ops request_ops = {
    .respond = http2_stream_respond,
    .open = http2_stream_open,
    .free_exchange = http2_stream_free_exchange,
    .wait = http2_stream_wait,
    .end_wait = http2_stream_end_wait,
    .dirty = http2_stream_dirty,
    .woken = http2_stream_woken,
    .behind = http2_stream_behind,
    .end = http2_stream_end,
    .close = http2_stream_close,
    .state = http2_stream_state,
    .conn = http2_stream_conn,
    .id = http2_stream_id,
    .pace = http2_stream_pace,
    .ring_in = http2_stream_ring_in,
    .intake_new = http2_stream_intake_new,
    .resume = resume,
    .shed = shed,
};

struct http2_stream *http2_request_begin(void *connection)
{
    struct http2_request_stream *stream = http2_stream_new(connection, &request_ops, ring);
    return stream ? &stream->wire : NULL;
}
