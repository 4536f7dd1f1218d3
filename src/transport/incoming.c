/* Takes requests off the front of the received bytes, and dispatches them one by one.
 *
 * Normally a head is parsed where it lies, its body stands behind it, and the request becomes an
 * exchange that the API handles. The connection keeps a request that is not whole, a chunked body
 * as its decoded part. A whole request may have to wait: for earlier responses, or for the log.
 * Bytes that cannot be read as a request are refused, and nothing behind them is read. */
#include "transport/incoming.h"

#include "base/say.h"
#include "http/accept.h"
#include "http/foreign.h"
#include "http/origin.h"
#include "http/http1_response.h"
#include "transport/body.h"
#include "transport/checked.h"
#include "transport/entry.h"
#include "transport/forwarding.h"
#include "transport/http2_connection.h"
#include "transport/pipeline.h"
#include "transport/secure.h"

#include <errno.h>
#include <stdlib.h>

/* The charge for a request beside its bytes: the clock is read after four requests. */
enum { REQUEST_COST = BUDGET_STRIDE / 4 };

/* With this many unsent answers, the connection begins no further publish. */
enum { UNSENT_MAX = 64 * 1024 };

/* A head that is too long is refused at its end, or once this many bytes of it have come. */
enum { LONG_HEAD_MAX = 128 * 1024 };

/* The shortest time after which an EventSource reconnects that was over the limit of connections.
 */
enum { RETRY_MS = 3000 };

enum { SAY_EACH_NS = 1000000000 };

/* Makes the exchange of a request that is refused before it is handled, as the last one of its
 * connection. The head stands at the front of `bytes`. */
static struct exchange *refused_exchange(struct http1 *http1, struct str bytes)
{
    struct pipelined *asked =
        pipeline_add(http1, worker_admitted(http1->request.worker, http_origin_scan(bytes)));
    http1->finished = true;
    if (!asked)
        return NULL;
    asked->exchange.is_head = http_asks_head(bytes);
    return &asked->exchange;
}

/* Refuses bytes that are no request; their head stands at the front of `bytes`. Nothing after them
 * is read. */
static void refuse(struct http1 *http1, struct str bytes, enum problem problem, struct str detail)
{
    struct exchange *exchange = refused_exchange(http1, bytes);
    if (exchange)
        exchange_problem(exchange, problem, detail, STR_NONE);
    else
        conn_close(&http1->conn);
}

void incoming_refuse(struct http1 *http1, enum problem problem, struct str detail)
{
    struct str kept = http1->request.intake ? buf_str(&http1->request.intake->in) : STR_NONE;
    refuse(http1, kept, problem, detail);
}

/* Makes the exchange of a complete request; NULL if the connection had to be closed. */
static struct pipelined *begin_exchange(struct http1 *http1, bool keep_alive, int minor,
                                        struct str origin)
{
    struct pipelined *asked = pipeline_add(http1, origin);
    if (!asked) {
        conn_close(&http1->conn);
        return NULL;
    }
    struct worker *worker = http1->request.worker;
    asked->keep_alive = keep_alive && !worker->draining;
    asked->http10 = minor == 0;
    asked->exchange.chunked = minor > 0;
    asked->exchange.since_ns = worker->loop.now_ns;
    http1_intake(http1)->scan = (struct http_scan){0};
    http1->continued = false;
    http1->part = PART_NONE;
    http1_intake(http1)->held_ns = 0;
    http1->finished = http1->finished || !asked->keep_alive;
    http1->asked = true;
    stat_add(&worker->stats.requests, 1);
    return asked;
}

static void dispatch(struct http1 *http1, const struct http_head *head, struct str origin,
                     struct str body)
{
    struct worker *worker = http1->request.worker;
    struct pipelined *asked = begin_exchange(http1, head->framing.keep_alive, head->minor, origin);
    if (!asked)
        return;
    asked->publishes = head->method == HTTP_POST;
    asked->exchange.is_head = head->method == HTTP_HEAD;
    asked->exchange.head = head;
    worker->body = body;
    forwarding_note(worker, &http1->conn, http1->conn.id, head);
    exchange_handle(&asked->exchange);
}

