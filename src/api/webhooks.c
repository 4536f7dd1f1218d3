#include "api/webhooks.h"

#include "http/response.h"
#include "http/target.h"

#include <stdlib.h>

struct asked {
    struct courier_request request;
    struct exchange *exchange;
};

static void answer(struct exchange *exchange, const struct courier_request *request)
{
    if (request->problem) {
        exchange_problem(exchange, problem_find(str_from(request->problem)),
                         str_from(request->detail), STR_NONE);
    } else if (request->status == 204) {
        exchange_head(exchange, 204);
        exchange_no_body(exchange);
    } else {
        exchange_json(exchange, request->status, buf_str(&request->answer));
    }
}

static void on_reply(struct mail *mail, void *owner)
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

/* What the path and method ask for; false when it is nothing that there is. */
static bool read_op(const struct exchange *exchange, struct str rest,
                    struct courier_request *request)
{
    struct str id = STR_NONE, verb = STR_NONE, more;
    enum http_method method = exchange->head->method;
    bool get = method == HTTP_GET || method == HTTP_HEAD;
    if (rest.len > 1)
        http_path_next(&rest, &id);
    if (rest.len)
        http_path_next(&rest, &verb);
    if (http_path_next(&rest, &more) && more.len)
        return false;
    if (id.len >= sizeof(request->id))
        return false;
    if (id.len)
        memcpy(request->id, id.at, id.len);
    if (verb.len)
        request->op = COURIER_PING;
    else if (method == HTTP_DELETE)
        request->op = COURIER_DELETE;
    else
        request->op = id.len ? COURIER_GET : get ? COURIER_LIST : COURIER_CREATE;
    if (verb.len)
        return method == HTTP_POST && str_eq(verb, STR("ping"));
    return id.len ? get || method == HTTP_DELETE : get || method == HTTP_POST;
}

void webhooks_handle(struct exchange *exchange, struct courier *courier, struct str rest)
{
    struct asked *asked = mem_alloc(sizeof(*asked));
    asked->exchange = exchange;
    if (!read_op(exchange, rest, &asked->request)) {
        free(asked);
        api_problem(exchange, PROBLEM_NOT_FOUND,
                    "POST and GET /webhooks, GET and DELETE /webhooks/ID, "
                    "POST /webhooks/ID/ping");
        return;
    }
    buf_add_str(&asked->request.body, exchange->body);
    asked->request.reply = &exchange->worker->loop.mailbox;
    asked->request.reply_mail.open = on_reply;
    courier_submit(courier, &asked->request);
}
