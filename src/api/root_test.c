#include "api/testing.h"

static void the_root_lists_every_route(void **state)
{
    struct desk *desk = *state;
    char text[128];
    desk->api.base = STR("/x");
    desk_ask(desk, "GET /x/", "", STR_NONE);
    for (size_t i = 0; i < api_routes_count; i++) {
        snprintf(text, sizeof(text), "\"href\":\"/x%s\"", api_routes[i].path);
        assert_answer(desk, 200, text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DESK(the_root_lists_every_route),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
