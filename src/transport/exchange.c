#include "transport/exchange.h"

#include "net/tls.h"
#include "transport/audit_notes.h"
#include "transport/parked.h"

#include <errno.h>

void exchange_free(struct exchange *exchange)
{
    if (exchange->caller)
        live_remove(exchange->worker, exchange);
    caller_unref(exchange->caller);
    if (exchange->worker->handled == exchange)
        exchange->worker->handled = NULL; /* another may be made at the same address */
    exchange->ops->free_exchange(exchange);
}

void exchange_drop(struct exchange *exchange)
{
    exchange->request = NULL;
    exchange->dropped = true;
    exchange_drop_parked(exchange);
    holding_set(&exchange->worker->holdings, &exchange->holding, ACCOUNT_ANSWERS, 0);
}

struct conn *exchange_conn(const struct exchange *exchange)
{
    return exchange->request ? request_stream_conn(exchange->request) : NULL;
}

struct access exchange_access(const struct exchange *exchange)
{
    struct access access =
        worker_access(exchange->worker, exchange_conn(exchange), exchange->caller);
    access.is_denied = exchange->is_denied;
    if (exchange->is_opaque)
        access.rules = &rules_none; /* whoever sends a credential means to be somebody */
    return access;
}

/* A question may take half of the time in which the request must be answered, or as long as it is
 * allowed to if that is less. Then the client gets what was found so far, rather than a refusal
 * later. */
void exchange_ask(struct exchange *exchange, struct question *question)
{
    const struct worker *worker = exchange->worker;
    int64_t now_ns = clock_now_ns(worker->config.clock);
    int64_t ms = worker->config.limits.publish_ms / 2, read_ms = worker->config.limits.read_ms;
    exchange->question = question;
    question_limit(question, worker->config.clock,
                   now_ns + (read_ms && read_ms < ms ? read_ms : ms) * 1000000);
    if (exchange->request && request_stream_conn(exchange->request)->hup)
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

static void add_cors(const struct exchange *exchange, struct response *response)
{
    const struct worker_config *config = &exchange->worker->config;
    struct str origin = exchange->origin;
    if (!origin.len)
        return;
    response_add(response, STR("Access-Control-Allow-Origin"), origin);
    response_add(response, STR("Access-Control-Expose-Headers"),
                 STR("Link, Cursor, Preference-Applied, Retry-After, Event-Warning, RateLimit, "
                     "RateLimit-Policy"));
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
                     response->goes_on ? STR("no-store, no-transform")
                     : response->kept  ? STR("no-cache")
                                       : STR("no-store"));
    add_cors(exchange, response);
}

/* A browser shows its certificate to every page that asks, whether that names a caller or only lets
 * the connection in: see answer_coding() in the API. */
static enum http_gzip_wish coding_of(const struct exchange *exchange)
{
    const struct conn *conn = exchange_conn(exchange);
    return conn && tls_peer(conn) ? HTTP_GZIP_NO : exchange->gzip;
}

void exchange_respond(struct exchange *exchange, struct response *response)
{
    exchange_respond_keep(exchange, NULL, response);
}

bool exchange_respond_known(struct exchange *exchange, struct page_key *key)
{
    key->gzip = coding_of(exchange);
    return exchange->ops->respond_known && exchange->ops->respond_known(exchange, key);
}

void exchange_respond_keep(struct exchange *exchange, const struct page_key *key,
                           struct response *response)
{
    struct deflater *deflater = &exchange->worker->deflater; /* the exchange ends with the answer */
    add_common(exchange, response);
    response_gzip(response, coding_of(exchange), deflater);
    exchange->ops->respond(exchange, response, key);
    deflater_fit(deflater);
    response_deinit(response);
}

void exchange_json(struct exchange *exchange, int status, struct str body)
{
    struct response response;
    response_init(&response, status);
    response_json(&response, body);
    exchange_respond(exchange, &response);
}

/* The challenge of a response that lacks a credential (RFC 6750 section 3); NULL for others. */
static const char *challenge_of(enum problem problem)
{
    switch (problem) {
    case PROBLEM_UNAUTHORIZED:
        return "Bearer realm=\"freshet\"";
    case PROBLEM_BAD_CREDENTIAL:
        return "Bearer realm=\"freshet\", error=\"invalid_token\"";
    case PROBLEM_FORBIDDEN:
        return "Bearer realm=\"freshet\", error=\"insufficient_scope\"";
    default:
        return NULL;
    }
}

