/* Responses: each is written for its exchange, and sent in the order of the requests. The response
 * of the first exchange goes straight into the connection's buffer; a later one waits in its
 * exchange. */
#include "http/response.h"
#include "transport/session.h"

#include <stdlib.h>

void exchange_free(struct exchange *exchange)
{
    holding_set(&exchange->worker->holdings, &exchange->holding, ACCOUNT_ANSWERS, 0);
    buf_free(&exchange->answer);
    free(exchange);
}

/* The question gets half of the time in which the request must be answered. Its result by then is
 * sent, instead of a refusal once it is too late. */
void exchange_ask(struct exchange *exchange, struct question *question)
{
    const struct worker *worker = exchange->worker;
    int64_t now_ns = clock_now_ns(worker->config.clock);
    exchange->question = question;
    question_limit(question, worker->config.clock,
                   now_ns + worker->config.limits.publish_ms * (1000000 / 2));
    if (exchange->session && exchange->session->conn.hup)
        question_hurry(question);
    question_ask(question);
}

bool exchange_is_answered(struct exchange *exchange)
{
    bool wanted = !exchange->dropped;
    exchange->question = NULL;
    if (!wanted)
        exchange_free(exchange);
    return wanted;
}

static void end_exchange(struct exchange *exchange)
{
    struct session *session = exchange->session;
    list_remove(&exchange->node);
    session->inflight--;
    if (!exchange->keep_alive)
        session_close_soon(session);
    exchange_free(exchange);
}

/* Sends the responses that are ready, in order, then reads on. */
static void pump(struct session *session)
{
    while (session->inflight && !session->closing) {
        struct exchange *first = session_first(session);
        if (!first->answered)
            break;
        buf_add_str(session_add(session), buf_str(&first->answer));
        if (buf_failed(&first->answer))
            session_add(session)->failed = true;
        end_exchange(first);
    }
    if (session_lost(session)) {
        conn_close(&session->conn);
        return;
    }
    if (session->finished && !session->inflight && !session->closing)
        session_close_soon(session);
    session_dirty(session);
    if (!session->processing && !session->closing)
        session_wake(session);
}

/* The first exchange writes straight into the connection's buffer. After a response that closes the
 * connection no other is sent. */
static struct buf *answer_of(struct exchange *exchange)
{
    struct session *session = exchange->session;
    bool direct =
        session && !session->closing && session_first(session) == exchange && !exchange->answer.len;
    return direct ? session_add(session) : &exchange->answer;
}

static void add_cors(struct exchange *exchange, struct buf *out)
{
    struct str origin = {exchange->origin, exchange->origin_len};
    if (!origin.len)
        return;
    http_response_header(out, STR("Access-Control-Allow-Origin"), origin);
    buf_add_lit(out, "Access-Control-Expose-Headers: Link, Cursor, Preference-Applied, "
                     "Retry-After, Event-Warning\r\n"
                     "Vary: Origin\r\n");
    const struct worker_config *config = &exchange->worker->config;
    if (config->admits && config->admits(config->app, origin) == ADMITS_CREDENTIALS)
        buf_add_lit(out, "Access-Control-Allow-Credentials: true\r\n");
}

/* Proxies and clients keep idle connections for later requests. Keep-Alive says when we close
 * ours, so that no request is sent into one that is about to be closed. */
static void add_connection(const struct exchange *exchange, struct buf *out, int status)
{
    int64_t idle_s = exchange->worker->config.limits.idle_ms / 1000;
    if (!exchange->keep_alive && status >= 200) {
        buf_add_lit(out, "Connection: close\r\n");
        return;
    }
    if (exchange->http10)
        buf_add_lit(out, "Connection: keep-alive\r\n");
    if (status < 200 || exchange->streams || !idle_s)
        return;
    buf_add_lit(out, "Keep-Alive: timeout=");
    buf_add_u64(out, (uint64_t)idle_s);
    buf_add_lit(out, "\r\n");
}

