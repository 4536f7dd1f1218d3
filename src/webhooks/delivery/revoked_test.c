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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            nothing_is_sent_once_the_credential_of_the_maker_has_expired, world_set_up_on_disk,
            world_tear_down),
        cmocka_unit_test_setup_teardown(
            nothing_is_sent_after_a_start_if_the_maker_has_lost_its_credential,
            world_set_up_on_disk, world_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