/* The fields of a publish that was faster than a rate allows. */
static void add_rate_fields(struct response *response, const struct refusal *refusal)
{
    uint64_t wait_s = (refusal->retry_ms + 999) / 1000;
    const struct refusal_rate *rate = &refusal->rate;
    if (!refusal->retry_ms)
        return;
    buf_add_u64(response_compose(response, STR("Retry-After")), wait_s);
    if (!rate->policy)
        return;
    buf_addf(response_compose(response, STR("RateLimit-Policy")), "\"%s\";q=%llu%s;w=%llu",
             rate->policy, (unsigned long long)rate->quota,
             rate->is_bytes ? ";qu=\"content-bytes\"" : "", (unsigned long long)rate->window_s);
    buf_addf(response_compose(response, STR("RateLimit")), "\"%s\";r=0;t=%llu", rate->policy,
             (unsigned long long)wait_s);
}

static bool has_retry_after(const struct response *response)
{
    for (unsigned i = 0; i < response->count; i++)
        if (str_eq(response->fields[i].name, STR("Retry-After")))
            return true;
    return false;
}

static void add_problem_fields(struct response *response, enum problem problem)
{
    bool is_temporary = problem == PROBLEM_UNAVAILABLE || problem == PROBLEM_FATE_UNKNOWN ||
                        problem == PROBLEM_TOO_MANY;
    if (is_temporary && !has_retry_after(response))
        response_add(response, STR("Retry-After"), STR("1"));
    if (challenge_of(problem))
        response_add(response, STR("WWW-Authenticate"), str_from(challenge_of(problem)));
    if (problem == PROBLEM_BAD_CODING)
        response_add(response, STR("Accept-Encoding"), STR("gzip"));
    if (problem == PROBLEM_UPGRADE_REQUIRED) {
        response_add(response, STR("Sec-WebSocket-Version"), STR("13"));
        response_add(response, STR("Upgrade"), STR("websocket"));
        response_add(response, STR("Connection"), STR("Upgrade"));
    }
}

/* Sends the document, in the type that the response has. */
static void send_refusal(struct exchange *exchange, struct response *response, enum problem problem,
                         const struct buf *document)
{
    stat_add(&exchange->worker->stats.problems[problem], 1);
    response->status = problem_status(problem);
    add_problem_fields(response, problem);
    response->body[0] = buf_str(document);
    if (buf_failed(document))
        response_fail(response);
    exchange_respond(exchange, response);
}

void exchange_refuse(struct exchange *exchange, struct response *response, enum problem problem,
                     struct str detail, struct str members)
{
    struct buf document = {0};
    audit_note_exchange(exchange, problem, detail, members);
    problem_add(&document, exchange->worker->config.base, problem, detail, members);
    response->type = STR("application/problem+json");
    send_refusal(exchange, response, problem, &document);
    buf_free(&document);
}

void exchange_refuse_by(struct exchange *exchange, struct response *response, enum problem problem,
                        struct str detail, const struct buf *document)
{
    audit_note_exchange(exchange, problem, detail, STR_NONE);
    send_refusal(exchange, response, problem, document);
}

void exchange_problem(struct exchange *exchange, enum problem problem, struct str detail,
                      struct str members)
{
    struct response response;
    response_init(&response, 0);
    exchange_refuse(exchange, &response, problem, detail, members);
}

void exchange_answer_late(struct exchange *exchange, bool was_parked)
{
    enum problem problem = PROBLEM_UNAVAILABLE;
    struct str detail = STR("the store is slow: try again");
    if (was_parked) {
        detail = STR("it was not found out in time (limits.publish_ms) who may do this: try again");
    } else if (exchange->publish.count) {
        problem = PROBLEM_FATE_UNKNOWN;
        detail = STR("the log did not confirm in time: retry with the same Idempotency-Key");
    }
    exchange_problem(exchange, problem, detail, STR_NONE);
}

