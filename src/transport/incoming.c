/* Takes requests off the front of the received bytes, and dispatches them one by one.
 *
 * Normally a head is parsed where it lies, its body stands behind it, and the request becomes an
 * exchange that the API handles. The session keeps a request that is not whole, a chunked body as
 * its decoded part. A whole request may have to wait: for earlier responses, or for the log. Bytes
 * that cannot be read as a request are refused, and nothing behind them is read. */
#include "transport/incoming.h"

#include "base/say.h"
#include "http/accept.h"
#include "http/foreign.h"
#include "http/gzip.h"
#include "http/origin.h"
#include "http/http1_response.h"
#include "transport/checked.h"
#include "transport/pipeline.h"

#include <errno.h>
#include <stdlib.h>

/* The charge for a request beside its bytes: the clock is read after four requests. */
enum { REQUEST_COST = BUDGET_STRIDE / 4 };

/* Answers to publishes that wait to be sent, at which no further publish of the connection begins.
 */
enum { UNSENT_MAX = 64 * 1024 };

/* A head that is too long is refused at its end, or when so much of it has come. */
enum { LONG_HEAD_MAX = 128 * 1024 };

/* Bytes that a compressed body becomes at a time, and what that counts for: mostly its time
 * decides. */
enum { GZIP_PIECE = 32 << 10, GZIP_PIECE_COST = BUDGET_STRIDE };

/* The least time after which an EventSource comes back that met the limit of connections. */
enum { RETRY_MS = 3000 };

enum { SAY_EACH_NS = 1000000000 };

/* Browsers show the answer to a page of another origin only if the answer names that origin.
 * Handled requests are checked by the API; this is for refusals before that. */
static struct str if_admitted(const struct worker *worker, struct str origin)
{
    bool admitted = worker->config.admits && worker->config.admits(worker->config.app, origin);
    return admitted ? origin : STR_NONE;
}

/* The exchange of a request that is refused before it is handled, and whose head is in front of
 * `bytes`; the last one of its connection. */
static struct exchange *refused_exchange(struct session *session, struct str bytes)
{
    struct pipelined *asked =
        pipeline_add(session, if_admitted(session->request.worker, http_origin_scan(bytes)));
    session->finished = true;
    if (!asked)
        return NULL;
    asked->exchange.is_head = http_asks_head(bytes);
    return &asked->exchange;
}

/* A request that cannot be read as one, and whose head is in front of `bytes`: nothing behind it
 * can be trusted either. */
static void refuse(struct session *session, struct str bytes, enum problem problem,
                   struct str detail)
{
    struct exchange *exchange = refused_exchange(session, bytes);
    if (exchange)
        exchange_problem(exchange, problem, detail, STR_NONE);
    else
        conn_close(&session->conn);
}

void incoming_refuse(struct session *session, enum problem problem, struct str detail)
{
    struct str kept = session->request.intake ? buf_str(&session->request.intake->in) : STR_NONE;
    refuse(session, kept, problem, detail);
}

/* The exchange of a request that is whole; NULL when the connection had to be closed. */
static struct pipelined *begin_exchange(struct session *session, bool keep_alive, int minor,
                                        struct str origin)
{
    struct pipelined *asked = pipeline_add(session, origin);
    if (!asked) {
        conn_close(&session->conn);
        return NULL;
    }
    struct worker *worker = session->request.worker;
    asked->keep_alive = keep_alive && !worker->draining;
    asked->http10 = minor == 0;
    asked->exchange.chunked = minor > 0;
    asked->exchange.since_ns = worker->loop.now_ns;
    session_intake(session)->scan = (struct http_scan){0};
    session->continued = false;
    session->part = PART_NONE;
    session_intake(session)->held_ns = 0;
    session->finished = session->finished || !asked->keep_alive;
    stat_add(&worker->stats.requests, 1);
    return asked;
}

static void dispatch(struct session *session, const struct http_head *head, struct str origin,
                     struct str body)
{
    struct worker *worker = session->request.worker;
    struct pipelined *asked =
        begin_exchange(session, head->framing.keep_alive, head->minor, origin);
    if (!asked)
        return;
    asked->publishes = head->method == HTTP_POST;
    asked->exchange.is_head = head->method == HTTP_HEAD;
    asked->exchange.head = head;
    worker->body = body;
    worker->config.handle(&asked->exchange);
}

