/* Responses: each is written for its exchange, and sent in the order of the requests. The response
 * of the first exchange goes straight into the connection's buffer; a later one waits in its
 * exchange. */
#include "transport/http1_writer.h"

#include <stdlib.h>

/* The bytes of a page's head, at the most usual. */
enum { ANSWER_ROOM = 1536 };

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

static void add_cors(const struct exchange *exchange, struct response *response)
{
    const struct worker_config *config = &exchange->worker->config;
    struct str origin = {exchange->origin, exchange->origin_len};
    if (!origin.len)
        return;
    response_add(response, STR("Access-Control-Allow-Origin"), origin);
    response_add(response, STR("Access-Control-Expose-Headers"),
                 STR("Link, Cursor, Preference-Applied, Retry-After, Event-Warning"));
    response_add(response, STR("Vary"), STR("Origin"));
    if (config->admits && config->admits(config->app, origin) == ADMITS_CREDENTIALS)
        response_add(response, STR("Access-Control-Allow-Credentials"), STR("true"));
}

/* The fields that every response has, in whatever version of HTTP it is written. */
static void add_common(const struct exchange *exchange, struct response *response)
{
    struct worker *worker = exchange->worker;
    int64_t unix_seconds = clock_wall_us(worker->config.clock) / 1000000;
    response_add(response, STR("Date"), http_date_cached(&worker->date, unix_seconds));
    if (response->status >= 200) /* a 101 says nothing about caches */
        response_add(response, STR("Cache-Control"),
                     response->goes_on ? STR("no-store, no-transform") : STR("no-store"));
    add_cors(exchange, response);
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

void exchange_respond(struct exchange *exchange, struct response *response)
{
    add_common(exchange, response);
    http1_write(answer_of(exchange), exchange, response);
    response_deinit(response);
    answered(exchange);
}

/* What a kept answer depends on beside what the key says already. */
static void complete_key(const struct exchange *exchange, struct page_key *key)
{
    key->unix_seconds = clock_wall_us(exchange->worker->config.clock) / 1000000;
    key->is_head = exchange->is_head;
    key->keep_alive = exchange->keep_alive;
    key->http10 = exchange->http10;
    key->origin = (struct str){exchange->origin, exchange->origin_len};
}

bool exchange_respond_known(struct exchange *exchange, struct page_key *key)
{
    complete_key(exchange, key);
    struct str known = page_memos_find(&exchange->worker->page_memos, key);
    if (!known.at)
        return false;
    buf_add_str(answer_of(exchange), known);
    answered(exchange);
    return true;
}

void exchange_respond_keep(struct exchange *exchange, const struct page_key *key,
                           struct response *response)
{
    struct buf *out = answer_of(exchange);
    size_t before = out->len;
    add_common(exchange, response);
    buf_reserve(out, ANSWER_ROOM + response_length(response));
    http1_write(out, exchange, response);
    if (!buf_failed(out))
        page_memos_keep(&exchange->worker->page_memos, key, str_skip(buf_str(out), before));
    response_deinit(response);
    answered(exchange);
}

void exchange_json(struct exchange *exchange, int status, struct str body)
{
    struct response response;
    response_init(&response, status);
    response.type = STR("application/json");
    response.body[0] = body;
    exchange_respond(exchange, &response);
}

static void add_problem_fields(struct response *response, enum problem problem)
{
    if (problem == PROBLEM_UNAVAILABLE || problem == PROBLEM_FATE_UNKNOWN ||
        problem == PROBLEM_TOO_MANY)
        response_add(response, STR("Retry-After"), STR("1"));
    if (problem == PROBLEM_BAD_CODING)
        response_add(response, STR("Accept-Encoding"), STR("gzip"));
    if (problem == PROBLEM_UPGRADE_REQUIRED) {
        response_add(response, STR("Sec-WebSocket-Version"), STR("13"));
        response_add(response, STR("Upgrade"), STR("websocket"));
        response_add(response, STR("Connection"), STR("Upgrade"));
    }
}

void exchange_refuse(struct exchange *exchange, struct response *response, enum problem problem,
                     struct str detail, struct str members)
{
    struct buf document = {0};
    stat_add(&exchange->worker->stats.problems[problem], 1);
    problem_add(&document, exchange->worker->config.base, problem, detail, members);
    response->status = problem_status(problem);
    add_problem_fields(response, problem);
    response->type = STR("application/problem+json");
    response->body[0] = buf_str(&document);
    if (buf_failed(&document))
        response_fail(response);
    exchange_respond(exchange, response);
    buf_free(&document);
}

void exchange_problem(struct exchange *exchange, enum problem problem, struct str detail,
                      struct str members)
{
    struct response response;
    response_init(&response, 0);
    exchange_refuse(exchange, &response, problem, detail, members);
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

struct session *exchange_pull(struct exchange *exchange, struct response *response,
                              struct pull *pull)
{
    struct session *session = exchange->session;
    if (response->goes_on && exchange->http10)
        exchange->keep_alive = false; /* its end is the connection's */
    add_common(exchange, response);
    http1_write_open(answer_of(exchange), exchange, response);
    response_deinit(response);
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