enum step { STEP_MORE, STEP_STOP };

/* Publishes may be pipelined after publishes. Any other request waits until all earlier answers are
 * sent: it must see the effect of earlier requests, and may take the connection over. A read that
 * waits would otherwise wait for ever behind an answer that its peer does not read. */
static bool is_out_of_turn(const struct http1 *http1, bool publish)
{
    if (publish ? request_stream_unsent_len(&http1->request) > UNSENT_MAX
                : !request_stream_is_clear(&http1->request))
        return true;
    return http1_inflight(http1) >= http1->request.worker->config.limits.inflight_max ||
           (http1_inflight(http1) && (!publish || !pipeline_last(http1)->publishes ||
                                      pipeline_last(http1)->exchange.parked));
}

/* Whether a proxy has sent the request for another client than those before, which are not answered
 * yet. */
static bool is_of_another(const struct http1 *http1, const struct http_head *head)
{
    const struct conn *conn = &http1->conn;
    return http1_inflight(http1) && forwarding_changes(http1->request.worker, conn, conn->id, head);
}

/* Whether the request must wait, for earlier answers or for the log. */
static bool must_wait(struct http1 *http1, const struct http_head *head)
{
    bool publish = head->method == HTTP_POST;
    if (is_out_of_turn(http1, publish) || is_of_another(http1, head))
        return true;
    if (!publish || !worker_pressed(http1->request.worker))
        return false;
    request_stream_pause(&http1->request);
    return true;
}

/* Begins a part of a request and its deadline. If the part has begun already, it continues. */
static void begin_part(struct http1 *http1, enum http1_part part)
{
    if (http1->part >= part)
        return;
    http1->part = (uint8_t)part;
    http1->request.intake->begun_ns = http1->request.worker->loop.now_ns;
}

static void hold(struct http1 *http1)
{
    struct worker *worker = http1->request.worker;
    if (!http1_intake(http1)->held_ns &&
        http1_inflight(http1) >= worker->config.limits.inflight_max)
        worker_hit(worker, LIMIT_INFLIGHT);
    if (!http1_intake(http1)->held_ns)
        http1_intake(http1)->held_ns = http1->request.worker->loop.now_ns;
    http1->held = true;
}

static void ask_for_body(struct http1 *http1, const struct http_head *head)
{
    if (!head->expect_continue || http1->continued || http1_inflight(http1))
        return;
    http1->continued = true;
    http1->request.intake->begun_ns = http1->request.worker->loop.now_ns;
    http1_response_continue(request_stream_add(&http1->request));
    conn_dirty(&http1->conn);
}

static enum step wait_for_body(struct http1 *http1, const struct http_head *head)
{
    begin_part(http1, PART_BODY);
    ask_for_body(http1, head);
    return STEP_STOP;
}

/* Refuses a request for its body: see body_refusal(). It is the last. */
static enum step refuse_body(struct http1 *http1, struct str bytes, int error)
{
    struct buf detail = {0};
    uint64_t most = http1->request.worker->config.limits.body_max;
    enum problem problem = body_refusal(error, most, &detail);
    refuse(http1, bytes, problem, buf_str(&detail));
    buf_free(&detail);
    if (error == -EMSGSIZE)
        worker_hit(http1->request.worker, LIMIT_BODIES);
    return STEP_STOP;
}

/* A body with Content-Length: it follows its head in the same bytes. */
static enum step read_sized(struct http1 *http1, struct str bytes, const struct http_head *head,
                            size_t *ret_used, struct str *ret_body)
{
    if (head->framing.content_length > http1->request.worker->config.limits.body_max)
        return refuse_body(http1, bytes, -EMSGSIZE);
    size_t length = (size_t)head->framing.content_length;
    if (bytes.len - head->size < length)
        return wait_for_body(http1, head);
    *ret_body = (struct str){bytes.at + head->size, length};
    *ret_used = head->size + length;
    return STEP_MORE;
}