void exchange_add_head(struct exchange *exchange, struct buf *out, int status)
{
    struct worker *worker = exchange->worker;
    http_response_start(out, status);
    http_response_header(
        out, STR("Date"),
        http_date_cached(&worker->date, clock_wall_us(worker->config.clock) / 1000000));
    if (status >= 200) /* a 101 says nothing about caches and must not say close */
        buf_add_str(out, exchange->streams ? STR("Cache-Control: no-store, no-transform\r\n")
                                           : STR("Cache-Control: no-store\r\n"));
    add_connection(exchange, out, status);
    add_cors(exchange, out);
}

struct buf *exchange_head(struct exchange *exchange, int status)
{
    struct buf *out = answer_of(exchange);
    exchange_add_head(exchange, out, status);
    return out;
}

static void answered(struct exchange *exchange)
{
    struct session *session = exchange->session;
    exchange->answered = true;
    if (!session) {
        exchange_free(exchange);
        return;
    }
    if (exchange->answer.cap)
        holding_set(&exchange->worker->holdings, &exchange->holding, ACCOUNT_ANSWERS,
                    exchange->answer.cap);
    pump(session);
}

void exchange_body(struct exchange *exchange, struct str content_type, struct str body)
{
    struct buf *out = answer_of(exchange);
    http_response_header(out, STR("Content-Type"), content_type);
    if (exchange->is_head) {
        http_response_header_u64(out, STR("Content-Length"), body.len);
        http_response_end(out);
    } else {
        http_response_body(out, body);
    }
    answered(exchange);
}

void exchange_whole(struct exchange *exchange, struct str bytes)
{
    struct buf *out = answer_of(exchange);
    buf_add_str(out, bytes);
    if (!bytes.len)
        out->failed = true;
    answered(exchange);
}

void exchange_no_body(struct exchange *exchange)
{
    http_response_end(answer_of(exchange));
    answered(exchange);
}

void exchange_json(struct exchange *exchange, int status, struct str body)
{
    exchange_head(exchange, status);
    exchange_body(exchange, STR("application/json"), body);
}

void exchange_problem(struct exchange *exchange, enum problem problem, struct str detail,
                      struct str members)
{
    struct buf document = {0};
    stat_add(&exchange->worker->stats.problems[problem], 1);
    problem_add(&document, exchange->worker->config.base, problem, detail, members);
    struct buf *out = exchange_head(exchange, problem_status(problem));
    if (problem == PROBLEM_UNAVAILABLE || problem == PROBLEM_FATE_UNKNOWN ||
        problem == PROBLEM_TOO_MANY)
        buf_add_lit(out, "Retry-After: 1\r\n");
    if (problem == PROBLEM_BAD_CODING)
        buf_add_lit(out, "Accept-Encoding: gzip\r\n");
    if (problem == PROBLEM_UPGRADE_REQUIRED)
        buf_add_lit(out, "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n"
                         "Connection: Upgrade\r\n");
    if (buf_failed(&document))
        out->failed = true;
    exchange_body(exchange, STR("application/problem+json"), buf_str(&document));
    buf_free(&document);
}

/* Keeps the bytes behind the request for a pull that listens; drops them for others. */
static void hand_over_intake(struct session *session)
{
    struct session_intake *intake = session->intake;
    if (intake && intake->in.len && session->pull->ops->input)
        session_wake(session);
    else if (intake)
        buf_free(&intake->in);
    session_drop_intake(session);
}

struct session *exchange_pull(struct exchange *exchange, struct pull *pull)
{
    struct session *session = exchange->session;
    if (session) {
        list_remove(&exchange->node);
        session->inflight--;
        session->http10 = exchange->http10;
    }
    exchange_free(exchange);
    if (!session || session_lost(session)) {
        if (session)
            conn_close(&session->conn);
        pull->ops->free(pull);
        return NULL;
    }
    session_begin_pull(session, pull);
    if (!session->processing)
        hand_over_intake(session);
    conn_dirty(&session->conn);
    return session;
}

bool exchange_attach(struct exchange *exchange, struct pull *pull)
{
    struct session *session = exchange->session;
    if (!session)
        return false;
    session_begin_pull(session, pull);
    return true;
}

void exchange_detach(struct exchange *exchange)
{
    session_end_pull(exchange->session);
}
