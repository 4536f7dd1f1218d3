/* The rights at every route, against an independent model: a table of all requests that name a
 * channel or the server, times all kinds of callers. A route or a method without a row fails. */
#include "api/identity.h"

#include "api/testing.h"
#include "base/base64.h"

#include <stdio.h>

/* ---- callers --------------------------------------------------------------------------------- */

/* Credentials are words: the actions that they grant, then the channels. */
struct words {
    struct identity_source source;
    bool is_late;
    struct identification *asked;
    struct identity answer;
};

static struct identity identity_of_words(struct str text)
{
    struct str channels = text, action = str_cut(&channels, ':');
    struct str pattern = channels;
    struct grant grant = {&pattern, 1, ACTIONS_NONE};
    if (!channels.len || !actions_add(&grant.may, action))
        return identity_bad("the credential is unknown");
    return identity_of(caller_new(&(const struct caller_facts){
        .kind = CALLER_KEY, .subject = text, .grants = &grant, .grants_count = 1}));
}

static struct identity identify_words(struct identity_source *source,
                                      const struct credential *credential,
                                      struct identification *identification)
{
    struct words *words = container_of(source, struct words, source);
    struct identity identity = identity_of_words(credential->text);
    if (!words->is_late)
        return identity;
    words->answer = identity;
    words->asked = identification;
    return (struct identity){.state = IDENTITY_LATER};
}

struct gate {
    struct desk *desk;
    struct words words;
    struct authority authority;
    struct rules *rules;
};

/* In `open` everybody may read; in `members` those with a credential may publish. */
static int set_up(void **state)
{
    static const struct rule list[] = {{{"open", 4}, 1 << ACTION_READ, 0},
                                       {{"members", 7}, 0, 1 << ACTION_PUBLISH}};
    struct gate *gate = mem_alloc(sizeof(*gate));
    gate->desk = desk_new();
    gate->words.source = (struct identity_source){"words", identify_words};
    gate->rules = rules_new(list, 2);
    authority_add(&gate->authority, &gate->words.source);
    gate->desk->worker.config.rules = gate->rules;
    gate->desk->api.authority = &gate->authority;
    *state = gate;
    return 0;
}

static int tear_down(void **state)
{
    struct gate *gate = *state;
    desk_free(gate->desk);
    rules_unref(gate->rules);
    free(gate);
    return 0;
}

#define WITH_GATE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* ---- the ways in ----------------------------------------------------------------------------- */

struct way {
    const char *route;   /* the row in the table of routes */
    const char *request; /* %s is the channel or pattern */
    enum http_method method;
    enum action action;
    bool of_server; /* asks for the whole server */
    const char *body;
};

#define READ(route, path)                                                                          \
    {                                                                                              \
        route, "GET " path, HTTP_GET, ACTION_READ, false, ""                                       \
    }

