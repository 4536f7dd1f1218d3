#include "api/answers.h"

#include "api/html.h"
#include "api/problem_page.h"

#include "transport/audit_notes.h"
#include "transport/websocket.h"

static void refuse_by_page(struct exchange *exchange, struct response *response,
                           enum problem problem, struct str detail, unsigned methods)
{
    struct buf page = {0};
    problem_page_add(&page, exchange, problem, detail, methods);
    html_add_fields(response, buf_str(&page));
    response->type = STR("text/html; charset=utf-8");
    exchange_refuse_by(exchange, response, problem, detail, &page);
    buf_free(&page);
}

/* Refuses by a page if a person's browser has opened the path, else by a document. */
static void refuse(struct exchange *exchange, struct response *response, enum problem problem,
                   struct str detail, unsigned methods)
{
    bool may_be_page = problem_page_may_be(exchange, problem);
    if (may_be_page)
        response_add(response, STR("Vary"), STR("Accept"));
    if (may_be_page && problem_page_is_wanted(exchange))
        refuse_by_page(exchange, response, problem, detail, methods);
    else
        exchange_refuse(exchange, response, problem, detail, STR_NONE);
}

void api_problem(struct exchange *exchange, enum problem problem, const char *detail)
{
    struct response response;
    response_init(&response, 0);
    refuse(exchange, &response, problem, str_from(detail), 0);
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

void api_answer(struct exchange *exchange, const char *type, struct buf *body)
{
    struct response response;
    if (buf_failed(body)) {
        api_problem(exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
    } else {
        response_init(&response, 200);
        response.type = str_from(type);
        response.body[0] = buf_str(body);
        exchange_respond(exchange, &response);
    }
    buf_free(body);
}

void api_done(struct exchange *exchange)
{
    struct response response;
    response_init(&response, 204);
    response.bodiless = true;
    exchange_respond(exchange, &response);
}

static void add_methods(struct buf *list, unsigned methods)
{
    static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
    methods |= 1U << HTTP_OPTIONS;
    const char *comma = "";
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!(methods & 1U << i))
            continue;
        buf_addf(list, "%s%s", comma, names[i]);
        comma = ", ";
    }
}

void api_add_methods(struct response *response, struct str field, unsigned methods)
{
    add_methods(response_compose(response, field), methods);
}

/* The detail repeats the header Allow, which curl does not show by itself. */
void api_refuse_method(struct exchange *exchange, unsigned methods)
{
    struct response response;
    struct buf detail = {0};
    response_init(&response, 0);
    api_add_methods(&response, STR("Allow"), methods);
    buf_add_lit(&detail, "this path takes ");
    add_methods(&detail, methods);
    refuse(exchange, &response, PROBLEM_METHOD_NOT_ALLOWED, buf_str(&detail), methods);
    buf_free(&detail);
}
