#include "api/api.h"

#include "api/answers.h"
#include "api/authorization.h"
#include "api/api_keys.h"
#include "api/batch.h"
#include "api/channel.h"
#include "api/configuration.h"
#include "api/errors.h"
#include "api/front.h"
#include "api/hub.h"
#include "api/identity.h"
#include "api/inbound.h"
#include "api/health.h"
#include "api/info.h"
#include "api/listing.h"
#include "api/pages.h"
#include "api/playground.h"
#include "api/presence.h"
#include "api/publish.h"
#include "api/query.h"
#include "api/read.h"
#include "api/revocations.h"
#include "api/subscribers.h"
#include "api/topic.h"
#include "api/webhooks.h"
#include "http/accept.h"
#include "http/token.h"
#include "transport/websocket.h"

#include <limits.h>

#define METHODS_READ (1U << HTTP_GET | 1U << HTTP_HEAD)

static void handle_channel(struct exchange *exchange, struct str rest)
{
    if (rest.len <= 1) {
        if (1U << exchange->head->method & METHODS_READ)
            listing_handle(exchange);
        else
            api_refuse_method(exchange, METHODS_READ);
        return;
    }
    switch (exchange->head->method) {
    case HTTP_POST:
        publish_handle(exchange, rest);
        break;
    case HTTP_DELETE:
        publish_trim(exchange, rest);
        break;
    default:
        read_channel(exchange, rest);
    }
}

static void handle_events(struct exchange *exchange, struct str rest)
{
    (void)rest;
    if (exchange->head->method == HTTP_POST)
        batch_handle(exchange);
    else
        read_events(exchange);
}

static void handle_webhooks(struct exchange *exchange, struct str rest)
{
    webhooks_handle(exchange, api_of(exchange)->courier, rest);
}

#define DEMAND(methods_, demand_, action_)                                                         \
    {                                                                                              \
        methods_, DEMANDS_##demand_, ACTION_##action_                                              \
    }
#define READ_BY(demand, action) DEMAND(METHODS_READ, demand, action)
#define BY(method, demand, action) DEMAND(1U << HTTP_##method, demand, action)
#define ANY_BY(demand, action) DEMAND(UINT_MAX, demand, action)

