#include "webhooks/delivery/revoked.h"

#include "webhooks/testing_options.h"

/* The courier has been told nothing, and the timer that looks at all webhooks rings much later. */
static void nothing_is_sent_once_the_credential_of_the_maker_has_expired(void **state)
{
    enum { LIFE_MS = 3000 };
    struct world *world = *state;
    for (unsigned i = 0; i < KINDS; i++) {
        create_of(world, &kinds[i]);
        struct endpoint *endpoint = the_endpoint(world);
        int64_t now_us = clock_wall_us(endpoint->courier->config.clock);
        endpoint->row.maker = caller_new(&(struct caller_facts){
            .kind = CALLER_TOKEN, .expires_us = now_us + LIFE_MS * INT64_C(1000)});
        publish(world, "c/1");
        receive(world);
        answer(world, "200 OK");
        await(world, "lag", "0");
        world_pass(world, LIFE_MS);
        publish(world, "c/1");
        assert_quiet(world);
        await(world, "state", "disabled");
        delete_it(world);
    }
}

static bool is_gone(void *access, const struct caller *caller, int64_t now_us)
{
    (void)access;
    (void)now_us;
    return caller != NULL;
}

/* The server was killed before it had saved that the webhook was disabled, or the key was removed
 * from the configuration while no server ran. */
static void nothing_is_sent_after_a_start_if_the_maker_has_lost_its_credential(void **state)
{
    struct world *world = *state;
    for (unsigned i = 0; i < KINDS; i++) {
        world->config.is_revoked = NULL;
        reopen(world);
        create_of(world, &kinds[i]);
        the_endpoint(world)->row.maker =
            caller_new(&(struct caller_facts){.kind = CALLER_KEY, .key_id = STR("aaaaaaaaaa")});
        assert_int_equal(ask(world, COURIER_CHANGE, "{\"description\":\"x\"}"), 0);
        close_world(world);
        world->config.is_revoked = is_gone;
        open_world(world);
        publish(world, "c/1");
        assert_quiet(world);
        await(world, "state", "disabled");
        delete_it(world);
    }
}

/* Makes the maker of the only endpoint, and saves it. */
static void save_maker(struct world *world, const struct caller_facts *facts)
{
    create_of(world, &kinds[0]);
    the_endpoint(world)->row.maker = caller_new(facts);
    assert_int_equal(ask(world, COURIER_CHANGE, "{\"description\":\"x\"}"), 0);
}

static void start_again(struct world *world, const struct rules *rules)
{
    close_world(world);
    world->config.rules = rules;
    open_world(world);
}

static void a_webhook_stays_after_a_start_as_long_as_the_token_of_its_maker_granted_it(void **state)
{
    struct world *world = *state;
    const struct str pattern = STR("**");
    const struct grant grant = {&pattern, 1, action_bit(ACTION_READ) | action_bit(ACTION_WEBHOOKS)};
    save_maker(world,
               &(struct caller_facts){.kind = CALLER_TOKEN, .grants = &grant, .grants_count = 1});
    for (unsigned i = 0; i < 2; i++) {
        start_again(world, &rules_none);
        publish(world, "c/1");
        receive(world);
        answer(world, "200 OK");
        await(world, "state", "active");
    }
}

static void a_webhook_ends_by_a_start_if_only_earlier_rules_gave_it(void **state)
{
    struct world *world = *state;
    save_maker(world, &(struct caller_facts){.kind = CALLER_TOKEN});
    start_again(world, &rules_none);
    publish(world, "c/1");
    assert_quiet(world);
    await(world, "state", "disabled");
}

/* The grants of the credential are not known. */
static void a_webhook_of_an_older_version_stays_after_a_start(void **state)
{
    struct world *world = *state;
    save_maker(world, &(struct caller_facts){.kind = CALLER_TOKEN, .lacks_grants = true});
    start_again(world, &rules_none);
    publish(world, "c/1");
    receive(world);
    answer(world, "200 OK");
    await(world, "state", "active");
}

static bool has_lost_voucher(void *access, const struct caller *caller, int64_t now_us)
{
    static const uint64_t vouchers[] = {7};
    (void)access;
    (void)now_us;
    return caller_lost_voucher(caller, vouchers, 1);
}

static void a_webhook_ends_by_a_start_without_the_issuer_of_its_makers_token(void **state)
{
    const struct str pattern = STR("**");
    const struct grant grant = {&pattern, 1, action_bit(ACTION_READ) | action_bit(ACTION_WEBHOOKS)};
    struct world *world = *state;
    for (uint64_t voucher = 7; voucher <= 8; voucher++) {
        world->config.is_revoked = NULL;
        world->config.rules = NULL;
        reopen(world);
        save_maker(world, &(struct caller_facts){.kind = CALLER_TOKEN,
                                                 .voucher = voucher,
                                                 .grants = &grant,
                                                 .grants_count = 1});
        world->config.is_revoked = has_lost_voucher;
        start_again(world, &rules_none);
        await(world, "state", voucher == 7 ? "active" : "disabled");
        delete_it(world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            nothing_is_sent_once_the_credential_of_the_maker_has_expired, world_set_up_on_disk,
            world_tear_down),
        cmocka_unit_test_setup_teardown(
            nothing_is_sent_after_a_start_if_the_maker_has_lost_its_credential,
            world_set_up_on_disk, world_tear_down),
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up_on_disk, world_tear_down)
        TEST(a_webhook_stays_after_a_start_as_long_as_the_token_of_its_maker_granted_it),
        TEST(a_webhook_ends_by_a_start_if_only_earlier_rules_gave_it),
        TEST(a_webhook_of_an_older_version_stays_after_a_start),
        TEST(a_webhook_ends_by_a_start_without_the_issuer_of_its_makers_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
