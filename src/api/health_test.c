#include "api/testing.h"

static void the_server_is_healthy_though_it_is_not_ready(void **state)
{
    struct desk *desk = *state;
    desk_ask(desk, "GET /healthz", "", STR_NONE);
    assert_answer(desk, 200, "{\"status\":\"ok\"}\n");
    desk_ask(desk, "GET /readyz", "", STR_NONE);
    assert_answer(desk, 200, "{\"status\":\"ready\"}\n");
    atomic_store(&desk->api.draining, true);
    desk_ask(desk, "GET /readyz", "", STR_NONE);
    assert_answer(desk, 503, "the server is stopping");
    desk_ask(desk, "GET /healthz", "", STR_NONE);
    assert_int_equal(desk->status, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DESK(the_server_is_healthy_though_it_is_not_ready),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