enum step { STEP_MORE, STEP_STOP };

/* Publishes may be pipelined behind publishes; anything else is answered alone, since it is to see
 * what came before it, and may take the connection over. Nor does it begin before earlier answers
 * are sent: a read that waits would wait for ever behind one that its peer does not read. */
static bool is_out_of_turn(const struct session *session, bool publish)
{
    if (publish ? request_stream_unsent_len(&session->request) > UNSENT_MAX
                : !request_stream_is_clear(&session->request))
        return true;
    return session_inflight(session) >= session->request.worker->config.limits.inflight_max ||
           (session_inflight(session) && (!publish || !pipeline_last(session)->publishes));
}

/* Whether this request has to wait: for earlier answers, or for the log to catch up. */
static bool must_wait(struct session *session, const struct http_head *head)
{
    bool publish = head->method == HTTP_POST;
    if (is_out_of_turn(session, publish))
        return true;
    if (!publish || !worker_pressed(session->request.worker))
        return false;
    request_stream_pause(&session->request);
    return true;
}

/* Begins a part of a request, and its deadline. A part that has begun continues. */
static void begin_part(struct session *session, enum session_part part)
{
    if (session->part >= part)
        return;
    session->part = (uint8_t)part;
    session->request.intake->begun_ns = session->request.worker->loop.now_ns;
}

static void hold(struct session *session)
{
    struct worker *worker = session->request.worker;
    if (!session_intake(session)->held_ns &&
        session_inflight(session) >= worker->config.limits.inflight_max)
        worker_hit(worker, LIMIT_INFLIGHT);
    if (!session_intake(session)->held_ns)
        session_intake(session)->held_ns = session->request.worker->loop.now_ns;
    session->held = true;
}

static void ask_for_body(struct session *session, const struct http_head *head)
{
    if (!head->expect_continue || session->continued || session_inflight(session))
        return;
    session->continued = true;
    session->request.intake->begun_ns = session->request.worker->loop.now_ns;
    http1_response_continue(request_stream_add(&session->request));
    conn_dirty(&session->conn);
}

static enum step wait_for_body(struct session *session, const struct http_head *head)
{
    begin_part(session, PART_BODY);
    ask_for_body(session, head);
    return STEP_STOP;
}

static enum step refuse_too_large(struct session *session, struct str bytes)
{
    refuse(session, bytes, PROBLEM_TOO_LARGE, STR("the body is larger than limits.body_max"));
    return STEP_STOP;
}

/* Sized: the body stands behind its head in the same bytes. */
static enum step read_sized(struct session *session, struct str bytes, const struct http_head *head,
                            size_t *ret_used, struct str *ret_body)
{
    if (head->framing.content_length > session->request.worker->config.limits.body_max)
        return refuse_too_large(session, bytes);
    size_t length = (size_t)head->framing.content_length;
    if (bytes.len - head->size < length)
        return wait_for_body(session, head);
    *ret_body = (struct str){bytes.at + head->size, length};
    *ret_used = head->size + length;
    return STEP_MORE;
}

/* Without memory for what comes of a request, that request is refused, and is the last. */
static enum step refuse_for_memory(struct session *session, struct str bytes)
{
    refuse(session, bytes, PROBLEM_UNAVAILABLE, STR("no memory: try again"));
    return STEP_STOP;
}

static struct request_body *body_of(struct session *session, struct str bytes)
{
    if (session->request.intake->body)
        return session->request.intake->body;
    struct request_body *body = mem_try_alloc(sizeof(*body));
    if (body)
        *body = (struct request_body){.decoded = {0}};
    else
        (void)refuse_for_memory(session, bytes);
    return session->request.intake->body = body;
}

