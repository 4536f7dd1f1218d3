#include "api/problem_page.h"

#include "api/testing.h"

#define PERSON "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n"

static void a_browser_that_opens_an_unknown_path_gets_a_page(void **state)
{
    struct desk *desk = *state;
    static const char *const paths[] = {"/x/nowhere", "/x/pages/none", "/x/errors/none",
                                        "/x/healthz/more"};
    desk->api.base = STR("/x");
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        char request[64];
        snprintf(request, sizeof(request), "GET %s", paths[i]);
        desk_ask(desk, request, PERSON, STR_NONE);
        assert_field(desk, "Content-Type: text/html; charset=utf-8");
        assert_field(desk, "Vary: Accept");
        assert_true(desk_says(&desk->fields, "Content-Security-Policy: default-src 'none'; "
                                             "script-src 'self'; style-src 'self' 'sha256-"));
        assert_answer(desk, 404, "<h1>Nothing was found at this path</h1>");
        assert_answer(desk, 404, paths[i]);
        assert_answer(desk, 404, "href=\"/x/errors/not-found\"");
    }
}

static void a_program_gets_the_document_for_the_same_path(void **state)
{
    struct desk *desk = *state;
    static const char *const programs[] = {"", "Accept: */*\r\n", "Accept: application/json\r\n",
                                           "Accept: application/problem+json, text/html\r\n"};
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        desk_ask(desk, "GET /nowhere", programs[i], STR_NONE);
        assert_field(desk, "Content-Type: application/problem+json");
        assert_field(desk, "Vary: Accept");
        assert_answer(desk, 404, "\"type\":\"/errors/not-found\"");
    }
}

static void a_wrong_method_says_which_methods_are_right(void **state)
{
    struct desk *desk = *state;
    desk_ask(desk, "GET /hub", PERSON, STR_NONE);
    assert_field(desk, "Content-Type: text/html; charset=utf-8");
    assert_field(desk, "Allow: POST, OPTIONS");
    assert_answer(desk, 405, "This path takes <code>POST</code>.");
    desk_ask(desk, "GET /hub", "", STR_NONE);
    assert_field(desk, "Content-Type: application/problem+json");
}

static void a_path_is_escaped_and_cut_off_in_the_page(void **state)
{
    struct desk *desk = *state;
    char request[600] = "GET /a&b";
    desk_ask(desk, request, PERSON, STR_NONE);
    assert_answer(desk, 404, "<code>GET /a&amp;b</code>");
    memset(request + 5, 'a', 500);
    request[505] = '\0';
    desk_ask(desk, request, PERSON, STR_NONE);
    assert_answer(desk, 404, "aaa…</code>");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DESK(a_browser_that_opens_an_unknown_path_gets_a_page),
        WITH_DESK(a_program_gets_the_document_for_the_same_path),
        WITH_DESK(a_wrong_method_says_which_methods_are_right),
        WITH_DESK(a_path_is_escaped_and_cut_off_in_the_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