static const struct way ways[] = {
    READ("/channels", "/channels/%s"),
    READ("/channels", "/channels/%s?last=1"),
    READ("/channels", "/channels/%s?before=5"),
    READ("/channels", "/channels/%s?after=earliest"),
    READ("/channels", "/channels/%s?after=5&wait=0"),
    READ("/channels", "/channels/%s?stream=sse"),
    READ("/channels", "/channels/%s?stream=ndjson&after=1"),
    READ("/channels", "/channels/%s?stream=raw"),
    READ("/channels", "/channels?prefix=%s/"),
    {"/channels", "HEAD /channels/%s", HTTP_HEAD, ACTION_READ, false, ""},
    READ("/events", "/events?channel=%s"),
    READ("/events", "/events?channel=open/x&channel=%s&last=1"),
    READ("/events", "/events?channel=%s/**&after=1"),
    READ("/events", "/events?channel=%s/**&stream=sse"),
    {"/events", "HEAD /events?channel=%s", HTTP_HEAD, ACTION_READ, false, ""},
    READ("/topics", "/topics/%s"),
    {"/topics", "HEAD /topics/%s", HTTP_HEAD, ACTION_READ, false, ""},
    {"/channels", "POST /channels/%s", HTTP_POST, ACTION_PUBLISH, false, "1"},
    {"/channels", "POST /channels/%s?ephemeral=1", HTTP_POST, ACTION_PUBLISH, false, "1"},
    {"/channels", "DELETE /channels/%s", HTTP_DELETE, ACTION_ADMIN, false, ""},
    {"/events", "POST /events", HTTP_POST, ACTION_PUBLISH, false,
     "[{\"channel\":\"%s\",\"data\":1}]"},
    {"/presence", "GET /presence/%s", HTTP_GET, ACTION_PRESENCE, false, ""},
    {"/presence", "GET /presence/%s?list=0", HTTP_GET, ACTION_PRESENCE, false, ""},
    {"/presence", "HEAD /presence/%s", HTTP_HEAD, ACTION_PRESENCE, false, ""},
    {"/presence", "PUT /presence/%s/me", HTTP_PUT, ACTION_PRESENCE, false, "{\"state\":1}"},
    {"/presence", "PUT /presence/%s/me?as=bob", HTTP_PUT, ACTION_PRESENCE, false, "{"},
    {"/configuration", "GET /configuration", HTTP_GET, ACTION_ADMIN, true, ""},
    {"/configuration", "HEAD /configuration", HTTP_HEAD, ACTION_ADMIN, true, ""},
    {"/stats", "GET /stats", HTTP_GET, ACTION_ADMIN, true, ""},
    {"/stats", "HEAD /stats", HTTP_HEAD, ACTION_ADMIN, true, ""},
    {"/metrics", "GET /metrics", HTTP_GET, ACTION_ADMIN, true, ""},
    {"/metrics", "HEAD /metrics", HTTP_HEAD, ACTION_ADMIN, true, ""},
    {"/keys", "GET /keys", HTTP_GET, ACTION_ADMIN, true, ""},
    {"/keys", "HEAD /keys", HTTP_HEAD, ACTION_ADMIN, true, ""},
    {"/keys", "GET /keys/x", HTTP_GET, ACTION_ADMIN, true, ""},
    {"/keys", "POST /keys", HTTP_POST, ACTION_ADMIN, true, "{\"name\":\"x\"}"},
    {"/keys", "DELETE /keys/x", HTTP_DELETE, ACTION_ADMIN, true, ""},
    {"/revocations", "GET /revocations", HTTP_GET, ACTION_ADMIN, true, ""},
    {"/revocations", "HEAD /revocations", HTTP_HEAD, ACTION_ADMIN, true, ""},
    {"/revocations", "POST /revocations", HTTP_POST, ACTION_ADMIN, true, "{\"subject\":\"x\"}"},
    {"/revocations", "DELETE /revocations?subject=x", HTTP_DELETE, ACTION_ADMIN, true, ""},
    {"/subscribers", "GET /subscribers", HTTP_GET, ACTION_ADMIN, true, ""},
    {"/subscribers", "HEAD /subscribers", HTTP_HEAD, ACTION_ADMIN, true, ""},
    {"/subscribers", "DELETE /subscribers?subject=x", HTTP_DELETE, ACTION_ADMIN, true, ""},
    {"/hub", "POST /hub", HTTP_POST, ACTION_WEBHOOKS, false, ""},
    {"/webhooks", "GET /webhooks", HTTP_GET, ACTION_WEBHOOKS, false, ""},
    {"/webhooks", "HEAD /webhooks", HTTP_HEAD, ACTION_WEBHOOKS, false, ""},
    {"/webhooks", "POST /webhooks", HTTP_POST, ACTION_WEBHOOKS, false, ""},
    {"/webhooks", "PATCH /webhooks/wh_1", HTTP_PATCH, ACTION_WEBHOOKS, false, ""},
    {"/webhooks", "DELETE /webhooks/wh_1", HTTP_DELETE, ACTION_WEBHOOKS, false, ""},
};

/* The routes that ask for nothing, or for a proof of their own. */
static const char *const exempt[] = {"/inbound",
                                     "/healthz",
                                     "/readyz",
                                     "/errors",
                                     "/playground",
                                     "/playground/webhooks",
                                     "/freshet.js",
                                     "/pages",
                                     "/",
                                     "/freshet-presence.js",
                                     "/openapi.json",
                                     "/asyncapi.json",
                                     "/docs",
                                     "/demos",
                                     "/console"};

static bool is_exempt(const char *path)
{
    for (size_t i = 0; i < sizeof(exempt) / sizeof(exempt[0]); i++)
        if (strcmp(exempt[i], path) == 0)
            return true;
    return false;
}

static bool has_way(const struct api_route *route, unsigned method)
{
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
        if (strcmp(ways[i].route, route->path) == 0 && (unsigned)ways[i].method == method)
            return true;
    return false;
}

