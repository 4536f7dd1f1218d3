#include "api/front.h"

#include "api/describe/operation.h"
#include "api/testing.h"

#include <stdio.h>

#define PERSON "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n"

static void a_program_gets_json_and_a_person_a_page(void **state)
{
    struct desk *desk = *state;
    static const char *const programs[] = {"", "Accept: */*\r\n", "Accept: application/json\r\n"};
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        desk_ask(desk, "GET /", programs[i], STR_NONE);
        assert_field(desk, "Content-Type: application/json");
        assert_answer(desk, 200, "\"links\":[");
    }
    desk_ask(desk, "GET /", PERSON, STR_NONE);
    assert_field(desk, "Content-Type: text/html; charset=utf-8");
    assert_true(desk_says(&desk->fields, "Content-Security-Policy: default-src 'none'; script-src "
                                         "'self'; style-src 'self' 'sha256-"));
    assert_true(desk_says(&desk->fields, "Vary: Accept"));
    assert_answer(desk, 200, "<h1>");
}

/* Paths that a browser cannot open alone: they take other methods, a channel or a source. */
static bool takes_more(struct str path)
{
    return str_eq(path, STR("/hub")) || str_eq(path, STR("/playground/webhooks")) ||
           str_eq(path, STR("/presence")) || str_eq(path, STR("/topics")) ||
           str_eq(path, STR("/inbound")) || str_eq(path, STR("/events"));
}

static void the_page_shows_every_path_and_links_those_that_open(void **state)
{
    struct desk *desk = *state;
    char text[128];
    desk->api.base = STR("/x");
    desk_ask(desk, "GET /x/", PERSON, STR_NONE);
    for (size_t i = 0; i < api_routes_count; i++) {
        const char *path = api_routes[i].path;
        bool is_link = !takes_more(str_from(path));
        snprintf(text, sizeof(text), is_link ? "<a href=\"/x%s\">" : "<code>%s", path);
        assert_answer(desk, 200, text);
    }
    assert_answer(desk, 200, "<code>/hub</code> <span class=\"methods\">POST</span>");
    assert_answer(desk, 200, "<code>/presence/{channel}</code>: ");
    assert_answer(desk, 200, "http://localhost/x</span>/channels/news");
}

static void each_path_of_a_route_has_the_methods_that_it_takes(void **state)
{
    struct desk *desk = *state;
    desk_ask(desk, "GET /", PERSON, STR_NONE);
    assert_answer(desk, 200, "\">/channels</a>: ");
    assert_answer(
        desk, 200,
        "<code>/channels/{channel}</code> <span class=\"methods\">GET POST DELETE</span>");
    assert_answer(desk, 200,
                  "<code>/playground/webhooks</code> <span class=\"methods\">POST</span>");
    assert_answer(
        desk, 200,
        "<code>/playground/webhooks/{webhook}</code> <span class=\"methods\">DELETE</span>");
    assert_answer(desk, 200,
                  "<code>/presence/{channel}/me</code> <span class=\"methods\">PUT</span>");
    for (size_t t = 0; tasks[t]; t++)
        for (size_t i = 0; i < tasks[t]->count; i++)
            assert_answer(desk, 200, tasks[t]->operations[i].path);
}

static void no_place_of_the_page_is_left_empty(void **state)
{
    struct desk *desk = *state;
    desk_ask(desk, "GET /", PERSON, STR_NONE);
    assert_false(desk_says(&desk->body, "{{"));
    assert_false(desk_says(&desk->body, "}}"));
    assert_false(desk_says(&desk->body, "$KEY"));
}

static void a_server_with_rules_asks_for_a_key(void **state)
{
    struct desk *desk = *state;
    static const struct rule playground = {
        {"playground", 10}, 1 << ACTION_READ | 1 << ACTION_PUBLISH, 0};
    struct rules *open = rules_new(&playground, 1);
    desk->worker.config.rules = &rules_none;
    desk_ask(desk, "GET /", PERSON, STR_NONE);
    assert_answer(desk, 200, "-H \"Authorization: Bearer $KEY\"");
    desk->worker.config.rules = open;
    desk_ask(desk, "GET /", PERSON, STR_NONE);
    assert_answer(desk, 200, "/channels/playground/hello");
    assert_false(desk_says(&desk->body, "$KEY"));
    desk->worker.config.rules = &rules_open;
    rules_unref(open);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DESK(a_program_gets_json_and_a_person_a_page),
        WITH_DESK(the_page_shows_every_path_and_links_those_that_open),
        WITH_DESK(each_path_of_a_route_has_the_methods_that_it_takes),
        WITH_DESK(no_place_of_the_page_is_left_empty),
        WITH_DESK(a_server_with_rules_asks_for_a_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