/* clang-format off */
const struct api_route api_routes[] = {
    {"/channels", false, true, true, METHODS_READ | 1U << HTTP_POST | 1U << HTTP_DELETE, handle_channel,
     {READ_BY(DOOR, READ), BY(POST, DOOR, PUBLISH), BY(DELETE, DOOR, ADMIN)},
     "publish to, read and trim a channel; without a name, list channels"},
    {"/events", true, true, true, METHODS_READ | 1U << HTTP_POST, handle_events,
     {READ_BY(DOOR, READ), BY(POST, DOOR, PUBLISH)},
     "publish many events; read many channels"},
    {"/presence", false, false, true, METHODS_READ | 1U << HTTP_PUT, presence_handle,
     {READ_BY(DOOR, PRESENCE), BY(PUT, DOOR, PRESENCE)},
     "who is on a channel; tell a state, or how far you have read"},
    {"/webhooks", false, false, true,
     METHODS_READ | 1U << HTTP_POST | 1U << HTTP_PATCH | 1U << HTTP_DELETE, handle_webhooks,
     {ANY_BY(DOOR, WEBHOOKS)},
     "register, list, change and delete webhooks"},
    {"/inbound", false, false, true, METHODS_READ | 1U << HTTP_POST, inbound_handle,
     {ANY_BY(PROOF, PUBLISH)},
     "receive webhooks of others as events, and answer their challenges"},
    {"/topics", false, false, false, METHODS_READ, topic_handle,
     {READ_BY(DOOR, READ)},
     "the newest event of a channel, as WebSub's topic"},
    {"/hub", true, false, false, 1U << HTTP_POST, hub_handle,
     {BY(POST, DOOR, WEBHOOKS)},
     "subscribe to topics by WebSub"},
    {"/keys", false, false, true, METHODS_READ | 1U << HTTP_POST | 1U << HTTP_DELETE, api_keys_handle,
     {ANY_BY(SERVER, ADMIN)},
     "make, list and revoke API keys"},
    {"/revocations", true, false, true, METHODS_READ | 1U << HTTP_POST | 1U << HTTP_DELETE,
     api_revocations_handle,
     {ANY_BY(SERVER, ADMIN)},
     "revoke subjects, tokens and keys"},
    {"/subscribers", true, false, true, METHODS_READ | 1U << HTTP_DELETE, subscribers_handle,
     {ANY_BY(SERVER, ADMIN)},
     "list who is subscribed; disconnect a subject or a single subscription"},
    {"/configuration", true, false, false, METHODS_READ, configuration_handle,
     {READ_BY(SERVER, ADMIN)},
     "the configuration in force, without its secrets"},
    {"/stats", true, false, false, METHODS_READ, info_stats,
     {READ_BY(SERVER, ADMIN)},
     "figures of this server, as JSON"},
    {"/metrics", true, false, false, METHODS_READ, info_metrics,
     {READ_BY(SERVER, ADMIN)},
     "the same for Prometheus"},
    {"/healthz", true, false, false, METHODS_READ, health_live,
     {READ_BY(NOTHING, READ)},
     "200 while the process serves"},
    {"/readyz", true, false, false, METHODS_READ, health_ready,
     {READ_BY(NOTHING, READ)},
     "200 while publishes can succeed"},
    {"/errors", false, false, false, METHODS_READ, errors_handle,
     {READ_BY(NOTHING, READ)},
     "what each problem type means"},
    {"/openapi.json", true, false, false, METHODS_READ, descriptions_openapi,
     {READ_BY(NOTHING, READ)},
     "this API, described for programs by OpenAPI"},
    {"/asyncapi.json", true, false, false, METHODS_READ, descriptions_asyncapi,
     {READ_BY(NOTHING, READ)},
     "its messages, described by AsyncAPI"},
    {"/docs", true, false, false, METHODS_READ, api_pages_handle,
     {READ_BY(NOTHING, READ)},
     "this API, described for people"},
    {"/playground", true, false, false, METHODS_READ, api_pages_handle,
     {READ_BY(NOTHING, READ)},
     "a page on which you see the same event arrive in four ways"},
    {"/playground/webhooks", false, false, false, 1U << HTTP_POST | 1U << HTTP_DELETE,
     playground_handle,
     {ANY_BY(NOTHING, READ)},
     "a visitor's webhook to a receiver inside of this server"},
    {"/demos", false, false, false, METHODS_READ, api_pages_handle,
     {READ_BY(NOTHING, READ)},
     "pages that show what one can build: a chat, a ticker, a board and others"},
    {"/console", true, false, false, METHODS_READ, api_pages_handle,
     {READ_BY(NOTHING, READ)},
     "a page that shows and manages this server, with a key of yours"},
    {"/freshet.js", true, false, false, METHODS_READ, api_pages_handle,
     {READ_BY(NOTHING, READ)},
     "a module for browsers: follow channels, publish"},
    {"/freshet-presence.js", true, false, false, METHODS_READ, api_pages_handle,
     {READ_BY(NOTHING, READ)},
     "its part that watches who is on a channel"},
    {"/pages", false, false, false, METHODS_READ, api_pages_handle,
     {READ_BY(NOTHING, READ)},
     "the style and the scripts of the pages"},
    {"/", true, false, false, METHODS_READ, front_handle,
     {READ_BY(NOTHING, READ)},
     "this list"},
};
/* clang-format on */
const size_t api_routes_count = sizeof(api_routes) / sizeof(api_routes[0]);

static bool matches(const struct api_route *route, struct str path, struct str *ret_rest)
{
    struct str own = str_from(route->path);
    if (!str_starts(path, own))
        return false;
    *ret_rest = str_skip(path, own.len);
    return route->whole ? !ret_rest->len : !ret_rest->len || ret_rest->at[0] == '/';
}

static const struct api_route *find_route(const struct exchange *exchange, struct str *ret_rest)
{
    struct str path = exchange->head->path, base = api_of(exchange)->base;
    if (!str_starts(path, base))
        return NULL;
    path = str_skip(path, base.len);
    for (size_t i = 0; i < api_routes_count; i++)
        if (matches(&api_routes[i], path, ret_rest))
            return &api_routes[i];
    return NULL;
}

