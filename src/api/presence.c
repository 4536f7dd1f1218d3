/* The host of presence answers later, by mail, and always: a client that has gone meanwhile only
 * marks its exchange as dropped. What the request said is copied before the host is asked. */
#include "api/presence.h"

#include "api/answers.h"
#include "api/api.h"
#include "api/authorization.h"
#include "api/channel.h"
#include "api/publish.h"
#include "api/query.h"
#include "http/target.h"
#include "transport/presence_asking.h"

#include <stdlib.h>

struct asked {
    struct presence_asking asking;
    struct exchange *exchange;
    struct buf channel, as; /* while the request is read */
    struct buf after, after_mark;
    struct buf kept; /* the query without limit and place, for links */
    uint32_t limit;
    bool counts_alone;
};

static void asked_free(struct asked *asked)
{
    presence_asking_free(&asked->asking);
    buf_free(&asked->channel);
    buf_free(&asked->as);
    buf_free(&asked->after);
    buf_free(&asked->after_mark);
    buf_free(&asked->kept);
    free(asked);
}

static struct presence_request *request_of(struct asked *asked)
{
    return &asked->asking.request;
}

/* ---- the answer ------------------------------------------------------------------------------ */

/* The place behind the last of a page; behind the page before, if this one is empty. */
static void add_place(struct buf *out, const char *name, const char *verified,
                      const struct buf *last, bool last_verified, struct presence_who before)
{
    struct presence_who who =
        last->len ? (struct presence_who){buf_str(last), last_verified} : before;
    if (!who.name.len)
        return;
    buf_addf(out, "&%s=", name);
    http_percent_encode(out, who.name);
    buf_addf(out, "&%s=%d", verified, who.verified);
}

static void add_next(struct response *response, const struct asked *asked)
{
    const struct presence_request *request = &asked->asking.request;
    struct buf *out = response_compose(response, STR("Link"));
    buf_addf(out, "<?limit=%u", asked->limit);
    add_place(out, "after_member", "after_verified", &request->last_name, request->last_verified,
              request->after);
    add_place(out, "after_mark", "after_mark_verified", &request->last_mark_name,
              request->last_mark_verified, request->after_mark);
    buf_add_str(out, buf_str(&asked->kept));
    buf_add_lit(out, ">; rel=\"next\"");
}

static void answer(const struct asked *asked)
{
    const struct presence_request *request = &asked->asking.request;
    struct response response;
    struct buf body = {0};
    struct json_writer writer = json_writer(&body);
    json_object_begin(&writer);
    json_add_members(&writer, buf_str(&request->answer));
    json_object_end(&writer);
    buf_add_char(&body, '\n');
    response_init(&response, 200);
    response.type = STR("application/json");
    response.body[0] = buf_str(&body);
    if (request->more || request->more_marks)
        add_next(&response, asked);
    if (buf_failed(&body))
        response_fail(&response);
    exchange_respond(asked->exchange, &response);
    buf_free(&body);
}

static void answered(struct presence_request *request, void *home_owner)
{
    struct presence_asking *asking = container_of(request, struct presence_asking, request);
    struct asked *asked = container_of(asking, struct asked, asking);
    presence_asking_charge(home_owner, request);
    if (asked->exchange->dropped) {
        exchange_free(asked->exchange);
    } else if (request->fault) {
        struct refusal refusal = presence_asking_refusal(request);
        exchange_refusal(asked->exchange, &refusal, STR_NONE);
    } else {
        answer(asked);
    }
    asked_free(asked);
}

/* ---- the query ------------------------------------------------------------------------------- */

enum { AS, LIMIT, LIST, AFTER, AFTER_VERIFIED, MARKS, AFTER_MARK, AFTER_MARK_VERIFIED, ROWS };

#define NAME_ROW(name_)                                                                            \
    {                                                                                              \
        .name = {name_, sizeof(name_) - 1}, .kind = PARAMETER_TEXT, .least = 1,                    \
        .most = PRESENCE_NAME_MAX, .example = "alice"                                              \
    }
#define BOOLEAN_ROW(name_)                                                                         \
    {                                                                                              \
        .name = {name_, sizeof(name_) - 1}, .kind = PARAMETER_BOOLEAN, .example = "0"              \
    }

static const struct parameter rows[ROWS] = {
    [AS] = NAME_ROW("as"),
    [LIMIT] = {.name = {"limit", 5},
               .kind = PARAMETER_NUMBER,
               .least = 1,
               .most = PRESENCE_LIMIT_MAX,
               .example = "100",
               .meant = "count size per_page page_size"},
    [LIST] = BOOLEAN_ROW("list"),
    [AFTER] = NAME_ROW("after_member"),
    [AFTER_VERIFIED] = BOOLEAN_ROW("after_verified"),
    [MARKS] = BOOLEAN_ROW("marks"),
    [AFTER_MARK] = NAME_ROW("after_mark"),
    [AFTER_MARK_VERIFIED] = BOOLEAN_ROW("after_mark_verified"),
};

struct parameter_table presence_parameters(void)
{
    return (struct parameter_table){rows, ROWS};
}

struct parameter_table presence_parameters_of_me(void)
{
    return (struct parameter_table){rows, AS + 1};
}