/* Chunked: decoded piece by piece; the head stays in front of what is not decoded yet. */
static enum step read_chunked(struct session *session, struct str bytes,
                              const struct http_head *head, size_t *ret_used, struct str *ret_body)
{
    struct request_body *body = body_of(session, bytes);
    if (!body)
        return STEP_STOP;
    struct str rest = str_skip(bytes, head->size), data;
    int result;
    while ((result = http_chunked_feed(&body->chunked, &session->request.worker->config.limits.http,
                                       &rest, &data)) == HTTP_CHUNKED_DATA) {
        buf_add_str(&body->decoded, data);
        if (buf_failed(&body->decoded))
            return refuse_for_memory(session, bytes);
        if (body->decoded.len > session->request.worker->config.limits.body_max)
            return refuse_too_large(session, bytes);
    }
    *ret_used = bytes.len - rest.len;
    /* Refuse a chunk by the size that it announces, without waiting for its bytes. */
    if (result == -EAGAIN &&
        body->chunked.left > session->request.worker->config.limits.body_max - body->decoded.len)
        return refuse_too_large(session, bytes);
    if (result == -EAGAIN)
        return wait_for_body(session, head);
    if (result != HTTP_CHUNKED_END) {
        refuse(session, bytes, problem_of_status(http_chunked_error_status(result)),
               http_chunked_error_detail(result));
        return STEP_STOP;
    }
    body->whole = true;
    *ret_body = buf_str(&body->decoded);
    return STEP_MORE;
}

static enum step read_body(struct session *session, struct str bytes, const struct http_head *head,
                           size_t *ret_used, struct str *ret_body)
{
    const struct request_body *body = session->request.intake->body;
    *ret_used = head->size;
    if (body && body->whole) {
        *ret_body = buf_str(&body->decoded);
        return STEP_MORE;
    }
    if (head->framing.chunked)
        return read_chunked(session, bytes, head, ret_used, ret_body);
    return head->framing.content_length ? read_sized(session, bytes, head, ret_used, ret_body)
                                        : STEP_MORE;
}

/* A compressed body lies in memory of its own while it is decompressed, which may take many turns:
 * what comes behind it meanwhile must not move it. */
static enum step begin_gzip(struct session *session, struct str bytes, struct str received)
{
    struct request_body *body = body_of(session, bytes);
    if (!body)
        return STEP_STOP;
    if (!body->whole)
        buf_add_str(&body->decoded, received);
    body->whole = true;
    bool failed = buf_failed(&body->decoded) || http_gzip_begin(&body->gzip);
    return failed ? refuse_for_memory(session, bytes) : STEP_MORE;
}

static enum step refuse_gzip(struct session *session, struct str bytes, int error)
{
    if (error == -EMSGSIZE)
        return refuse_too_large(session, bytes);
    if (error == -ENOMEM)
        return refuse_for_memory(session, bytes);
    refuse(session, bytes, PROBLEM_BAD_REQUEST,
           STR("the body is not gzip from beginning to end, as its Content-Encoding says, or is of "
               "too many blocks"));
    return STEP_STOP;
}

/* Decompresses on, within the budget. */
static enum step undo_gzip(struct session *session, struct str bytes, struct request_body *body)
{
    struct worker *worker = session->request.worker;
    size_t max = worker->config.limits.body_max;
    int result;
    while ((result = http_gzip_some(&body->gzip, buf_str(&body->decoded), GZIP_PIECE, max,
                                    &body->plain)) == -EAGAIN)
        if (!worker_spend(worker, GZIP_PIECE_COST)) {
            begin_part(session, PART_BODY);
            return STEP_STOP;
        }
    http_gzip_end(&body->gzip);
    body->is_plain = !result;
    return result ? refuse_gzip(session, bytes, result) : STEP_MORE;
}

/* Undoes the content coding of the body, which has come whole. */
static enum step decode(struct session *session, struct str bytes, const struct http_head *head,
                        struct str *body)
{
    if (!body->len || http_coding_of(&head->fields) != HTTP_CODING_GZIP)
        return STEP_MORE;
    struct request_body *coded = session->request.intake->body;
    enum step next = STEP_MORE;
    if (!coded || (!coded->is_plain && !coded->gzip.stream))
        next = begin_gzip(session, bytes, *body);
    coded = session->request.intake ? session->request.intake->body : NULL;
    if (next == STEP_MORE && coded && !coded->is_plain)
        next = undo_gzip(session, bytes, coded);
    if (next == STEP_MORE && coded)
        *body = buf_str(&coded->plain);
    return next;
}