/* The API's own headers may be sent by any page that may come, and so may those that it asks for:
 * libraries and tracers add some to each request, and none means more to us than it says. */
static const char own_headers[] = "Authorization, Content-Type, Event-Type, Idempotency-Key, "
                                  "If-Match, Last-Event-ID, Prefer";

static void add_allowed_headers(struct response *response, const struct http_head *head)
{
    struct str value, name, own, rest;
    struct buf *list = response_compose(response, STR("Access-Control-Allow-Headers"));
    buf_add_str(list, str_from(own_headers));
    for (size_t pos = 0;
         http_header_next(head, STR("access-control-request-headers"), &pos, &value);)
        while (http_list_next(&value, &name)) {
            bool known = !http_all(name, HTTP_CHAR_TOKEN); /* a name that is no token is not
                                                            * repeated in the answer */
            rest = str_from(own_headers);
            while (!known && http_list_next(&rest, &own))
                known = str_eq_nocase(own, name);
            if (known)
                continue;
            buf_add_lit(list, ", ");
            buf_add_str(list, name);
        }
}

/* Answers OPTIONS: the methods of the path and, for a browser's preflight, the permissions. */
static void answer_options(struct exchange *exchange, unsigned methods)
{
    struct response response;
    response_init(&response, 204);
    response.bodiless = true;
    api_add_methods(&response, STR("Allow"), methods);
    if (exchange->browser) {
        api_add_methods(&response, STR("Access-Control-Allow-Methods"), methods);
        add_allowed_headers(&response, exchange->head);
        response_add(&response, STR("Access-Control-Max-Age"), STR("600"));
        response_add(&response, STR("Vary"),
                     STR("Origin, Access-Control-Request-Method, Access-Control-Request-Headers"));
    }
    exchange_respond(exchange, &response);
}

static void refuse_stranger(struct exchange *exchange, enum problem problem, const char *detail)
{
    exchange->origin.len = 0; /* the page may not read the answer to OPTIONS either */
    if (exchange->head->upgrade_websocket)
        websocket_refuse(exchange, problem, str_from(detail));
    else
        api_problem(exchange, problem, detail);
}

enum admission api_admits(void *app, struct str origin)
{
    const struct api *api = app;
    return sites_admit(&api->sites, origin);
}

bool api_is_revoked(void *app, const struct caller *caller, int64_t now_us)
{
    const struct api *api = app;
    return revocations_have(api->revocations, caller, now_us) ||
           key_table_is_gone(api->keys, caller) ||
           caller_lost_voucher(caller, api->vouchers, api->vouchers_count);
}

bool api_is_disowned(void *app, const struct caller *caller, int64_t now_us)
{
    const struct api *api = app;
    return !revocations_have(api->revocations, caller, now_us) &&
           !key_table_is_gone(api->keys, caller) &&
           caller_lost_server(caller, api->vouchers, api->vouchers_count);
}

struct caller *api_renew(void *app, const struct caller *caller)
{
    const struct api *api = app;
    return key_table_renew(api->keys, caller);
}

/* Advice to strangers: the first with access rules, the second without. */
static const char *const host_advice[] = {
    "this server does not know that it has the name in Host: add the name to the configuration, as "
    "in `hosts: [rt.example.org]`",
    "address this server as localhost, 127.0.0.1 or [::1], or add the name in Host to the "
    "configuration, as in `hosts: [rt.example.org]`"};
static const char *const page_advice[] = {
    "pages of this site may not use this server: add the site to the configuration, as in "
    "`origins: [https://app.example]`",
    "without access rules only pages from this machine, or from one of `origins` in the "
    "configuration, may use this server"};
static const char file_advice[] =
    "a page opened as a file has no website (Origin: null): serve it, as by `python3 -m "
    "http.server`, and open it there";
static const char *const load_advice[] = {
    "pages of other sites may not load from this server, except by requests with an Origin: see "
    "`origins` in the configuration",
    "without access rules pages of other sites may not load from this server"};

static bool takes_page(const struct exchange *exchange)
{
    const struct http_head *head = exchange->head;
    const struct sites *sites = &api_of(exchange)->sites;
    const struct conn *conn = exchange_conn(exchange);
    struct outside outside = {.authority = head->authority};
    if (conn && http_header(head, STR("origin")).at)
        outside = forwarding_outside(exchange->worker, conn, head);
    return sites_take_page(sites, head, &outside);
}

