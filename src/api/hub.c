#include "api/hub.h"

#include "api/answers.h"
#include "api/authorization.h"
#include "api/webhooks.h"
#include "webhooks/websub/form.h"

#include <stdlib.h>

/* A form that the courier is handling. */
struct hub_asked {
    struct courier_request request;
    struct exchange *exchange;
};

static enum problem problem_of(enum courier_fault fault)
{
    switch (fault) {
    case COURIER_E_BAD:
        return PROBLEM_BAD_PARAMETER;
    case COURIER_E_FORBIDDEN:
        return PROBLEM_FORBIDDEN_TARGET;
    case COURIER_E_UNKNOWN:
        return PROBLEM_UNAUTHORIZED;
    case COURIER_E_ENDED:
        return PROBLEM_BAD_CREDENTIAL;
    case COURIER_E_GRANT:
        return PROBLEM_FORBIDDEN;
    case COURIER_E_MISSING:
        return PROBLEM_NOT_FOUND;
    default:
        return PROBLEM_UNAVAILABLE;
    }
}

static void answer(struct exchange *exchange, const struct courier_request *request)
{
    if (request->fault) {
        webhooks_refuse(exchange, request, problem_of(request->fault));
        return;
    }
    /* Answer before the subscriber is asked: its answer changes nothing here. */
    struct response response;
    response_init(&response, 202);
    response.type = STR("text/plain; charset=utf-8");
    exchange_respond(exchange, &response);
}

static void answered(struct mail *mail, void *owner)
{
    (void)owner;
    struct courier_request *request = container_of(mail, struct courier_request, reply_mail);
    struct hub_asked *asked = container_of(request, struct hub_asked, request);
    if (asked->exchange->dropped)
        exchange_free(asked->exchange);
    else
        answer(asked->exchange, request);
    buf_free(&request->body);
    buf_free(&request->answer);
    buf_free(&request->why);
    rules_unref(request->access.rules);
    free(asked);
}

/* Asks for the channel of the form's topic, if the operator's server decides about that. A
 * malformed form is left to the courier. */
static bool ask_for_topic(struct exchange *exchange)
{
    struct websub_wish wish = {.mode = WEBSUB_SUBSCRIBE};
    const char *why;
    bool goes_on = true;
    if (!authorization_asks(exchange))
        return true;
    if (!websub_read(exchange_input(exchange), api_of(exchange)->base, &WEBSUB_LEASES_DEFAULT,
                     &wish, &why)) {
        struct str channel = buf_str(&wish.channel);
        goes_on = webhooks_ask_for(exchange, &channel, 1);
    }
    websub_wish_deinit(&wish);
    return goes_on;
}

void hub_handle(struct exchange *exchange, struct str rest)
{
    if (!webhooks_body_fits(exchange) || !ask_for_topic(exchange) || !webhooks_may_ask(exchange))
        return;
    struct hub_asked *asked = mem_try_alloc(sizeof(*asked));
    if (!asked) {
        api_problem(exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
        return;
    }
    struct courier_request *request = &asked->request;
    (void)rest;
    *asked = (struct hub_asked){.exchange = exchange};
    buf_add_str(&request->body, exchange_input(exchange));
    if (buf_failed(&request->body)) {
        free(asked);
        api_problem(exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
        return;
    }
    request->op = COURIER_HUB;
    request->access = exchange_access(exchange);
    (void)rules_ref(request->access.rules);
    request->reply = &exchange->worker->loop.mailbox;
    request->reply_mail.open = answered;
    courier_submit(api_of(exchange)->courier, request);
}
