#include "api/testing.h"

#include <stdio.h>

static void channels_are_listed_by_name_with_a_link_to_the_rest(void **state)
{
    struct desk *desk = *state;
    desk_ask(desk, "POST /channels/b/1", "", STR("x"));
    desk_ask(desk, "POST /channels/a", "", STR("x"));
    desk_ask(desk, "POST /channels/b/2", "", STR("x"));
    desk_ask(desk, "GET /channels", "", STR_NONE);
    assert_answer(desk, 200, "{\"channels\":[{\"channel\":\"a\",");
    assert_true(desk_says(&desk->body, "\"more\":false"));
    assert_no_field(desk, "Link");
    desk_ask(desk, "GET /channels?prefix=b/&limit=1", "", STR_NONE);
    assert_answer(desk, 200, "\"channel\":\"b/1\"");
    assert_true(desk_says(&desk->body, "\"more\":true"));
    assert_field(desk, "Link: <?after=b%2F1&prefix=b%2F&limit=1>; rel=\"next\"");
    desk_ask(desk, "GET /channels?after=b/1&prefix=b/&limit=1", "", STR_NONE);
    assert_answer(desk, 200, "\"channel\":\"b/2\"");
}

/* A slice looks at 256 channels. A list ends early because the room for answers is full, or because
 * its time is over. */
static void a_list_that_ends_early_says_that_there_is_more(void **state)
{
    enum { CHANNELS = 300 };
    struct desk *desk = *state;
    char request[64];
    for (int i = 0; i < CHANNELS; i++) {
        snprintf(request, sizeof(request), "POST /channels/c%03d", i);
        desk_ask(desk, request, "", STR("x"));
    }
    desk_ask(desk, "GET /channels?limit=999", "", STR_NONE);
    assert_answer(desk, 200, "\"channel\":\"c299\"");
    assert_true(desk_says(&desk->body, "\"more\":false"));
    desk->worker.asker.most = 1; /* full as soon as anything is found */
    desk_ask(desk, "GET /channels?limit=999", "", STR_NONE);
    assert_answer(desk, 200, "\"channel\":\"c255\"");
    assert_false(desk_says(&desk->body, "\"channel\":\"c256\""));
    assert_true(desk_says(&desk->body, "\"more\":true"));
    assert_field(desk, "Link: <?after=c255&limit=999>; rel=\"next\"");
    desk_ask(desk, "GET /channels?after=c255&limit=999", "", STR_NONE);
    assert_answer(desk, 200, "{\"channels\":[{\"channel\":\"c256\",");
    assert_true(desk_says(&desk->body, "\"channel\":\"c299\""));
    assert_true(desk_says(&desk->body, "\"more\":false"));
}

static void a_query_that_a_list_has_not_is_refused(void **state)
{
    static const char *const requests[] = {"GET /channels?limit=0", "GET /channels?limit=x",
                                           "GET /channels?prefx=a",
                                           "GET /channels?prefix=a&prefix=b"};
    struct desk *desk = *state;
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        desk_ask(desk, requests[i], "", STR_NONE);
        assert_answer(desk, 400, "bad-parameter");
    }
    desk_ask(desk, "POST /channels", "", STR_NONE);
    assert_int_equal(desk->status, 405);
    assert_field(desk, "Allow: GET, HEAD, OPTIONS");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DESK(channels_are_listed_by_name_with_a_link_to_the_rest),
        WITH_DESK(a_list_that_ends_early_says_that_there_is_more),
        WITH_DESK(a_query_that_a_list_has_not_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