/* Why the page of a request may not use this server. Sandboxed frames have no website either, but
 * a first page that was opened by a double click is what people stumble over. */
static const char *page_advice_for(const struct exchange *exchange, bool local)
{
    bool is_file = str_eq(http_header(exchange->head, STR("origin")), STR("null"));
    return is_file ? file_advice : page_advice[local];
}

/* Any website could use this server with the rights of its visitor's machine: by a request with its
 * own Origin, or by a name of its own that it has pointed here (Host). */
static bool is_stranger(struct exchange *exchange)
{
    const struct http_head *head = exchange->head;
    const struct sites *sites = &api_of(exchange)->sites;
    bool local = sites->trust == SITES_LOCAL;
    if (!sites_have_host(sites, head))
        refuse_stranger(exchange, PROBLEM_FORBIDDEN_HOST, host_advice[local]);
    else if (!takes_page(exchange))
        refuse_stranger(exchange, PROBLEM_FORBIDDEN_ORIGIN, page_advice_for(exchange, local));
    else if (sites_are_crossed(sites, head))
        refuse_stranger(exchange, PROBLEM_FORBIDDEN_ORIGIN, load_advice[local]);
    else
        return false;
    return true;
}

/* A handshake whose Upgrade did not arrive would be answered with a page of history, which no
 * WebSocket client can make sense of. */
static bool has_lost_upgrade(const struct http_head *head)
{
    return head->method == HTTP_GET && !head->upgrade_websocket &&
           http_header(head, STR("sec-websocket-key")).at;
}

static void refuse_lost_upgrade(struct exchange *exchange)
{
    api_problem(exchange, PROBLEM_UPGRADE_REQUIRED,
                "this is a WebSocket handshake without Upgrade: websocket and Connection: Upgrade "
                "over HTTP/1.1: a proxy has removed them. nginx: proxy_http_version 1.1; "
                "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\"; "
                "Apache: ProxyPass with upgrade=websocket");
}

/* Whether the request is management: what takes `admin`, and webhooks. WebSub's hub is not, since
 * servers of others subscribe there. */
static bool is_management(const struct api_route *route, const struct api_demand *demand)
{
    if (!demand || demand->demand == DEMANDS_NOTHING || demand->demand == DEMANDS_PROOF)
        return false;
    return demand->action == ACTION_ADMIN || route->handle == handle_webhooks;
}

/* Whether the request belongs to the admin address, and has come by another. */
static bool is_misplaced(const struct exchange *exchange, const struct api_route *route)
{
    return exchange_access(exchange).is_elsewhere &&
           is_management(route, api_demand_of(route, exchange->head->method));
}

/* In the words in which the doors refuse it as well. */
static void refuse_misplaced(struct exchange *exchange)
{
    struct refusal refusal = access_refusal(ACCESS_ELSEWHERE, ACTION_ADMIN, STR_NONE);
    api_refuse_as(exchange, &refusal);
}

/* The part of the path that names a channel, about which the operator's server may be asked. */
static struct str path_of_channel(const struct api_route *route, const struct http_head *head,
                                  struct str rest)
{
    return route->handle == presence_handle ? presence_channel_path(head->method, rest) : rest;
}

/* Whether the caller may read the figures without being an admin: whoever may read the channel that
 * has them, such as a scraper of metrics. */
static bool may_read_figures(const struct api_route *route, const struct access *access)
{
    struct refusal refusal;
    return (route->handle == info_stats || route->handle == info_metrics) &&
           access_check(access, ACTION_READ, FIGURES_CHANNEL, &refusal);
}

/* Whether the handler may see the request: its caller is known, and may do what the route demands
 * of the whole server. False: the request was answered, or waits to be handled again. A route that
 * demands nothing of a method, by mistake, is closed. */