/* Refused as soon as the head says so: a client that asks is spared to send its body. */
static bool has_foreign_coding(struct session *session, struct str bytes,
                               const struct http_head *head)
{
    if (http_coding_of(&head->fields) != HTTP_CODING_OTHER)
        return false;
    refuse(session, bytes, PROBLEM_BAD_CODING,
           STR("send the body as it is, or with Content-Encoding: gzip"));
    return true;
}

/* Whether a text is a container, if it is JSON. */
static bool begins_container(struct str text)
{
    struct str json = json_skip_space(text);
    return json.len && (json.at[0] == '[' || json.at[0] == '{');
}

/* Whether the body may be handled: the JSON of a large one is checked before, in pieces. Any large
 * body that begins like a container may be meant as JSON. */
static bool is_checked(struct session *session, const struct http_head *head, struct str body)
{
    if (body.len <= CHECKED_LARGE || head->method != HTTP_POST)
        return true;
    if (!session->request.intake->check && !begins_container(body))
        return true;
    if (checked_go_on(session->request.worker, &session->request.intake->check, body))
        return true;
    begin_part(session, PART_BODY);
    return false;
}

/* Keeps the head and drops what was decoded behind it. */
static void keep_head(struct session *session, struct str bytes, size_t head_size, size_t used)
{
    struct str rest = str_skip(bytes, used);
    struct buf kept = {0};
    buf_add(&kept, bytes.at, head_size);
    buf_add_str(&kept, rest);
    buf_free(&session->request.intake->in);
    session->request.intake->in = kept;
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

static enum step step_known(struct session *session, const struct known_request *known,
                            struct str *bytes)
{
    struct worker *worker = session->request.worker;
    if (is_out_of_turn(session, false)) {
        hold(session);
        return STEP_STOP;
    }
    *bytes = str_skip(*bytes, known->bytes.len);
    worker->known = known->reading;
    dispatch(session, &known->head, known->origin, STR_NONE);
    worker->known = NULL;
    return STEP_MORE;
}

/* Whether a head that is too long is read on: its Origin may be yet to come. The Origin is looked
 * for once, when it ends. */
static bool may_name_origin(struct str bytes, int error)
{
    bool too_long = error == HTTP_E_LINE_TOO_LONG || error == HTTP_E_TOO_LARGE;
    return too_long && bytes.len < LONG_HEAD_MAX && !http_head_ended(bytes);
}

/* Whether an EventSource asks, which never comes back after a status other than 200. */
static bool asks_for_events(const struct http_head *head)
{
    const struct str offers[] = {format_page.content_type, format_sse.content_type};
    return head->method == HTTP_GET && !head->upgrade_websocket &&
           http_accept_best(&head->fields, offers, 2) == 1;
}

/* The EventSource may come back by itself, in a while that is not the same for all. */
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

void incoming_refuse_connection(struct session *session)
{
    incoming_refuse(session, PROBLEM_UNAVAILABLE,
                    STR("connection limit reached (limits.connections_max): try again later, or "
                        "raise the limit"));
}

/* The same, once its request has come: its head is in front of `bytes`. */
static enum step refuse_connection(struct session *session, struct str bytes,
                                   const struct http_head *head)
{
    struct exchange *exchange = refused_exchange(session, bytes);
    if (!exchange)
        conn_close(&session->conn);
    else if (asks_for_events(head))
        end_events(exchange);
    else
        exchange_problem(exchange, PROBLEM_UNAVAILABLE,
                         STR("connection limit reached (limits.connections_max): try again later, "
                             "or raise the limit"),
                         STR_NONE);
    return STEP_STOP;
}

static enum step refuse_http2(struct session *session)
{
    session->finished = true;
    foreign_add_goaway(request_stream_add(&session->request));
    session_close_soon(session);
    return STEP_STOP;
}

/* The detail of the answer to a TLS client. Such a client does not show it, so it is logged too: at
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

static enum step refuse_tls(struct session *session)
{
    refuse(session, STR_NONE, PROBLEM_BAD_REQUEST, tls_detail(session->request.worker));
    return STEP_STOP;
}

static enum step refuse_head(struct session *session, struct str bytes, int error)
{
    /* Behind requests that are not answered yet the answer comes in turn. */
    if (foreign_is_http2(bytes) && !session_inflight(session) &&
        request_stream_is_clear(&session->request))
        return refuse_http2(session);
    if (may_name_origin(bytes, error))
        begin_part(session, PART_HEAD);
    else
        refuse(session, bytes, problem_of_status(http_head_error_status(error)),
               http_head_error_detail(error));
    return STEP_STOP;
}

