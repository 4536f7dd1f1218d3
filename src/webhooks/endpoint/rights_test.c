#include "webhooks/endpoint/rights.h"

#include "webhooks/testing.h"

/* A caller with `webhooks` on some channels and `read` on others. */
struct wisher {
    struct rules *rules;
    struct caller *caller;
};

static struct wisher wisher_with(struct world *world, const char *webhooks, const char *read)
{
    struct str patterns[] = {str_from(webhooks), str_from(read)};
    const struct grant grants[] = {{&patterns[0], 1, action_bit(ACTION_WEBHOOKS)},
                                   {&patterns[1], 1, action_bit(ACTION_READ)}};
    struct wisher wisher = {rules_new(NULL, 0),
                            caller_new(&(const struct caller_facts){
                                .kind = CALLER_KEY, .grants = grants, .grants_count = 2})};
    world->access = (struct access){.rules = wisher.rules, .caller = wisher.caller};
    return wisher;
}

static void wisher_free(struct world *world, struct wisher *wisher)
{
    world->access = (struct access){.rules = NULL};
    rules_unref(wisher->rules);
    caller_unref(wisher->caller);
}

static void a_webhook_takes_the_rights_to_its_channels(void **state)
{
    static const struct {
        const char *webhooks, *read, *missing;
    } rows[] = {
        {"c/**", "c/**", NULL},  {"c/*", "**", NULL},     {"c/1", "**", "webhooks"},
        {"c/**", "c/1", "read"}, {"a", "**", "webhooks"},
    };
    struct world *world = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct wisher wisher = wisher_with(world, rows[i].webhooks, rows[i].read);
        enum courier_fault fault =
            ask(world, COURIER_CREATE, "{\"url\":\"http://127.0.0.1/\",\"channels\":[\"c/*\"]}");
        assert_int_equal(fault, rows[i].missing ? COURIER_E_GRANT : COURIER_FINE);
        if (fault) {
            assert_string_equal(world->request.may, rows[i].missing);
            assert_true(str_eq(buf_str(&world->request.why), STR("c/*")));
        }
        wisher_free(world, &wisher);
    }
}

static void anybody_is_told_that_a_webhook_takes_a_credential(void **state)
{
    struct world *world = *state;
    struct rules *rules = rules_new(NULL, 0);
    world->access = (struct access){.rules = rules};
    assert_int_equal(
        ask(world, COURIER_CREATE, "{\"url\":\"http://127.0.0.1/\",\"channels\":[\"c/*\"]}"),
        COURIER_E_UNKNOWN);
    world->access = (struct access){.rules = NULL};
    rules_unref(rules);
}

static bool lists(const struct world *world, const char *id)
{
    const struct buf *answer = &world->request.answer;
    return memmem(answer->at, answer->len, id, strlen(id)) != NULL;
}

/* Every request about a webhook that is there. */
static void a_webhook_out_of_reach_does_not_exist(void **state)
{
    static const enum courier_op ops[] = {
        COURIER_GET,     COURIER_CHANGE,     COURIER_PING,     COURIER_PAUSE, COURIER_RESUME,
        COURIER_ROTATE,  COURIER_REPLAY,     COURIER_DELIVERY, COURIER_RETRY, COURIER_RETRY_ALL,
        COURIER_DISCARD, COURIER_DELIVERIES, COURIER_DELETE,
    };
    struct world *world = *state;
    create_for_many(world, "");
    struct wisher other = wisher_with(world, "c/1", "**");
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
        assert_int_equal(ask(world, ops[i], "{}"), COURIER_E_MISSING);
    assert_int_equal(ask(world, COURIER_LIST, NULL), COURIER_FINE);
    assert_false(lists(world, world->id));
    wisher_free(world, &other);
    struct wisher owner = wisher_with(world, "c/**", "c/**");
    assert_int_equal(ask(world, COURIER_GET, NULL), COURIER_FINE);
    assert_int_equal(ask(world, COURIER_LIST, NULL), COURIER_FINE);
    assert_true(lists(world, world->id));
    assert_int_equal(ask(world, COURIER_CHANGE, "{\"channels\":[\"c/*\",\"d\"]}"), COURIER_E_GRANT);
    assert_int_equal(ask(world, COURIER_DELETE, NULL), COURIER_FINE);
    wisher_free(world, &owner);
}

static void a_key_of_one_caller_finds_no_webhook_of_another(void **state)
{
    static const char body[] = "{\"url\":\"http://127.0.0.1/\",\"channels\":[\"c/*\"]}";
    struct world *world = *state;
    struct wisher wisher = wisher_with(world, "**", "**");
    submit_with(world, COURIER_CREATE, 0, body, "key");
    assert_int_equal(reply(world), COURIER_FINE);
    submit_with(world, COURIER_CREATE, 0, body, "key");
    assert_int_equal(reply(world), COURIER_FINE);
    assert_true(world->request.repeated);
    wisher_free(world, &wisher);
    submit_with(world, COURIER_CREATE, 0, body, "key");
    assert_int_equal(reply(world), COURIER_FINE);
    assert_false(world->request.repeated);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)
        TEST(a_webhook_takes_the_rights_to_its_channels),
        TEST(anybody_is_told_that_a_webhook_takes_a_credential),
        TEST(a_webhook_out_of_reach_does_not_exist),
        TEST(a_key_of_one_caller_finds_no_webhook_of_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