static bool may_be_handled(struct exchange *exchange, const struct api_route *route,
                           struct str rest)
{
    static const struct api_demand closed = {UINT_MAX, DEMANDS_SERVER, ACTION_ADMIN};
    const struct api_demand *demand = api_demand_of(route, exchange->head->method);
    struct refusal refusal;
    demand = demand ? demand : &closed;
    if (demand->demand == DEMANDS_NOTHING || demand->demand == DEMANDS_PROOF)
        return true;
    if (!identity_find(exchange))
        return false;
    if (demand->demand == DEMANDS_DOOR)
        return authorization_find(exchange, demand->action,
                                  path_of_channel(route, exchange->head, rest));
    struct access access = exchange_access(exchange);
    if (access_check(&access, demand->action, ACCESS_WHOLE_SERVER, &refusal) ||
        may_read_figures(route, &access))
        return true;
    exchange_refusal(exchange, &refusal, STR_NONE);
    return false;
}

/* Whether the answer may be compressed. Its length tells of its content, to somebody who watches
 * the wire and has a page ask again and again, with words of his own in the request. Such a page
 * has the credentials that a browser sends by itself, and no others: what they open is never
 * compressed. */
static enum http_gzip_wish answer_coding(const struct http_head *head)
{
    struct str rest = http_header(head, STR("authorization")), scheme = str_cut(&rest, ' ');
    bool is_read = head->method == HTTP_GET || head->method == HTTP_HEAD;
    bool by_itself =
        http_header(head, STR("cookie")).at || (scheme.at && !str_eq_nocase(scheme, STR("bearer")));
    return is_read && !by_itself ? http_accept_gzip(&head->fields) : HTTP_GZIP_NO;
}

/* Whether the page of a request must be looked at although its head is known: the scheme by which
 * the server was called is no part of the head. */
static bool has_page_by_tls(const struct exchange *exchange)
{
    const struct conn *conn = exchange_conn(exchange);
    return conn && conn->door & (DOOR_TLS | DOOR_TRUSTED) &&
           http_header(exchange->head, STR("origin")).at;
}

/* A path that is nowhere, or not for WebSockets. */
static void answer_nowhere(struct exchange *exchange, bool socket)
{
    unsigned method = exchange->head->method;
    bool reads = !socket && (method == HTTP_GET || method == HTTP_HEAD);
    if (!reads || !api_pages_redirect(exchange))
        api_refuse(exchange, PROBLEM_NOT_FOUND,
                   socket ? "a WebSocket opens at /channels/NAME or /events"
                          : "GET / lists the paths of this server; a channel is at /channels/NAME");
}

/* Whether a WebSocket opens at the path: at channels, and not at the list of them. Over HTTP/2 the
 * 200 of any other answer would say that it is open (RFC 8441 section 5). */
static bool opens_websocket(const struct api_route *route, struct str rest)
{
    return route->upgrades && (route->handle != handle_channel || rest.len > 1);
}

/* A request whose head is known byte for byte skips the checks below, because they depend on its
 * bytes alone. It has no credential, and read_known() asks whether anybody may still read that. A
 * certificate is no part of the head. */
void api_handle(struct exchange *exchange)
{
    const struct http_head *head = exchange->head;
    struct str rest;
    exchange->gzip = answer_coding(head);
    bool is_known = exchange->worker->known && !identity_certificate(exchange);
    if (is_known && !has_page_by_tls(exchange)) {
        read_known(exchange);
        return;
    }
    if (is_stranger(exchange))
        return;
    if (is_known) {
        read_known(exchange);
        return;
    }
    if (head->method == HTTP_OPTIONS && str_eq(head->path, STR("*"))) {
        answer_options(exchange, METHODS_READ | 1U << HTTP_POST | 1U << HTTP_PUT |
                                     1U << HTTP_DELETE | 1U << HTTP_PATCH);
        return;
    }
    const struct api_route *route = find_route(exchange, &rest);
    bool socket = head->upgrade_websocket && head->method == HTTP_GET;
    if (!route || (socket && !opens_websocket(route, rest)))
        answer_nowhere(exchange, socket);
    else if (route->upgrades && has_lost_upgrade(head))
        refuse_lost_upgrade(exchange);
    else if (head->method == HTTP_OPTIONS)
        answer_options(exchange, route->methods);
    else if (head->method >= HTTP_OTHER || !(route->methods & 1U << head->method))
        api_refuse_method(exchange, route->methods);
    else if (is_misplaced(exchange, route))
        refuse_misplaced(exchange);
    else if (may_be_handled(exchange, route, rest) && (route->asks || query_is_empty(exchange)))
        route->handle(exchange, rest);
}
