#include "api/webhooks.h"

#include "api/answers.h"
#include "api/authorization.h"
#include "api/query.h"
#include "base/json.h"
#include "base/json_text.h"
#include "webhooks/progress/delivery_log.h"
#include "http/condition.h"
#include "http/target.h"
#include "http/token.h"

#include <jansson.h>
#include <stdlib.h>

/* A request that the courier is handling. */
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
    [COURIER_E_FATE] = PROBLEM_FATE_UNKNOWN,
    [COURIER_E_DELIVERY] = PROBLEM_NOT_FOUND,
    [COURIER_E_KEY] = PROBLEM_KEY_REUSED,
    [COURIER_E_UNKNOWN] = PROBLEM_UNAUTHORIZED,
    [COURIER_E_ENDED] = PROBLEM_BAD_CREDENTIAL,
    [COURIER_E_GRANT] = PROBLEM_FORBIDDEN,
};

/* ---- the answer ------------------------------------------------------------------------------ */

void webhooks_refuse(struct exchange *exchange, const struct courier_request *request,
                     enum problem problem)
{
    const struct refusal refusal = {.problem = problem,
                                    .detail = request->detail,
                                    .may = request->may,
                                    .term = buf_str(&request->why)};
    exchange_refusal(exchange, &refusal, STR_NONE);
}

static void answer_created(struct exchange *exchange, const struct courier_request *request)
{
    struct response response;
    struct str base = api_of(exchange)->base;
    response_init(&response, request->repeated ? 200 : 201);
    response_json(&response, buf_str(&request->answer));
    buf_addf(response_compose(&response, STR("Location")), "%.*s/webhooks/%s", STR_FMT(base),
             request->id);
    exchange_respond(exchange, &response);
}

/* Tells the audit what was done; reading and pinging is nothing. */
static void note(struct exchange *exchange, const struct courier_request *request)
{
    static const char *const done[] = {
        [COURIER_CREATE] = "webhook made",     [COURIER_CHANGE] = "webhook changed",
        [COURIER_DELETE] = "webhook deleted",  [COURIER_PAUSE] = "webhook paused",
        [COURIER_RESUME] = "webhook resumed",  [COURIER_ROTATE] = "webhook's secret rotated",
        [COURIER_REPLAY] = "webhook replayed",
    };
    size_t op = (size_t)request->op;
    struct buf members = {0};
    struct json_writer writer = json_members_writer(&members);
    if (request->fault || op >= sizeof(done) / sizeof(done[0]) || !done[op])
        return;
    json_member_string(&writer, "webhook", str_from(request->id));
    api_note_managed(exchange, done[op], buf_str(&members));
    buf_free(&members);
}

static void answer(struct exchange *exchange, const struct courier_request *request)
{
    if (request->fault) {
        webhooks_refuse(exchange, request, problems[request->fault]);
    } else if (request->op == COURIER_DELETE || request->op == COURIER_DISCARD) {
        api_done(exchange);
    } else if (request->op == COURIER_CREATE) {
        answer_created(exchange, request);
    } else {
        bool later = request->op == COURIER_RETRY || request->op == COURIER_RETRY_ALL;
        exchange_json(exchange, later ? 202 : 200, buf_str(&request->answer));
    }
}

static void asked_free(struct asked *asked)
{
    buf_free(&asked->request.filter.channel);
    buf_free(&asked->request.filter.kept);
    buf_free(&asked->request.key);
    buf_free(&asked->request.body);
    buf_free(&asked->request.why);
    buf_free(&asked->request.answer);
    rules_unref(asked->request.access.rules);
    free(asked);
}

static void answered(struct mail *mail, void *owner)
{
    (void)owner;
    struct courier_request *request = container_of(mail, struct courier_request, reply_mail);
    struct asked *asked = container_of(request, struct asked, request);
    note(asked->exchange, request); /* also if the client did not wait for the answer */
    if (asked->exchange->dropped)
        exchange_free(asked->exchange);
    else
        answer(asked->exchange, request);
    asked_free(asked);
}

/* ---- the path -------------------------------------------------------------------------------- */

/* The operations by the path after /webhooks/ID, with # for a number. */
static const struct route {
    const char *path; /* NULL: without an ID */
    enum http_method method;
    enum courier_op op;
} routes[] = {
    {NULL, HTTP_GET, COURIER_LIST},
    {NULL, HTTP_POST, COURIER_CREATE},
    {"", HTTP_GET, COURIER_GET},
    {"", HTTP_PATCH, COURIER_CHANGE},
    {"", HTTP_DELETE, COURIER_DELETE},
    {"ping", HTTP_POST, COURIER_PING},
    {"pause", HTTP_POST, COURIER_PAUSE},
    {"resume", HTTP_POST, COURIER_RESUME},
    {"rotate", HTTP_POST, COURIER_ROTATE},
    {"replay", HTTP_POST, COURIER_REPLAY},
    {"retry", HTTP_POST, COURIER_RETRY_ALL},
    {"deliveries", HTTP_GET, COURIER_DELIVERIES},
    {"deliveries/#", HTTP_GET, COURIER_DELIVERY},
    {"deliveries/#", HTTP_DELETE, COURIER_DISCARD},
    {"deliveries/#/retry", HTTP_POST, COURIER_RETRY},
};