/* A chunked body: decoded piece by piece; the head stays in front of the bytes not decoded yet. */
static enum step read_chunked(struct http1 *http1, struct str bytes, const struct http_head *head,
                              size_t *ret_used, struct str *ret_body)
{
    struct request_body *body = body_take(&http1->request);
    if (!body)
        return refuse_body(http1, bytes, -ENOMEM);
    struct str rest = str_skip(bytes, head->size), data;
    int result;
    while ((result = http_chunked_feed(&body->chunked, &http1->request.worker->config.limits.http,
                                       &rest, &data)) == HTTP_CHUNKED_DATA) {
        buf_add_str(&body->decoded, data);
        if (buf_failed(&body->decoded))
            return refuse_body(http1, bytes, -ENOMEM);
        if (body->decoded.len > http1->request.worker->config.limits.body_max)
            return refuse_body(http1, bytes, -EMSGSIZE);
    }
    *ret_used = bytes.len - rest.len;
    /* Refuse a chunk by the size that it announces, without waiting for its bytes. */
    if (result == -EAGAIN &&
        body->chunked.left > http1->request.worker->config.limits.body_max - body->decoded.len)
        return refuse_body(http1, bytes, -EMSGSIZE);
    if (result == -EAGAIN)
        return wait_for_body(http1, head);
    if (result != HTTP_CHUNKED_END) {
        refuse(http1, bytes, problem_of_status(http_chunked_error_status(result)),
               http_chunked_error_detail(result));
        return STEP_STOP;
    }
    body->whole = true;
    *ret_body = buf_str(&body->decoded);
    return STEP_MORE;
}

static enum step read_body(struct http1 *http1, struct str bytes, const struct http_head *head,
                           size_t *ret_used, struct str *ret_body)
{
    const struct request_body *body = http1->request.intake->body;
    *ret_used = head->size;
    if (body && body->whole) {
        *ret_body = buf_str(&body->decoded);
        return STEP_MORE;
    }
    if (head->framing.chunked)
        return read_chunked(http1, bytes, head, ret_used, ret_body);
    return head->framing.content_length ? read_sized(http1, bytes, head, ret_used, ret_body)
                                        : STEP_MORE;
}

/* Makes the body that has come whole ready, as far as the budget goes. */
static enum step prepare_body(struct http1 *http1, struct str bytes, const struct http_head *head,
                              struct str *body)
{
    int result = body_prepare(&http1->request, head, body);
    if (result == -EAGAIN)
        begin_part(http1, PART_BODY);
    else if (result)
        return refuse_body(http1, bytes, result);
    return result ? STEP_STOP : STEP_MORE;
}

/* Keeps the head and removes the decoded bytes behind it. */
static void keep_head(struct http1 *http1, struct str bytes, size_t head_size, size_t used)
{
    struct str rest = str_skip(bytes, used);
    struct buf kept = {0};
    buf_add(&kept, bytes.at, head_size);
    buf_add_str(&kept, rest);
    buf_free(&http1->request.intake->in);
    http1->request.intake->in = kept;
}

/* Leaves `bytes` in `in`, where they may already be. */
static void keep(struct buf *in, struct str bytes)
{
    if (bytes.at == in->at && bytes.len == in->len)
        return;
    if (in->len && bytes.at >= in->at && bytes.at <= in->at + in->len) {
        buf_drop(in, in->len - bytes.len);
    } else {
        buf_clear(in);
        buf_add_str(in, bytes);
    }
    if (!in->len && !buf_failed(in))
        buf_free(in);
}

static enum step step_known(struct http1 *http1, const struct known_request *known,
                            struct str *bytes)
{
    struct worker *worker = http1->request.worker;
    if (is_out_of_turn(http1, false)) {
        hold(http1);
        return STEP_STOP;
    }
    *bytes = str_skip(*bytes, known->bytes.len);
    worker->known = known->reading;
    dispatch(http1, &known->head, known->origin, STR_NONE);
    worker->known = NULL;
    return STEP_MORE;
}

/* Whether to read on although the head is too long, because its Origin may follow. The Origin is
 * searched for once, at the end of the head. */
static bool may_name_origin(struct str bytes, int error)
{
    bool too_long = error == HTTP_E_LINE_TOO_LONG || error == HTTP_E_TOO_LARGE;
    return too_long && bytes.len < LONG_HEAD_MAX && !http_head_ended(bytes);
}