static void each_method_of_each_route_demands_one_thing_and_has_a_way(void **state)
{
    (void)state;
    for (size_t i = 0; i < api_routes_count; i++)
        for (unsigned method = 0; method < HTTP_OTHER; method++) {
            const struct api_route *route = &api_routes[i];
            const struct api_demand *demand = api_demand_of(route, method);
            bool there = route->methods & 1U << method;
            assert_int_equal(demand != NULL, there);
            if (!there)
                continue;
            bool asks = demand->demand == DEMANDS_SERVER || demand->demand == DEMANDS_DOOR;
            if (asks == is_exempt(route->path) || (asks && !has_way(route, method)))
                fail_msg("%s, method %u: no row among the ways", route->path, method);
        }
}

/* ---- the model ------------------------------------------------------------------------------- */

static const char *const channels[] = {"open/x", "members/x", "other/x", "$webhooks"};
static const char *const patterns[] = {"**", "open/**", "members/x", "other/**", "$webhooks/**"};

/* By hand, and for these channels and patterns alone: whether the pattern has the channel, with all
 * that the request names beside it. */
static bool pattern_has(const char *pattern, const char *channel, bool below)
{
    bool own = channel[0] == '$';
    if (strcmp(pattern, "**") == 0)
        return !own;
    size_t stem = strlen(pattern) - strlen("/**");
    bool open = strcmp(pattern + stem, "/**") == 0;
    if (!open)
        return !below && strcmp(pattern, channel) == 0;
    if (strncmp(pattern, channel, stem) != 0)
        return false;
    return channel[stem] == '/' || (below && !channel[stem]);
}

static bool model_allows(const struct way *way, const char *channel, bool named, enum action may,
                         const char *pattern)
{
    bool below = strstr(way->request, "%s/") && !strstr(way->request, "%s/me");
    bool all = strcmp(pattern, "**") == 0;
    bool rule = (way->action == ACTION_READ && strncmp(channel, "open", 4) == 0) ||
                (way->action == ACTION_PUBLISH && strncmp(channel, "members", 7) == 0 && named);
    if (way->of_server)
        return named && may == way->action && all;
    if (rule)
        return true;
    if (named && may == ACTION_ADMIN && all && way->action == ACTION_READ && channel[0] == '$')
        return true;
    return named && may == way->action && pattern_has(pattern, channel, below);
}

/* The text with the channel in the place of %s. */
static void add_filled(struct buf *out, const char *text, const char *channel)
{
    const char *gap = strstr(text, "%s");
    buf_add(out, text, gap ? (size_t)(gap - text) : strlen(text));
    if (gap)
        buf_add_str(out, str_from(channel));
    if (gap)
        buf_add_str(out, str_from(gap + 2));
}

/* Asks; returns the status. */
static int ask_way(struct gate *gate, const struct way *way, const char *channel,
                   const char *credential)
{
    struct buf request = {0}, body = {0}, lines = {0};
    add_filled(&request, way->request, channel);
    add_filled(&body, way->body, channel);
    buf_add_char(&request, '\0');
    if (credential)
        buf_addf(&lines, "Authorization: Bearer %s\r\n", credential);
    buf_add_char(&lines, '\0');
    desk_ask(gate->desk, request.at, lines.at, buf_str(&body));
    int status = gate->desk->status;
    buf_free(&request);
    buf_free(&body);
    buf_free(&lines);
    return status;
}

/* Channels of the server cannot be published to, or deleted, by anybody: that is told first. */
static bool is_for_the_server(const struct way *way, const char *channel)
{
    return channel[0] == '$' && (way->action == ACTION_PUBLISH || way->action == ACTION_ADMIN) &&
           !way->of_server;
}

static void check_way(struct gate *gate, const struct way *way, const char *channel, bool named,
                      enum action may, const char *pattern)
{
    char credential[64];
    snprintf(credential, sizeof(credential), "%s:%s", action_word(may), pattern);
    bool expected = model_allows(way, channel, named, may, pattern);
    if (way->of_server && expected)
        return; /* the figures are those of a courier, which is not here */
    int status = ask_way(gate, way, channel, named ? credential : NULL);
    bool refused = status == 401 || status == 403;
    if (is_for_the_server(way, channel) ? status != 403 : refused == expected)
        fail_msg("%s on %s by %s: %d", way->request, channel, named ? credential : "anybody",
                 status);
    if (refused && !is_for_the_server(way, channel))
        assert_int_equal(status, named ? 403 : 401);
    if (refused && !is_for_the_server(way, channel) && way->method != HTTP_HEAD) {
        assert_true(desk_says(&gate->desk->body, "docs/access.md"));
        assert_true(desk_says(&gate->desk->body, action_word(way->action)));
    }
    if (refused && !is_for_the_server(way, channel))
        assert_field(gate->desk, named ? "Content-Type: application/problem+json"
                                       : "WWW-Authenticate: Bearer realm=\"freshet\"");
}