bool webhooks_path(size_t i, enum http_method *ret_method, const char **ret_path)
{
    if (i >= sizeof(routes) / sizeof(routes[0]))
        return false;
    *ret_method = routes[i].method;
    *ret_path = routes[i].path;
    return true;
}

/* Whether the rest of a path is that of the route; reads the number in it. */
static bool path_is(const char *path, struct str rest, uint64_t *ret_n)
{
    struct str wanted = str_from(path), segment;
    while (wanted.len) {
        struct str want = str_cut(&wanted, '/');
        if (!http_path_next(&rest, &segment))
            return false;
        bool good =
            str_eq(want, STR("#")) ? !http_number(segment, ret_n) && *ret_n : str_eq(segment, want);
        if (!good)
            return false;
    }
    return !http_path_next(&rest, &segment);
}

static bool route_is(const struct route *route, bool one, struct str rest, uint64_t *ret_n)
{
    return route->path ? one && path_is(route->path, rest, ret_n) : !one;
}

/* The problem with the path; PROBLEM_COUNT if it exists. */
static enum problem read_path(enum http_method method, struct str rest,
                              struct courier_request *request)
{
    struct str id = STR_NONE;
    bool one = rest.len > 1 && http_path_next(&rest, &id), found = false;
    if (method == HTTP_HEAD)
        method = HTTP_GET;
    if (id.len >= sizeof(request->id))
        return PROBLEM_NOT_FOUND;
    if (id.len)
        memcpy(request->id, id.at, id.len);
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        if (!route_is(&routes[i], one, rest, &request->n))
            continue;
        request->op = routes[i].op;
        if (routes[i].method == method)
            return PROBLEM_COUNT;
        found = true;
    }
    return found ? PROBLEM_METHOD_NOT_ALLOWED : PROBLEM_NOT_FOUND;
}

static void refuse_path(struct exchange *exchange, enum problem problem)
{
    if (problem == PROBLEM_NOT_FOUND)
        api_problem(exchange, problem,
                    "there is /webhooks, /webhooks/ID, and below that ping, pause, resume, rotate, "
                    "replay, retry, deliveries, deliveries/N and deliveries/N/retry");
    else
        api_problem(exchange, problem,
                    "GET and POST go to /webhooks, GET, PATCH and DELETE to /webhooks/ID, GET to "
                    "deliveries, GET and DELETE to one of them, POST to what can be done");
}

/* ---- the query of deliveries ----------------------------------------------------------------- */

enum { STATE, CHANNEL, EVENT, BEFORE, LIMIT, ROWS };

static const struct parameter rows[ROWS] = {
    [STATE] = {.name = {"state", 5},
               .kind = PARAMETER_WORD,
               .repeats = true,
               .words = "delivered failing dead failed skipped",
               .example = "failed",
               .meant = "status"},
    [CHANNEL] = {.name = {"channel", 7},
                 .kind = PARAMETER_TEXT,
                 .least = 1,
                 .most = NAME_MAX_BYTES,
                 .example = "orders/17"},
    [EVENT] = {.name = {"event", 5},
               .kind = PARAMETER_ID,
               .least = 1,
               .most = EVENT_ID_MAX,
               .example = "1795459080123456",
               .meant = "id"},
    [BEFORE] = {.name = {"before", 6},
                .kind = PARAMETER_NUMBER,
                .least = 1,
                .most = INT64_MAX,
                .example = "17",
                .meant = "cursor until"},
    [LIMIT] = {.name = {"limit", 5},
               .kind = PARAMETER_NUMBER,
               .least = 1,
               .most = DELIVERY_LOG_PAGE_MAX,
               .example = "100",
               .meant = "count size per_page page_size"},
};

struct parameter_table webhooks_parameters(void)
{
    return (struct parameter_table){rows, ROWS};
}

static bool take(struct exchange *exchange, void *context, const struct parameter_found *found)
{
    static const unsigned states[] = {
        1U << DELIVERY_DELIVERED, 1U << DELIVERY_FAILING, 1U << DELIVERY_DEAD,
        1U << DELIVERY_FAILING | 1U << DELIVERY_DEAD, 1U << DELIVERY_SKIPPED};
    struct courier_filter *filter = context;
    (void)exchange;
    switch (found->row) {
    case STATE:
        filter->states |= states[found->number];
        break;
    case CHANNEL:
        buf_add_str(&filter->channel, found->value);
        break;
    case EVENT:
        filter->event = found->number;
        break;
    case BEFORE:
        filter->before = found->number;
        break;
    case LIMIT:
        filter->limit = (uint32_t)found->number;
        break;
    default:
        query_keep(&filter->kept, found);
        break;
    }
    return true;
}

static bool read_query(struct exchange *exchange, struct courier_filter *filter)
{
    filter->limit = 100;
    return query_read(exchange, webhooks_parameters(), PROBLEM_BAD_PARAMETER, take, filter) &&
           query_has_room(exchange, &filter->channel) && query_has_room(exchange, &filter->kept);
}