void exchange_refusal(struct exchange *exchange, const struct refusal *refusal, struct str members)
{
    struct buf more = {0};
    struct json_writer writer = json_members_writer(&more);
    bool unvouched = exchange->is_opaque && (refusal->problem == PROBLEM_UNAUTHORIZED ||
                                             refusal->problem == PROBLEM_FORBIDDEN);
    json_add_members(&writer, members);
    struct response response;
    refusal_write(&writer, refusal);
    response_init(&response, 0);
    add_rate_fields(&response, refusal);
    exchange_refuse(exchange, &response, unvouched ? PROBLEM_BAD_CREDENTIAL : refusal->problem,
                    str_from(unvouched ? "no key and no token of this server looks like this "
                                         "credential, and no server of its operator knows it here"
                                       : refusal->detail),
                    buf_str(&more));
    buf_free(&more);
}

bool exchange_end_pull(struct pull *pull, enum ending why)
{
    if (pull->request->ops->state(pull->request) != REQUEST_OPEN)
        return false; /* the client is to take the goodbye */
    pull->ops->goodbye(pull, why);
    return true;
}

static bool end_pull(void *owner, enum ending why)
{
    return exchange_end_pull(owner, why);
}

static bool pull_reads(const void *owner, struct str channel)
{
    const struct pull *pull = owner;
    return pull->ops->reads && pull->ops->reads(pull, channel);
}

static const struct live_ops live_pull = {.end = end_pull, .reads = pull_reads};

/* The refusal of an exchange that cannot go on under its caller: a result of live_add(). */
static void refuse_live(struct exchange *exchange, int result)
{
    if (result == -EDQUOT)
        exchange_problem(exchange, PROBLEM_TOO_MANY, str_from(EXCHANGE_SUBJECT_FULL), STR_NONE);
    else
        exchange_problem(exchange, PROBLEM_UNAVAILABLE, STR("no memory: try again"), STR_NONE);
}

struct request_stream *exchange_pull(struct exchange *exchange, struct response *response,
                                     struct pull *pull)
{
    struct request_stream *request = exchange->request;
    struct worker *worker = exchange->worker;
    bool is_live = exchange->caller;
    int64_t since_ns = exchange->since_ns;
    int result = is_live ? live_add(worker, pull, exchange->caller, &live_pull) : 0;
    if (result) {
        response_deinit(response);
        pull->ops->free(pull);
        refuse_live(exchange, result);
        return NULL;
    }
    add_common(exchange, response);
    bool open = exchange->ops->open(exchange, response, pull);
    response_deinit(response);
    if (!open && is_live)
        live_remove(worker, pull); /* the address alone: the pull was freed */
    if (open && since_ns <= worker->reviewed_ns)
        worker_review(worker, request_stream_conn(request)); /* the rules before allowed it */
    return open ? request : NULL;
}

int exchange_replace_caller(struct worker *worker, struct pull *pull, struct caller *caller)
{
    if (caller)
        return live_change(worker, pull, caller, &live_pull);
    live_remove(worker, pull);
    return 0;
}

/* A poll is answered early, and its client has to ask again, with a credential that is valid. */
static bool end_wait(void *owner, enum ending why)
{
    struct waiting *waiting = ((struct exchange *)owner)->waiting;
    (void)why;
    if (waiting)
        waiting->ops->ring(waiting);
    return waiting != NULL;
}

static bool wait_reads(const void *owner, struct str channel)
{
    (void)owner;
    (void)channel;
    return true; /* an answer that comes early does no harm */
}

static const struct live_ops live_wait = {.end = end_wait, .reads = wait_reads};

bool exchange_wait(struct exchange *exchange, struct waiting *waiting)
{
    if (!exchange->request) {
        exchange_free(exchange);
        return false;
    }
    int result =
        exchange->caller ? live_add(exchange->worker, exchange, exchange->caller, &live_wait) : 0;
    if (result) {
        refuse_live(exchange, result);
        return false;
    }
    exchange->waiting = waiting;
    exchange->ops->wait(exchange);
    if (exchange->since_ns <= exchange->worker->reviewed_ns)
        worker_review(exchange->worker, exchange_conn(exchange));
    return true;
}

void exchange_end_wait(struct exchange *exchange)
{
    if (exchange->caller)
        live_remove(exchange->worker, exchange);
    exchange->waiting = NULL;
    exchange->ops->end_wait(exchange);
}
