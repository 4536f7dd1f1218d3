#include "api/webhooks.h"

#include "http/response.h"
#include "http/target.h"

#include <stdlib.h>

/* A request that is with the courier. */
struct asked {
    struct courier_request request;
    struct exchange *exchange;
};

static const enum problem problems[] = {
    [COURIER_E_BAD] = PROBLEM_BAD_WEBHOOK,
    [COURIER_E_CURSOR] = PROBLEM_BAD_CURSOR,
    [COURIER_E_FORBIDDEN] = PROBLEM_FORBIDDEN_TARGET,
    [COURIER_E_MISSING] = PROBLEM_NOT_FOUND,
    [COURIER_E_MANY] = PROBLEM_TOO_MANY,
    [COURIER_E_NOW] = PROBLEM_UNAVAILABLE,
    [COURIER_E_SPACE] = PROBLEM_NO_SPACE,
};

/* ---- the answer ------------------------------------------------------------------------------ */

/* The answer to a creation begins with {"id":"…": the only place that says the id. */
static void add_location(struct buf *out, struct str base, struct str answer)
{
    struct str id = str_skip(answer, sizeof("{\"id\":\"") - 1);
    id = str_cut(&id, '"');
    buf_add_lit(out, "Location: ");
    buf_add_str(out, base);
    buf_add_lit(out, "/webhooks/");
    buf_add_str(out, id);
    buf_add_lit(out, "\r\n");
}

static void answer(struct exchange *exchange, const struct courier_request *request)
{
    struct str json = buf_str(&request->answer);
    if (request->fault) {
        exchange_problem(exchange, problems[request->fault], str_from(request->detail), STR_NONE);
    } else if (request->op == COURIER_DELETE) {
        exchange_head(exchange, 204);
        exchange_no_body(exchange);
    } else if (request->op == COURIER_CREATE) {
        add_location(exchange_head(exchange, 201), api_of(exchange)->base, json);
        exchange_body(exchange, STR("application/json"), json);
    } else {
        exchange_json(exchange, 200, json);
    }
}

static void answered(struct mail *mail, void *owner)
{
    (void)owner;
    struct courier_request *request = container_of(mail, struct courier_request, reply_mail);
    struct asked *asked = container_of(request, struct asked, request);
    if (asked->exchange->dropped)
        exchange_free(asked->exchange);
    else
        answer(asked->exchange, request);
    buf_free(&request->body);
    buf_free(&request->answer);
    free(asked);
}

/* ---- the request ----------------------------------------------------------------------------- */

static bool verb_op(struct str verb, enum courier_op *ret_op)
{
    static const struct {
        const char *name;
        enum courier_op op;
    } verbs[] = {{"ping", COURIER_PING},
                 {"pause", COURIER_PAUSE},
                 {"resume", COURIER_RESUME},
                 {"rotate", COURIER_ROTATE}};
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (!str_eq(verb, str_from(verbs[i].name)))
            continue;
        *ret_op = verbs[i].op;
        return true;
    }
    return false;
}

static enum problem find_op(enum http_method method, bool one, struct str verb,
                            enum courier_op *ret_op)
{
    bool get = method == HTTP_GET || method == HTTP_HEAD;
    if (verb.at) {
        if (!verb_op(verb, ret_op))
            return PROBLEM_NOT_FOUND;
        return method == HTTP_POST ? PROBLEM_COUNT : PROBLEM_METHOD_NOT_ALLOWED;
    }
    if (get)
        *ret_op = one ? COURIER_GET : COURIER_LIST;
    else if (method == HTTP_POST && !one)
        *ret_op = COURIER_CREATE;
    else if (method == HTTP_PATCH && one)
        *ret_op = COURIER_CHANGE;
    else if (method == HTTP_DELETE && one)
        *ret_op = COURIER_DELETE;
    else
        return PROBLEM_METHOD_NOT_ALLOWED;
    return PROBLEM_COUNT;
}

/* PROBLEM_COUNT when it is something that there is. */
static enum problem read_path(enum http_method method, struct str rest,
                              struct courier_request *request)
{
    struct str id = STR_NONE, verb = STR_NONE, more;
    bool one = rest.len > 1 && http_path_next(&rest, &id);
    if (one && http_path_next(&rest, &verb) && http_path_next(&rest, &more))
        return PROBLEM_NOT_FOUND;
    if (id.len >= sizeof(request->id))
        return PROBLEM_NOT_FOUND;
    if (id.len)
        memcpy(request->id, id.at, id.len);
    return find_op(method, one, verb, &request->op);
}

static void refuse_path(struct exchange *exchange, enum problem problem)
{
    if (problem == PROBLEM_NOT_FOUND)
        api_problem(exchange, problem,
                    "there is /webhooks, /webhooks/ID, and /webhooks/ID/ping, …/pause, "
                    "…/resume and …/rotate");
    else
        api_problem(exchange, problem,
                    "GET and POST go to /webhooks, GET, PATCH and DELETE to /webhooks/ID, "
                    "POST to what can be done with one");
}

void webhooks_handle(struct exchange *exchange, struct courier *courier, struct str rest)
{
    struct asked *asked = mem_alloc(sizeof(*asked));
    *asked = (struct asked){.exchange = exchange};
    struct courier_request *request = &asked->request;
    enum problem problem = read_path(exchange->head->method, rest, request);
    if (problem == PROBLEM_COUNT)
        buf_add_str(&request->body, exchange->body);
    if (buf_failed(&request->body))
        problem = PROBLEM_UNAVAILABLE;
    if (problem != PROBLEM_COUNT) {
        free(asked);
        if (problem == PROBLEM_UNAVAILABLE)
            api_problem(exchange, problem, "no memory: try again");
        else
            refuse_path(exchange, problem);
        return;
    }
    exchange->patient = true; /* a receiver that is pinged has webhooks.timeout_ms */
    request->reply = &exchange->worker->loop.mailbox;
    request->reply_mail.open = answered;
    courier_submit(courier, request);
}