/* Webhooks are asked of the courier, which is not here: see webhooks/endpoint/rights_test.c. */
static bool is_here(const struct way *way)
{
    return way->action != ACTION_WEBHOOKS;
}

static void each_way_asks_for_its_action_on_its_channel(void **state)
{
    struct gate *gate = *state;
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
        for (size_t c = 0; is_here(&ways[i]) && c < sizeof(channels) / sizeof(channels[0]); c++) {
            check_way(gate, &ways[i], channels[c], false, ACTION_READ, "");
            for (unsigned may = 0; may < ACTION_COUNT; may++)
                for (size_t p = 0; p < sizeof(patterns) / sizeof(patterns[0]); p++)
                    check_way(gate, &ways[i], channels[c], true, (enum action)may, patterns[p]);
        }
}

/* ---- an address for management --------------------------------------------------------------- */

/* By hand: whether the request is management on a server that has an address for that. Webhooks
 * are, and what the server says of itself; WebSub's hub is not. */
static bool is_management(const struct way *way, const char *channel)
{
    return way->action == ACTION_ADMIN || strcmp(way->route, "/webhooks") == 0 ||
           (channel[0] == '$' && way->action != ACTION_PUBLISH && strcmp(way->route, "/hub") != 0);
}

static void check_elsewhere(struct gate *gate, const struct way *way, const char *channel,
                            const char *credential)
{
    bool managing = is_management(way, channel);
    int status = ask_way(gate, way, channel, credential);
    if (managing != (status == 404))
        fail_msg("%s on %s by %s: %d", way->request, channel, credential ? credential : "anybody",
                 status);
    if (managing && way->method != HTTP_HEAD)
        assert_true(desk_says(&gate->desk->body, "managed at its admin address alone"));
    if (managing)
        assert_false(desk_says(&gate->desk->body, "\"may\""));
}

/* Elsewhere no credential opens management, and each is refused in the same words; everything else
 * is answered as it is on a server without such an address. */
static void management_is_refused_elsewhere_on_each_way_whoever_asks(void **state)
{
    struct gate *gate = *state;
    gate->desk->worker.config.has_admin_door = true;
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
        for (size_t c = 0; c < sizeof(channels) / sizeof(channels[0]); c++) {
            if (!is_management(&ways[i], channels[c]))
                continue;
            check_elsewhere(gate, &ways[i], channels[c], NULL);
            if (ways[i].action == ACTION_ADMIN) /* the table refuses it before it looks at that */
                check_elsewhere(gate, &ways[i], channels[c], "forged");
            for (unsigned may = 0; may < ACTION_COUNT; may++)
                for (size_t p = 0; p < sizeof(patterns) / sizeof(patterns[0]); p++) {
                    char credential[64];
                    snprintf(credential, sizeof(credential), "%s:%s", action_word((enum action)may),
                             patterns[p]);
                    check_elsewhere(gate, &ways[i], channels[c], credential);
                }
        }
}

static void all_else_is_answered_elsewhere_by_the_same_rights(void **state)
{
    struct gate *gate = *state;
    gate->desk->worker.config.has_admin_door = true;
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
        for (size_t c = 0; is_here(&ways[i]) && c < sizeof(channels) / sizeof(channels[0]); c++) {
            if (is_management(&ways[i], channels[c]))
                continue;
            check_way(gate, &ways[i], channels[c], false, ACTION_READ, "");
            for (unsigned may = 0; may < ACTION_COUNT; may++)
                for (size_t p = 0; p < sizeof(patterns) / sizeof(patterns[0]); p++)
                    check_way(gate, &ways[i], channels[c], true, (enum action)may, patterns[p]);
        }
}

static void the_address_for_management_asks_for_the_same_rights(void **state)
{
    struct gate *gate = *state;
    gate->desk->worker.config.has_admin_door = true;
    gate->desk->conn.door = DOOR_ADMIN;
    each_way_asks_for_its_action_on_its_channel(state);
}

