#include "api/figures.h"

#include "api/testing.h"

/* A desk whose worker tells its figures. */
static int set_up(void **state)
{
    struct desk *desk = desk_new();
    desk->api.figures = figures_new(&desk->worker, 1);
    assert_non_null(desk->api.figures);
    desk->worker.config.figures_wanted = figures_wanted;
    *state = desk;
    return 0;
}

static int tear_down(void **state)
{
    struct desk *desk = *state;
    struct figures *figures = desk->api.figures;
    desk_free(desk);
    figures_free(figures);
    return 0;
}

static void pass(struct desk *desk, unsigned ms)
{
    for (unsigned i = 0; i < ms / 50; i++) {
        clock_fake_advance(&desk->clock, 50000);
        worker_step(&desk->worker, 0);
    }
}

static uint64_t published(const struct desk *desk)
{
    return desk->worker.submitter.published;
}

static void nobody_listens_and_nothing_is_made(void **state)
{
    struct desk *desk = *state;
    desk_ask(desk, "GET /channels/news?stream=sse", "", STR_NONE);
    pass(desk, 3000);
    assert_int_equal(published(desk), 0);
}

static void a_listener_gets_an_event_a_second(void **state)
{
    struct desk *desk = *state;
    desk_ask(desk, "GET /channels/$stats?stream=sse", "", STR_NONE);
    assert_true(desk->goes_on);
    pass(desk, 3500);
    assert_in_range(published(desk), 3, 4);
    pass(desk, 3000);
    assert_in_range(published(desk), 6, 7);
    struct log_stats log;
    log_stats(desk->log, &log);
    assert_int_equal(log.events, 0); /* nothing of it is kept */
}

static void the_events_end_soon_after_the_last_listener_has_left(void **state)
{
    struct desk *desk = *state;
    desk_ask(desk, "GET /channels/$stats?stream=sse", "", STR_NONE);
    pass(desk, 2000);
    desk_clear(desk);
    pass(desk, 8000);
    uint64_t then = published(desk);
    pass(desk, 10000);
    assert_int_equal(published(desk), then);
    desk_ask(desk, "GET /channels/$stats?stream=sse", "", STR_NONE);
    pass(desk, 2500);
    assert_true(published(desk) > then);
}

static void an_event_tells_rates_and_what_is_there(void **state)
{
    struct desk *desk = *state;
    desk_ask(desk, "GET /channels/$stats?after=now&wait=30", "", STR_NONE);
    for (int i = 0; i < 100 && !desk->answers; i++)
        pass(desk, 50);
    assert_answer(desk, 200, "\"channel\":\"$stats\",\"type\":\"stats\"");
    static const char *const members[] = {"\"at\":",
                                          "\"events_per_s\":",
                                          "\"deliveries_per_s\":",
                                          "\"bytes_per_s\":",
                                          "\"subscribers\":{\"sse\":0",
                                          "\"connections\":",
                                          "\"latency_ms\":{\"count\":",
                                          "\"over_100\":",
                                          "\"limits\":{",
                                          "\"log\":{\"newest\":",
                                          "\"webhooks\":{\"endpoints\":0"};
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
        assert_answer(desk, 200, members[i]);
}

#define WITH_FIGURES(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIGURES(nobody_listens_and_nothing_is_made),
        WITH_FIGURES(a_listener_gets_an_event_a_second),
        WITH_FIGURES(the_events_end_soon_after_the_last_listener_has_left),
        WITH_FIGURES(an_event_tells_rates_and_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
