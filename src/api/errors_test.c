/* The pages of problems. That their examples get the problems is tested end to end. */
#include "api/problem_words.h"
#include "api/testing.h"

static void each_problem_has_words(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PROBLEM_COUNT; i++) {
        const struct problem_words *words = &problem_words[i];
        if (!words->happened || !words->why || !words->to_do)
            fail_msg("%.*s lacks words (problem_words.c)", STR_FMT(problem_slug((enum problem)i)));
    }
}

/* Each problem has a page, and the list leads to it. */
static void check_pages(struct desk *desk, const char *accept, const char *type)
{
    struct buf list = {0};
    desk->api.base = STR("/x");
    desk_ask(desk, "GET /x/errors/", accept, STR_NONE);
    assert_int_equal(desk->status, 200);
    buf_add_str(&list, buf_str(&desk->body));
    for (unsigned i = 0; i < PROBLEM_COUNT; i++) {
        char request[96], status[32];
        struct str slug = problem_slug((enum problem)i);
        snprintf(request, sizeof(request), "GET /x/errors/%.*s", STR_FMT(slug));
        assert_true(desk_says(&list, request + 4));
        desk_ask(desk, request, accept, STR_NONE);
        snprintf(status, sizeof(status), "HTTP status %d", problem_status((enum problem)i));
        assert_answer(desk, 200, status);
        assert_true(desk_says(&desk->fields, type));
        assert_field(desk, "Vary: Accept, Host");
    }
    buf_free(&list);
}

static void browsers_get_pages_and_shells_get_text(void **state)
{
    check_pages(*state, "Accept: text/html,*/*;q=0.8\r\n",
                "Content-Type: text/html; charset=utf-8");
    check_pages(*state, "Accept: */*\r\n", "Content-Type: text/plain; charset=utf-8");
}

static void text_is_escaped_in_pages_and_wrapped_for_terminals(void **state)
{
    struct desk *desk = *state;
    desk_ask(desk, "GET /errors/not-newest", "Accept: text/html\r\n", STR_NONE);
    assert_answer(desk, 200, "&quot;0000000000000001&quot;");
    assert_answer(desk, 200, "<link rel=\"icon\" href=\"data:image/");
    for (unsigned i = 0; i < PROBLEM_COUNT; i++) {
        char request[96];
        snprintf(request, sizeof(request), "GET /errors/%.*s",
                 STR_FMT(problem_slug((enum problem)i)));
        desk_ask(desk, request, "", STR_NONE);
        struct str text = buf_str(&desk->body);
        while (text.at) {
            struct str line = str_cut(&text, '\n');
            assert_true(line.len < 80 || str_starts(line, STR("  curl")));
        }
    }
}

static void an_example_has_the_address_by_which_the_client_has_called(void **state)
{
    struct desk *desk = *state;
    desk->api.base = STR("/x");
    desk_ask(desk, "GET /x/errors/not-found", "Accept: text/html\r\n", STR_NONE);
    assert_answer(desk, 200, "curl http://localhost/x/nowhere");
    desk_ask(desk, "GET /x/errors/not-found", "", STR_NONE);
    assert_answer(desk, 200, "  curl http://localhost/x/nowhere\n");
    assert_false(desk_says(&desk->body, "7070"));
}

static void a_type_that_there_is_not_is_a_problem_itself(void **state)
{
    struct desk *desk = *state;
    desk_ask(desk, "GET /errors/no-such-thing", "", STR_NONE);
    assert_answer(desk, 404, "lists all problem types");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_problem_has_words),
        WITH_DESK(browsers_get_pages_and_shells_get_text),
        WITH_DESK(text_is_escaped_in_pages_and_wrapped_for_terminals),
        WITH_DESK(an_example_has_the_address_by_which_the_client_has_called),
        WITH_DESK(a_type_that_there_is_not_is_a_problem_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