/* ---- the request ----------------------------------------------------------------------------- */

bool webhooks_body_fits(struct exchange *exchange)
{
    if (exchange_input(exchange).len <= COURIER_BODY_MAX)
        return true;
    api_problem(exchange, PROBLEM_TOO_LARGE, "a webhook or a subscription has at most 64 KiB");
    return false;
}

/* The path alone says what these operations do. A body would be meant to change that, so refuse it.
 */
static bool has_right_body(struct exchange *exchange, enum courier_op op)
{
    bool is_plain = op == COURIER_PING || op == COURIER_PAUSE || op == COURIER_RESUME ||
                    op == COURIER_RETRY || op == COURIER_RETRY_ALL;
    struct str body = str_trim(exchange_input(exchange));
    while (body.len && (body.at[body.len - 1] == '\n' || body.at[body.len - 1] == '\r'))
        body.len--;
    if (!is_plain || !body.len || str_eq(body, STR("{}")))
        return true;
    api_problem(exchange, PROBLEM_BAD_WEBHOOK, "send no body, or {}: the path has all parameters");
    return false;
}

enum { KEY_MAX = 255 };

static bool read_key(struct exchange *exchange, struct courier_request *request)
{
    struct str value = http_header(exchange->head, STR("idempotency-key"));
    char room[KEY_MAX];
    size_t len;
    if (!value.at || request->op != COURIER_CREATE)
        return true;
    if (http_fields_repeat(&exchange->head->fields, STR("idempotency-key")) ||
        http_idempotency_key(value, room, sizeof(room), &len)) {
        api_problem(exchange, PROBLEM_BAD_KEY,
                    "send one Idempotency-Key of 1 to 255 bytes, with or without quotes");
        return false;
    }
    buf_add(&request->key, room, len);
    if (!buf_failed(&request->key))
        return true;
    api_problem(exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
    return false;
}

bool webhooks_may_ask(struct exchange *exchange)
{
    struct access access = exchange_access(exchange);
    enum access_verdict verdict = access_decide_any(&access, ACTION_WEBHOOKS);
    if (!verdict)
        return true;
    struct refusal refusal = access_refusal_of(&access, verdict, ACTION_WEBHOOKS, STR_NONE);
    exchange_refusal(exchange, &refusal, STR_NONE);
    return false;
}

enum { BODY_DEPTH_MAX = 8 };

bool webhooks_ask_for(struct exchange *exchange, const struct str *channels, size_t count)
{
    return authorization_allow(exchange, ACTION_WEBHOOKS, channels, count) &&
           authorization_allow(exchange, ACTION_READ, channels, count);
}

/* The same for the channels in the body of a new webhook, or of a change. A malformed body is left
 * to the courier. */
static bool ask_for_body(struct exchange *exchange)
{
    struct str channels[SELECTION_TERMS_MAX], body = exchange_input(exchange);
    size_t count = 0, i;
    const json_t *name;
    if (!authorization_asks(exchange))
        return true;
    json_t *root = json_check(body, BODY_DEPTH_MAX, NULL) == JSON_OK
                       ? json_loadb(body.at, body.len, JSON_REJECT_DUPLICATES, NULL)
                       : NULL;
    json_array_foreach(json_object_get(root, "channels"), i, name)
    {
        if (json_is_string(name) && count < SELECTION_TERMS_MAX)
            channels[count++] = json_text(name);
    }
    bool goes_on = webhooks_ask_for(exchange, channels, count);
    json_decref(root);
    return goes_on;
}

void webhooks_handle(struct exchange *exchange, struct courier *courier, struct str rest)
{
    if (!webhooks_body_fits(exchange) || !ask_for_body(exchange) || !webhooks_may_ask(exchange))
        return;
    struct asked *asked = mem_try_alloc(sizeof(*asked));
    if (!asked) {
        api_problem(exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
        return;
    }
    *asked = (struct asked){.exchange = exchange};
    struct courier_request *request = &asked->request;
    enum problem problem = read_path(exchange->head->method, rest, request);
    if (problem == PROBLEM_COUNT)
        buf_add_str(&request->body, exchange_input(exchange));
    if (buf_failed(&request->body))
        problem = PROBLEM_UNAVAILABLE;
    bool filters = request->op == COURIER_DELIVERIES;
    if (problem == PROBLEM_COUNT &&
        !((filters ? read_query(exchange, &request->filter) : query_is_empty(exchange)) &&
          has_right_body(exchange, request->op) && read_key(exchange, request))) {
        asked_free(asked);
        return;
    }
    if (problem != PROBLEM_COUNT) {
        asked_free(asked);
        if (problem == PROBLEM_UNAVAILABLE)
            api_problem(exchange, problem, "no memory: try again");
        else
            refuse_path(exchange, problem);
        return;
    }
    exchange->patient = true; /* a receiver that is pinged may take webhooks.timeout_ms */
    request->access = exchange_access(exchange);
    (void)rules_ref(request->access.rules);
    request->reply = &exchange->worker->loop.mailbox;
    request->reply_mail.open = answered;
    courier_submit(courier, request);
}
