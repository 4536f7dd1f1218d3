#include "api/configuration.h"

#include "api/testing.h"

static void the_configuration_is_told_as_it_was_prepared(void **state)
{
    struct desk *desk = *state;
    desk->api.configuration = STR("{\"keys\":[]}\n");
    desk_ask(desk, "GET /configuration", "", STR_NONE);
    assert_answer(desk, 200, "{\"keys\":[]}");
    assert_field(desk, "Content-Type: application/json");
    desk_ask(desk, "GET /configuration?key=x", "", STR_NONE);
    assert_int_equal(desk->status, 400);
}

static void a_configuration_without_memory_for_it_is_not_told(void **state)
{
    struct desk *desk = *state;
    desk_ask(desk, "GET /configuration", "", STR_NONE);
    assert_answer(desk, 503, "no memory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DESK(the_configuration_is_told_as_it_was_prepared),
        WITH_DESK(a_configuration_without_memory_for_it_is_not_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