/* Takes a request off the front of `*bytes`. */
static enum step step(struct session *session, struct str *bytes)
{
    struct worker *worker = session->request.worker;
    const struct known_request *known = request_cache_find(&worker->request_cache, *bytes);
    if (known && !session->refused)
        return step_known(session, known, bytes);
    struct http_head *head = &worker->head;
    struct http_scan scan = session_intake(session)->scan;
    size_t used = 0;
    struct str body = STR_NONE;
    if (foreign_is_tls(*bytes))
        return refuse_tls(session);
    int result = http_head_parse(*bytes, &worker->config.limits.http, &scan, head);
    if (result == -EAGAIN) {
        session_intake(session)->scan = scan;
        if (bytes->len)
            begin_part(session, PART_HEAD);
        return STEP_STOP;
    }
    if (result)
        return refuse_head(session, *bytes, result);
    if (session->refused)
        return refuse_connection(session, *bytes, head);
    if (must_wait(session, head)) {
        hold(session);
        return STEP_STOP;
    }
    if (has_foreign_coding(session, *bytes, head))
        return STEP_STOP;
    enum step next = read_body(session, *bytes, head, &used, &body);
    struct str received = body;
    if (next == STEP_MORE)
        next = decode(session, *bytes, head, &body);
    if (next == STEP_MORE && !is_checked(session, head, body))
        next = STEP_STOP;
    if (next == STEP_STOP) {
        if (session->request.intake->body && !session->finished && !session->conn.dead) {
            keep_head(session, *bytes, head->size, used);
            *bytes = buf_str(&session->request.intake->in);
        }
        return STEP_STOP;
    }
    worker->received = received;
    worker->head_bytes = (struct str){bytes->at, head->size};
    dispatch(session, head, http_header(head, STR("origin")), body);
    if (session->request.intake)
        checked_end(worker, &session->request.intake->check);
    request_stream_drop_body(&session->request);
    *bytes = str_skip(*bytes, used);
    return STEP_MORE;
}

/* Takes a request off the front, within the budget; returns false if this step must end. A request
 * that is not whole is looked at again with each read, and charged each time. */
static bool read_one(struct session *session, struct str *bytes)
{
    size_t len = bytes->len;
    enum step next = step(session, bytes);
    size_t seen = next == STEP_MORE ? len - bytes->len : len;
    size_t cost = seen < NET_READ_SIZE ? seen : NET_READ_SIZE;
    return worker_spend(session->request.worker, cost + REQUEST_COST) && next == STEP_MORE;
}

bool incoming_may_follow(const struct session *session)
{
    return !session->closing && !session->finished && !session->conn.dead &&
           !session_is_taken(session) && !session->held;
}

/* Behind a stream, or the last request, nothing is. */
static bool will_be_read(const struct session *session)
{
    const struct pull *pull = session->request.pull;
    if (pull && !session_inflight(session))
        return pull->ops->input != NULL;
    return !session->finished;
}

/* Works through `bytes`, which begin with what the intake has if that is not empty. */
void incoming_read(struct session *session, struct str bytes)
{
    if (!session_take_in(session))
        return;
    struct buf *in = &session->request.intake->in;
    session->processing = true;
    session->held = false;
    while (incoming_may_follow(session) && bytes.len && read_one(session, &bytes))
        ;
    session->processing = false;
    if (session->closing || session->conn.dead)
        return;
    if (will_be_read(session))
        keep(in, bytes);
    else
        buf_free(in);
    if (buf_failed(in)) {
        conn_close(&session->conn); /* bytes were lost that cannot be read again */
        return;
    }
    session_settle(session);
}