static void rights_of_anybody_open_no_management_elsewhere_without_rules(void **state)
{
    struct gate *gate = *state;
    gate->desk->worker.config.has_admin_door = true;
    gate->desk->worker.config.rules = &rules_open;
    gate->desk->api.authority = NULL;
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
        for (size_t c = 0; c < sizeof(channels) / sizeof(channels[0]); c++)
            if (is_management(&ways[i], channels[c]))
                check_elsewhere(gate, &ways[i], channels[c], NULL);
    gate->desk->worker.config.rules = gate->rules;
}

static void webhooks_are_refused_to_those_who_may_have_none(void **state)
{
    struct gate *gate = *state;
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        if (is_here(&ways[i]))
            continue;
        assert_int_equal(ask_way(gate, &ways[i], "", NULL), 401);
        assert_int_equal(ask_way(gate, &ways[i], "", "read:**"), 403);
        assert_int_equal(ask_way(gate, &ways[i], "", "admin:**"), 403);
    }
}

static void a_route_that_asks_for_nothing_takes_any_credential(void **state)
{
    struct gate *gate = *state;
    static const char *const requests[] = {"GET /healthz",    "GET /readyz", "GET /errors",
                                           "GET /playground", "GET /demos/", "GET /console",
                                           "GET /freshet.js", "GET /"};
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        desk_ask(gate->desk, requests[i], "Authorization: Bearer forged\r\n", STR_NONE);
        assert_int_equal(gate->desk->status, 200);
    }
}

/* ---- credentials ----------------------------------------------------------------------------- */

static void a_credential_is_read_from_each_of_its_places(void **state)
{
    struct gate *gate = *state;
    static const char basic[] = "read:other/**";
    struct buf line = {0};
    buf_add_lit(&line, "Authorization: basic ");
    base64_add(&line, str_from(basic));
    buf_add(&line, "\r\n", 3);
    const struct {
        const char *request, *lines;
        int status;
    } rows[] = {
        {"GET /channels/other/x", "", 401},
        {"GET /channels/other/x", "Authorization: Bearer read:other/**\r\n", 200},
        {"GET /channels/other/x", "authorization: BEARER  read:other/** \r\n", 200},
        {"GET /channels/other/x", line.at, 200},
        {"GET /channels/other/x?token=read:other/**", "", 200},
        {"GET /channels/other/x?last=1&token=read%3Aother%2F**", "", 200},
        {"GET /channels/other/x", "Cookie: a=b; session=read:other/**\r\n", 200},
        {"GET /channels/other/x", "Cookie: other=read:other/**\r\n", 401},
        {"GET /channels/other/x", "Sec-WebSocket-Protocol: a, freshet.token.read:other\r\n", 403},
        /* The first place counts, even if its credential grants nothing. */
        {"GET /channels/other/x?token=read:other/**", "Authorization: Bearer read:a\r\n", 403},
        {"GET /channels/other/x?token=read:a", "Cookie: session=read:other/**\r\n", 403},
        /* A credential that is not valid refuses what anybody may do. */
        {"GET /channels/open/x", "", 200},
        {"GET /channels/open/x", "Authorization: Bearer forged\r\n", 401},
        {"GET /channels/open/x", "Authorization: Bearer\r\n", 401},
        {"GET /channels/open/x", "Authorization: Digest x\r\n", 401},
        {"GET /channels/open/x", "Authorization: Basic !\r\n", 401},
        {"GET /channels/open/x", "Authorization: Bearer read:a\r\nAuthorization: Bearer read:a\r\n",
         401},
        {"GET /channels/open/x?token=", "", 401},
        {"GET /channels/open/x?token=read:a&token=read:a", "", 401},
        {"GET /channels/open/x?token=%zz", "", 401},
    };
    gate->desk->api.cookie = STR("session");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        desk_ask(gate->desk, rows[i].request, rows[i].lines, STR_NONE);
        if (gate->desk->status != rows[i].status)
            fail_msg("row %zu: %d", i, gate->desk->status);
    }
    buf_free(&line);
}