/* Whether the client is an EventSource, which reconnects only after a status of 200. */
static bool asks_for_events(const struct http_head *head)
{
    const struct str offers[] = {format_page.content_type, format_sse.content_type};
    return head->method == HTTP_GET && !head->upgrade_websocket &&
           http_accept_best(&head->fields, offers, 2) == 1;
}

/* Tells the EventSource to reconnect, after a delay with some randomness. */
static void end_events(struct exchange *exchange)
{
    struct response response;
    struct buf body = {0};
    buf_addf(&body, "retry: %u\n\n", RETRY_MS + worker_random(RETRY_MS));
    response_init(&response, 200);
    response.goes_on = true; /* no cache may keep it */
    response.type = format_sse.content_type;
    response.body[0] = buf_str(&body);
    exchange_respond(exchange, &response);
    buf_free(&body);
}

void incoming_refuse_connection(struct http1 *http1)
{
    struct str detail;
    enum problem problem = entry_problem(http1->refused, &detail);
    incoming_refuse(http1, problem, detail);
}

/* The same once its request has come; the head stands at the front of `bytes`. */
static enum step refuse_connection(struct http1 *http1, struct str bytes,
                                   const struct http_head *head)
{
    struct exchange *exchange = refused_exchange(http1, bytes);
    struct str detail;
    enum problem problem = entry_problem(http1->refused, &detail);
    if (!exchange)
        conn_close(&http1->conn);
    else if (asks_for_events(head))
        end_events(exchange);
    else
        exchange_problem(exchange, problem, detail, STR_NONE);
    return STEP_STOP;
}

static enum step refuse_bare(struct http1 *http1, struct str bytes, const struct http_head *head)
{
    struct exchange *exchange = refused_exchange(http1, bytes);
    if (exchange)
        secure_refuse(exchange, &http1->conn, head);
    else
        conn_close(&http1->conn);
    return STEP_STOP;
}

/* The client speaks HTTP/2 with prior knowledge: what it has sent begins with the preface. */
static enum step begin_http2(struct http1 *http1, struct str bytes)
{
    if (!http2_take_over(http1->request.worker, &http1->conn, bytes))
        conn_close(&http1->conn);
    return STEP_STOP;
}

/* The same for a connection over a limit, or without the TLS that its port speaks. */
static enum step refuse_http2(struct http1 *http1)
{
    enum foreign_refusal refusal = http1->refused ? FOREIGN_LIMIT : FOREIGN_BARE;
    struct str why = STR("requests need TLS here: use https://");
    if (http1->refused)
        (void)entry_problem(http1->refused, &why);
    http1->finished = true;
    foreign_add_goaway(request_stream_add(&http1->request), refusal, why);
    http1_close_soon(http1);
    return STEP_STOP;
}

/* The detail of the answer to a TLS client. The client does not show it, so it is logged too, at
 * most once a second for each worker. */
static struct str tls_detail(struct worker *worker)
{
    int64_t now_ns = worker->loop.now_ns;
    if (!worker->tls_said_ns || now_ns - worker->tls_said_ns >= SAY_EACH_NS) {
        worker->tls_said_ns = now_ns;
        say(SAY_WARN, "tls_refused",
            "detail=\"a client spoke TLS, which is not spoken here: use http:// and ws://, or a "
            "proxy in front that speaks TLS\"");
    }
    return STR(
        "TLS is not spoken here: use http:// and ws://, or a proxy in front that speaks TLS");
}

static enum step refuse_tls(struct http1 *http1)
{
    refuse(http1, STR_NONE, PROBLEM_BAD_REQUEST, tls_detail(http1->request.worker));
    return STEP_STOP;
}

static enum step refuse_head(struct http1 *http1, struct str bytes, int error)
{
    if (may_name_origin(bytes, error))
        begin_part(http1, PART_HEAD);
    else
        refuse(http1, bytes, problem_of_status(http_head_error_status(error)),
               http_head_error_detail(error));
    return STEP_STOP;
}

