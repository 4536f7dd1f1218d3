#include "api/testing.h"

/* Requests, and what they are answered with at once. */
struct row {
    const char *request, *lines;
    int status;
    const char *says;
};

static void ask_all(struct desk *desk, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        desk_ask(desk, rows[i].request, rows[i].lines, STR_NONE);
        assert_answer(desk, rows[i].status, rows[i].says);
        assert_field(desk, "Cache-Control: no-store");
    }
}

static void a_path_that_is_no_route_is_not_found(void **state)
{
    static const struct row rows[] = {
        {"GET /nothing", "", 404, "not-found"},     {"GET /channelsx", "", 404, "not-found"},
        {"GET /stats/more", "", 404, "not-found"},  {"POST /nothing", "", 404, "not-found"},
        {"OPTIONS /nothing", "", 404, "not-found"},
    };
    ask_all(*state, rows, sizeof(rows) / sizeof(rows[0]));
}

static void a_method_that_a_path_has_not_is_refused_with_those_that_it_has(void **state)
{
    struct desk *desk = *state;
    static const struct row rows[] = {
        {"PUT /channels/a", "", 405, "method-not-allowed"},
        {"DELETE /events", "", 405, "method-not-allowed"},
        {"BREW /events", "", 405, "method-not-allowed"},
    };
    ask_all(desk, rows, sizeof(rows) / sizeof(rows[0]));
    assert_field(desk, "Allow: GET, HEAD, POST, OPTIONS");
    desk_ask(desk, "PUT /channels/a", "", STR_NONE);
    assert_field(desk, "Allow: GET, HEAD, POST, DELETE, OPTIONS");
}

static void options_name_the_methods_and_to_a_browser_the_permissions(void **state)
{
    struct desk *desk = *state;
    desk_ask(desk, "OPTIONS /events", "", STR_NONE);
    assert_int_equal(desk->status, 204);
    assert_field(desk, "Allow: GET, HEAD, POST, OPTIONS");
    assert_no_field(desk, "Access-Control");
    desk_ask(desk, "OPTIONS /events",
             "Origin: http://localhost:3000\r\n"
             "Access-Control-Request-Headers: x-trace, if-match, \"no token\"\r\n",
             STR_NONE);
    assert_int_equal(desk->status, 204);
    assert_field(desk, "Access-Control-Allow-Origin: http://localhost:3000");
    assert_field(desk, "Access-Control-Allow-Methods: GET, HEAD, POST, OPTIONS");
    assert_true(desk_says(&desk->fields, "Last-Event-ID, Prefer, x-trace\n"));
    assert_field(desk, "Access-Control-Max-Age: 600");
}

static void strangers_are_kept_out_and_may_not_read_why(void **state)
{
    struct desk *desk = *state;
    static const struct row rows[] = {
        {"GET /healthz", "Origin: https://example.org\r\n", 403, "forbidden-origin"},
        {"GET /healthz", "Origin: null\r\n", 403, "forbidden-origin"},
        {"GET /healthz", "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n", 403,
         "forbidden-origin"},
        {"GET http://example.org/healthz", "", 403, "forbidden-host"},
        {"OPTIONS /healthz", "Origin: https://example.org\r\n", 403, "forbidden-origin"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        desk_ask(desk, rows[i].request, rows[i].lines, STR_NONE);
        assert_answer(desk, rows[i].status, rows[i].says);
        assert_no_field(desk, "Access-Control");
    }
    desk->api.sites.trust = SITES_ANY;
    desk_ask(desk, "GET /healthz", "Origin: https://example.org\r\n", STR_NONE);
    assert_answer(desk, 200, "ok");
    assert_field(desk, "Access-Control-Allow-Origin: https://example.org");
}

static void a_configured_origin_comes_with_credentials(void **state)
{
    static const struct str origins[] = {{"https://example.org", 19}};
    struct desk *desk = *state;
    desk->api.sites.origins = origins;
    desk->api.sites.origins_count = 1;
    desk_ask(desk, "GET /healthz", "Origin: https://example.org\r\n", STR_NONE);
    assert_answer(desk, 200, "ok");
    assert_field(desk, "Access-Control-Allow-Credentials: true");
}

static void a_handshake_that_lost_its_upgrade_is_told_so(void **state)
{
    struct desk *desk = *state;
    desk_ask(desk, "GET /channels/a", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", STR_NONE);
    assert_answer(desk, 426, "a proxy has removed them");
    assert_field(desk, "Sec-WebSocket-Version: 13");
}

static void a_base_path_stands_before_all_routes(void **state)
{
    struct desk *desk = *state;
    desk->api.base = STR("/rt");
    desk_ask(desk, "GET /healthz", "", STR_NONE);
    assert_int_equal(desk->status, 404);
    desk_ask(desk, "GET /rt/healthz", "", STR_NONE);
    assert_answer(desk, 200, "ok");
}

static void a_route_without_parameters_refuses_those_that_it_would_ignore(void **state)
{
    struct desk *desk = *state;
    desk_ask(desk, "GET /healthz?limit=1", "", STR_NONE);
    assert_answer(desk, 400, "bad-parameter");
}

static void the_root_and_the_errors_list_what_there_is(void **state)
{
    struct desk *desk = *state;
    desk_ask(desk, "GET /", "", STR_NONE);
    assert_answer(desk, 200, "/channels");
    assert_field(desk, "Content-Type: application/json");
    desk_ask(desk, "GET /", "Accept: text/html\r\n", STR_NONE);
    assert_field(desk, "Content-Type: text/html; charset=utf-8");
    desk_ask(desk, "GET /errors/bad-channel", "", STR_NONE);
    assert_answer(desk, 200, "bad-channel");
    desk_ask(desk, "GET /errors/no-such-error", "", STR_NONE);
    assert_int_equal(desk->status, 404);
}

static void a_server_that_stops_is_not_ready(void **state)
{
    struct desk *desk = *state;
    desk_ask(desk, "GET /readyz", "", STR_NONE);
    assert_int_equal(desk->status, 200);
    atomic_store(&desk->api.draining, true);
    desk_ask(desk, "GET /readyz", "", STR_NONE);
    assert_answer(desk, 503, "the server is stopping");
    assert_field(desk, "Retry-After: 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DESK(a_path_that_is_no_route_is_not_found),
        WITH_DESK(a_method_that_a_path_has_not_is_refused_with_those_that_it_has),
        WITH_DESK(options_name_the_methods_and_to_a_browser_the_permissions),
        WITH_DESK(strangers_are_kept_out_and_may_not_read_why),
        WITH_DESK(a_configured_origin_comes_with_credentials),
        WITH_DESK(a_handshake_that_lost_its_upgrade_is_told_so),
        WITH_DESK(a_base_path_stands_before_all_routes),
        WITH_DESK(a_route_without_parameters_refuses_those_that_it_would_ignore),
        WITH_DESK(the_root_and_the_errors_list_what_there_is),
        WITH_DESK(a_server_that_stops_is_not_ready),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