static bool take(struct exchange *exchange, void *context, const struct parameter_found *found)
{
    struct asked *asked = context;
    struct presence_request *request = request_of(asked);
    (void)exchange;
    switch (found->row) {
    case AS:
        buf_add_str(&asked->as, found->value);
        break;
    case LIMIT:
        asked->limit = (uint32_t)found->number;
        break;
    case LIST:
        asked->counts_alone = !found->number;
        query_keep(&asked->kept, found);
        break;
    case AFTER:
        buf_add_str(&asked->after, found->value);
        break;
    case AFTER_VERIFIED:
        request->after.verified = found->number;
        break;
    case MARKS:
        request->wants_marks = found->number;
        query_keep(&asked->kept, found);
        break;
    case AFTER_MARK:
        buf_add_str(&asked->after_mark, found->value);
        break;
    case AFTER_MARK_VERIFIED:
        request->after_mark.verified = found->number;
        break;
    default:
        query_keep(&asked->kept, found);
    }
    return true;
}

/* False: the exchange was answered. */
static bool read_query(struct asked *asked, struct parameter_table table)
{
    struct exchange *exchange = asked->exchange;
    struct presence_request *request = request_of(asked);
    request->after.verified = request->after_mark.verified = true;
    bool good = query_read(exchange, table, PROBLEM_BAD_PARAMETER, take, asked) &&
                query_has_room(exchange, &asked->as) && query_has_room(exchange, &asked->after) &&
                query_has_room(exchange, &asked->after_mark) &&
                query_has_room(exchange, &asked->kept);
    request->limit = asked->counts_alone ? 0 : asked->limit;
    request->after.name = buf_str(&asked->after);
    request->after_mark.name = buf_str(&asked->after_mark);
    return good;
}

/* ---- the body -------------------------------------------------------------------------------- */

static bool refuse(struct asked *asked, enum problem problem, const char *detail)
{
    api_problem(asked->exchange, problem, detail);
    return false;
}

static bool refuse_as(struct asked *asked, const struct refusal *refusal)
{
    exchange_refusal(asked->exchange, refusal, STR_NONE);
    return false;
}

static bool read_body(struct asked *asked)
{
    struct refusal refusal;
    return presence_asking_read_body(request_of(asked), exchange_input(asked->exchange),
                                     &refusal) ||
           refuse_as(asked, &refusal);
}

/* ---- requests -------------------------------------------------------------------------------- */

struct str presence_channel_path(enum http_method method, struct str rest)
{
    static const struct str me = STR("/me");
    bool is_own =
        method == HTTP_PUT && rest.len > me.len && str_eq(str_skip(rest, rest.len - me.len), me);
    return is_own ? (struct str){rest.at, rest.len - me.len} : rest;
}

static bool read_channel_path(struct asked *asked, struct str rest)
{
    struct exchange *exchange = asked->exchange;
    enum http_method method = (enum http_method)exchange->head->method;
    struct str path = presence_channel_path(method, rest);
    if (method == HTTP_PUT && path.len == rest.len)
        return refuse(asked, PROBLEM_NOT_FOUND,
                      "a member changes itself alone: PUT /presence/{channel}/me");
    if (!channel_from_path(exchange, path, &asked->channel))
        return false;
    request_of(asked)->channel = buf_str(&asked->channel);
    return true;
}

/* A read mark takes the right to read too, which the operator's server may have to be asked for. */
static bool may_read(struct asked *asked)
{
    const struct presence_request *request = request_of(asked);
    return !request->read ||
           authorization_allow(asked->exchange, ACTION_READ, &request->channel, 1);
}

/* Rights are checked before the query and the body are read, so that nobody learns more by a
 * malformed request. */
static bool may_ask(struct asked *asked)
{
    struct access access = exchange_access(asked->exchange);
    struct refusal refusal;
    return access_check(&access, ACTION_PRESENCE, request_of(asked)->channel, &refusal) ||
           refuse_as(asked, &refusal);
}

static bool read_all(struct asked *asked, struct str rest)
{
    bool is_change = asked->exchange->head->method == HTTP_PUT;
    asked->limit = PRESENCE_LIMIT_DEFAULT;
    return read_channel_path(asked, rest) && may_ask(asked) &&
           read_query(asked, is_change ? presence_parameters_of_me() : presence_parameters()) &&
           (!is_change || read_body(asked)) && may_read(asked);
}

static bool ask(struct asked *asked)
{
    struct worker *worker = asked->exchange->worker;
    struct publisher publisher = publish_publisher(asked->exchange);
    struct presence_request *request = request_of(asked);
    struct refusal refusal;
    request->answered = answered;
    request->gone = &asked->exchange->dropped;
    return (presence_asking_check(worker, &publisher, request, buf_str(&asked->as), &refusal) &&
            presence_asking_begin(worker, &asked->asking, &refusal)) ||
           refuse_as(asked, &refusal);
}

void presence_handle(struct exchange *exchange, struct str rest)
{
    struct asked *asked = mem_try_alloc(sizeof(*asked));
    if (!asked) {
        api_problem(exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
        return;
    }
    *asked = (struct asked){.exchange = exchange, .asking = {.request = {.op = PRESENCE_GET}}};
    if (!read_all(asked, rest) || !ask(asked))
        asked_free(asked);
}