/* Takes a request off the front of `*bytes`. */
static enum step step(struct http1 *http1, struct str *bytes)
{
    struct worker *worker = http1->request.worker;
    const struct known_request *known = request_cache_find(&worker->request_cache, *bytes);
    if (known && !http1->refused && !secure_refuses(http1->conn.door))
        return step_known(http1, known, bytes);
    const struct http_head *head;
    struct http_scan scan = http1_intake(http1)->scan;
    size_t used = 0;
    struct str body = STR_NONE;
    if (foreign_is_tls(*bytes))
        return refuse_tls(http1);
    if (!http1->asked && foreign_is_http2(*bytes))
        return http1->refused || http1->conn.door & DOOR_BARE ? refuse_http2(http1)
                                                              : begin_http2(http1, *bytes);
    int result = http_memo_parse(&worker->memo, *bytes, &worker->config.limits.http, &scan, &head);
    if (result == -EAGAIN) {
        http1_intake(http1)->scan = scan;
        if (bytes->len)
            begin_part(http1, PART_HEAD);
        return STEP_STOP;
    }
    if (result)
        return refuse_head(http1, *bytes, result);
    if (http1->refused)
        return refuse_connection(http1, *bytes, head);
    if (secure_refuses_request(worker, &http1->conn, head))
        return refuse_bare(http1, *bytes, head);
    if (must_wait(http1, head)) {
        hold(http1);
        return STEP_STOP;
    }
    if (body_has_foreign_coding(head))
        return refuse_body(http1, *bytes, -EOPNOTSUPP);
    enum step next = read_body(http1, *bytes, head, &used, &body);
    struct str received = body;
    if (next == STEP_MORE)
        next = prepare_body(http1, *bytes, head, &body);
    if (next == STEP_STOP) {
        if (http1->request.intake->body && !http1->finished && !http1->conn.dead) {
            keep_head(http1, *bytes, head->size, used);
            *bytes = buf_str(&http1->request.intake->in);
        }
        return STEP_STOP;
    }
    worker->received = received;
    worker->head_bytes = (struct str){bytes->at, head->size};
    dispatch(http1, head, http_header(head, STR("origin")), body);
    if (http1->request.intake)
        checked_end(worker, &http1->request.intake->check);
    request_stream_drop_body(&http1->request);
    *bytes = str_skip(*bytes, used);
    return STEP_MORE;
}

/* Takes a request off the front, within the budget; returns false if this step must end. A request
 * that is not whole is looked at again with each read, and charged each time. */
static bool read_one(struct http1 *http1, struct str *bytes)
{
    size_t len = bytes->len;
    enum step next = step(http1, bytes);
    size_t seen = next == STEP_MORE ? len - bytes->len : len;
    size_t cost = seen < NET_READ_SIZE ? seen : NET_READ_SIZE;
    return worker_spend(http1->request.worker, cost + REQUEST_COST) && next == STEP_MORE;
}

bool incoming_may_follow(const struct http1 *http1)
{
    return !http1->closing && !http1->finished && !http1->conn.dead && !http1_is_taken(http1) &&
           !http1->held;
}

/* The connection reads no more after the request of a stream, or after its last request. */
static bool will_be_read(const struct http1 *http1)
{
    const struct pull *pull = http1->request.pull;
    if (pull && !http1_inflight(http1))
        return pull->ops->input != NULL;
    return !http1->finished;
}

/* Reads requests from `bytes`, which begin with the kept bytes if there are any. */
void incoming_read(struct http1 *http1, struct str bytes)
{
    if (!http1_take_in(http1))
        return;
    struct buf *in = &http1->request.intake->in;
    http1->processing = true;
    http1->held = false;
    while (incoming_may_follow(http1) && bytes.len && read_one(http1, &bytes))
        ;
    http1->processing = false;
    if (http1->closing || http1->conn.dead)
        return;
    if (will_be_read(http1))
        keep(in, bytes);
    else
        buf_free(in);
    if (buf_failed(in)) {
        conn_close(&http1->conn); /* received bytes were lost for lack of memory */
        return;
    }
    http1_settle(http1);
}
