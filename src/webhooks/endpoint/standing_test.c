#include "webhooks/endpoint/standing.h"

#include "webhooks/testing.h"

/* A request of the endpoint has ended: `status` is 0 without an answer. */
static void judge(struct world *world, int status, int64_t took_ms)
{
    struct call call = {.status = status, .ended_ns = took_ms * 1000000};
    endpoint_judge(the_endpoint(world), &call);
}

static void assert_standing(const struct world *world, enum pool_class standing,
                            int64_t patience_ms)
{
    assert_int_equal(the_endpoint(world)->flow.standing, standing);
    assert_int_equal(the_endpoint(world)->flow.patience_ms, patience_ms);
    assert_int_equal(endpoint_overdue_ns(the_endpoint(world)) - courier_now_ns(world->courier),
                     patience_ms * 1000000);
}

enum { LEAST_MS = 250, QUICK_LEAST_MS = 100 };

static int set_up(void **state)
{
    world_set_up(state);
    create(*state, ",\"concurrency\":9");
    endpoint_begin_standing(the_endpoint(*state));
    return 0;
}

static void an_endpoint_of_which_nothing_is_known_has_one_request_at_a_time(void **state)
{
    struct world *world = *state;
    assert_standing(world, POOL_NEW, LEAST_MS);
    assert_int_equal(endpoint_most(the_endpoint(world)), 1);
    the_endpoint(world)->row.failures = 1;
    endpoint_begin_standing(the_endpoint(world));
    assert_standing(world, POOL_FAILING, LEAST_MS);
    assert_int_equal(endpoint_most(the_endpoint(world)), 1);
}

static void an_endpoint_stands_by_the_time_of_its_last_answer(void **state)
{
    static const struct {
        int64_t took_ms;
        enum pool_class standing;
        int64_t patience_ms;
    } answers[] = {{0, POOL_QUICK, QUICK_LEAST_MS}, {25, POOL_QUICK, QUICK_LEAST_MS},
                   {26, POOL_QUICK, 104},           {1000, POOL_QUICK, 4000},
                   {1001, POOL_SLOW, 4004},         {3, POOL_QUICK, QUICK_LEAST_MS}};
    struct world *world = *state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
        judge(world, 204, answers[i].took_ms);
        assert_standing(world, answers[i].standing, answers[i].patience_ms);
    }
}

static void requests_under_way_are_bounded_by_window_and_concurrency(void **state)
{
    struct world *world = *state;
    judge(world, 200, 1);
    the_endpoint(world)->flow.window = 4;
    assert_int_equal(endpoint_most(the_endpoint(world)), 4);
    the_endpoint(world)->flow.window = 100;
    assert_int_equal(endpoint_most(the_endpoint(world)), 9);
}

/* Quick refusals of some events do not make an endpoint one that fails. */
static void an_endpoint_that_refuses_keeps_its_standing_until_it_fails_in_a_row(void **state)
{
    struct world *world = *state;
    judge(world, 200, 1);
    judge(world, 500, 1);
    assert_standing(world, POOL_QUICK, QUICK_LEAST_MS);
    the_endpoint(world)->row.failures = FAILING_AFTER;
    judge(world, 500, 1);
    assert_standing(world, POOL_FAILING, LEAST_MS);
}

static void an_endpoint_that_does_not_answer_or_whose_circuit_is_open_fails(void **state)
{
    struct world *world = *state;
    judge(world, 200, 1);
    judge(world, 0, 5000);
    assert_standing(world, POOL_FAILING, LEAST_MS);
    judge(world, 200, 1);
    the_endpoint(world)->circuit.struck = CIRCUIT_AFTER;
    judge(world, 500, 1);
    assert_standing(world, POOL_FAILING, LEAST_MS);
}

static void a_request_that_gave_way_makes_more_patient_and_at_last_slow(void **state)
{
    static const struct {
        enum pool_class standing;
        int64_t patience_ms;
    } steps[] = {{POOL_QUICK, 400}, {POOL_SLOW, 1600}, {POOL_SLOW, 6400}};
    struct world *world = *state;
    judge(world, 200, 1);
    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
        endpoint_gave_way(the_endpoint(world));
        assert_standing(world, steps[i].standing, steps[i].patience_ms);
    }
    judge(world, 0, 1);
    endpoint_gave_way(the_endpoint(world));
    assert_standing(world, POOL_FAILING, 4L * LEAST_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, world_tear_down)
        TEST(an_endpoint_of_which_nothing_is_known_has_one_request_at_a_time),
        TEST(an_endpoint_stands_by_the_time_of_its_last_answer),
        TEST(requests_under_way_are_bounded_by_window_and_concurrency),
        TEST(an_endpoint_that_refuses_keeps_its_standing_until_it_fails_in_a_row),
        TEST(an_endpoint_that_does_not_answer_or_whose_circuit_is_open_fails),
        TEST(a_request_that_gave_way_makes_more_patient_and_at_last_slow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