static void a_cookie_counts_for_pages_that_may_use_it_alone(void **state)
{
    struct gate *gate = *state;
    static const struct str origins[] = {STR("https://app.example"), STR("https://*.shop.example")};
    static const struct {
        const char *lines;
        int status;
    } rows[] = {
        {"", 200},
        {"Sec-Fetch-Site: same-origin\r\n", 200},
        {"Sec-Fetch-Site: cross-site\r\n", 403},
        {"Sec-Fetch-Site: same-site\r\n", 401},
        {"Origin: https://app.example\r\nSec-Fetch-Site: cross-site\r\n", 200},
        {"Origin: https://a.shop.example\r\nSec-Fetch-Site: cross-site\r\n", 401},
        {"Origin: http://localhost:3000\r\nSec-Fetch-Site: same-site\r\n", 401},
        {"Origin: https://evil.example\r\n", 403},
        {"Origin: null\r\n", 403},
    };
    gate->desk->api.cookie = STR("session");
    gate->desk->api.sites =
        (struct sites){.trust = SITES_NAMED, .origins = origins, .origins_count = 2};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char lines[200];
        snprintf(lines, sizeof(lines), "Cookie: session=read:other/**\r\n%s", rows[i].lines);
        desk_ask(gate->desk, "GET /channels/other/x", lines, STR_NONE);
        if (gate->desk->status != rows[i].status)
            fail_msg("row %zu: %d", i, gate->desk->status);
    }
}

static void no_link_and_no_fault_repeats_a_token(void **state)
{
    struct gate *gate = *state;
    static const char *const requests[] = {
        "GET /channels/other/x?limit=1&token=read:other/**",
        "GET /events?channel=other/x&token=read:other/**&utm_x=1",
        "GET /channels?prefix=other/&limit=1&token=read:other/**",
        "GET /channels/other/x?tail=1&token=read:other/**",
        "GET /stats?token=read:other/**",
        "GET /topics/other/x?token=read:other/**",
    };
    desk_ask(gate->desk, "POST /channels/other/x?token=publish:other/x", "", STR("1"));
    desk_ask(gate->desk, "POST /channels/other/x?token=publish:other/x", "", STR("2"));
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        desk_ask(gate->desk, requests[i], "", STR_NONE);
        assert_false(desk_says(&gate->desk->fields, "read:"));
        assert_false(desk_says(&gate->desk->fields, "read%3A"));
        assert_false(desk_says(&gate->desk->fields, "token"));
        assert_false(desk_says(&gate->desk->body, "read:other"));
    }
}

/* ---- answers that come later ----------------------------------------------------------------- */

/* Begins a request whose caller is found later. */
static void ask_late(struct gate *gate, const char *request, const char *credential)
{
    char lines[100];
    gate->words.is_late = true;
    snprintf(lines, sizeof(lines), "Authorization: Bearer %s\r\n", credential);
    desk_clear(gate->desk);
    desk_begin_ask(gate->desk, request, lines, STR("a late event"));
    assert_int_equal(gate->desk->answers, 0);
    assert_non_null(gate->words.asked);
}

static void answer_late(struct gate *gate)
{
    identification_answer(gate->words.asked, gate->words.answer);
    gate->words.asked = NULL;
    desk_settle(gate->desk);
}

static void a_request_waits_for_a_caller_that_is_found_later(void **state)
{
    struct gate *gate = *state;
    static const struct {
        const char *request, *credential;
        int status;
    } rows[] = {
        {"POST /channels/other/x", "publish:other/x", 201},
        {"POST /channels/other/x", "read:other/x", 403},
        {"POST /channels/other/x", "forged", 401},
        {"GET /channels/other/x?last=1", "read:other/x", 200},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ask_late(gate, rows[i].request, rows[i].credential);
        answer_late(gate);
        assert_int_equal(gate->desk->status, rows[i].status);
    }
    assert_true(desk_says(&gate->desk->body, "\"a late event\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_method_of_each_route_demands_one_thing_and_has_a_way),
        WITH_GATE(each_way_asks_for_its_action_on_its_channel),
        WITH_GATE(management_is_refused_elsewhere_on_each_way_whoever_asks),
        WITH_GATE(all_else_is_answered_elsewhere_by_the_same_rights),
        WITH_GATE(the_address_for_management_asks_for_the_same_rights),
        WITH_GATE(rights_of_anybody_open_no_management_elsewhere_without_rules),
        WITH_GATE(webhooks_are_refused_to_those_who_may_have_none),
        WITH_GATE(a_route_that_asks_for_nothing_takes_any_credential),
        WITH_GATE(a_credential_is_read_from_each_of_its_places),
        WITH_GATE(a_cookie_counts_for_pages_that_may_use_it_alone),
        WITH_GATE(no_link_and_no_fault_repeats_a_token),
        WITH_GATE(a_request_waits_for_a_caller_that_is_found_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
