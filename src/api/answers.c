#include "api/answers.h"

#include "transport/audit_notes.h"
#include "transport/websocket.h"

void api_problem(struct exchange *exchange, enum problem problem, const char *detail)
{
    exchange_problem(exchange, problem, str_from(detail), STR_NONE);
}

void api_refuse(struct exchange *exchange, enum problem problem, const char *detail)
{
    if (exchange->head->upgrade_websocket)
        websocket_refuse(exchange, problem, str_from(detail));
    else
        api_problem(exchange, problem, detail);
}

void api_refuse_as(struct exchange *exchange, const struct refusal *refusal)
{
    if (exchange->head->upgrade_websocket && exchange->browser)
        websocket_refuse(exchange, refusal->problem, str_from(refusal->detail));
    else
        exchange_refusal(exchange, refusal, STR_NONE);
}

bool api_is_admin(struct exchange *exchange)
{
    const struct access access = exchange_access(exchange);
    struct refusal refusal;
    if (access_check(&access, ACTION_ADMIN, ACCESS_WHOLE_SERVER, &refusal))
        return true;
    api_refuse_as(exchange, &refusal);
    return false;
}

void api_note_managed(struct exchange *exchange, const char *done, struct str members)
{
    struct audit_entry entry = {.kind = AUDIT_MANAGED,
                                .caller = exchange->caller,
                                .why = str_from(done),
                                .members = members};
    audit_add_request(&entry, exchange);
    if (exchange->caller)
        audit_note(exchange->worker, exchange->request, &entry);
}

void api_done(struct exchange *exchange)
{
    struct response response;
    response_init(&response, 204);
    response.bodiless = true;
    exchange_respond(exchange, &response);
}

void api_add_methods(struct response *response, struct str field, unsigned methods)
{
    static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
    struct buf *list = response_compose(response, field);
    methods |= 1U << HTTP_OPTIONS;
    const char *comma = "";
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!(methods & 1U << i))
            continue;
        buf_addf(list, "%s%s", comma, names[i]);
        comma = ", ";
    }
}

void api_refuse_method(struct exchange *exchange, unsigned methods)
{
    struct response response;
    response_init(&response, 0);
    api_add_methods(&response, STR("Allow"), methods);
    exchange_refuse(exchange, &response, PROBLEM_METHOD_NOT_ALLOWED,
                    STR("the header Allow lists the methods of this path"), STR_NONE);
}
