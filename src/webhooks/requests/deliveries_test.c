#include "webhooks/requests/deliveries.h"

#include "webhooks/delivery/resend.h"
#include "webhooks/testing_options.h"

/* Publishes an event whose delivery becomes a dead letter: it fails three times while another is
 * accepted. Returns the event's id. */
static uint64_t let_die(struct world *world)
{
    uint64_t id = publish(world, "c/1");
    for (int i = 0; i < 3; i++) {
        receive(world);
        assert_event(world, id);
        if (i == 2) {
            struct received *last = world->at;
            world_pass(world, WORLD_TICK_MS);
            publish(world, "c/2");
            receive(world);
            answer(world, "200 OK");
            world->at = last;
        }
        answer(world, "500 Oops");
    }
    return id;
}

static void assert_dead(struct world *world, const char *count)
{
    assert_int_equal(ask(world, COURIER_GET, NULL), 0);
    assert_told(world, "dead", count);
}

static void a_dead_letter_is_sent_again_by_hand_with_its_event(void **state)
{
    struct world *world = *state;
    create_for_many(world, "");
    uint64_t id = let_die(world);
    assert_dead(world, "1");
    append(world, "c/1", EVENT_TRIM); /* the letter has its event with it */
    assert_int_equal(ask_delivery(world, COURIER_RETRY, 1), 0);
    receive(world);
    assert_event(world, id);
    answer(world, "200 OK");
    assert_dead(world, "0");
    assert_int_equal(ask_delivery(world, COURIER_DELIVERY, 1), 0);
    assert_told(world, "state", "delivered");
    assert_true(answer_has(world, "\"number\":4,"));
}

static void a_dead_letter_that_fails_again_stays_dead(void **state)
{
    static const char *const statuses[] = {"500 Oops", "404 Not Found", "302 Found"};
    struct world *world = *state;
    create_for_many(world, "");
    let_die(world);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(ask_delivery(world, COURIER_RETRY, 1), 0);
        receive(world);
        answer(world, statuses[i]);
        assert_dead(world, "1");
        world_pass(world, 10000);
        assert_quiet(world); /* by hand alone */
    }
}

static void a_dead_letter_of_a_channel_that_is_not_the_webhooks_any_more_is_not_sent(void **state)
{
    struct world *world = *state;
    create_for_many(world, "");
    let_die(world);
    assert_int_equal(ask(world, COURIER_CHANGE, "{\"channels\":[\"c/2\"]}"), 0);
    assert_int_equal(ask_delivery(world, COURIER_RETRY, 1), 0);
    assert_int_equal(ask(world, COURIER_RETRY_ALL, NULL), 0);
    assert_quiet(world);
    assert_int_equal(the_endpoint(world)->resends.lanes, 0);
    assert_dead(world, "1");
    assert_int_equal(ask(world, COURIER_CHANGE, "{\"channels\":[\"c/*\"]}"), 0);
    assert_int_equal(ask_delivery(world, COURIER_RETRY, 1), 0);
    receive(world);
    answer(world, "200 OK");
    assert_dead(world, "0");
}

static void all_dead_letters_are_sent_again_one_at_a_time(void **state)
{
    enum { DEAD = 5 };
    struct world *world = *state;
    uint64_t ids[DEAD];
    create_for_many(world, "");
    for (int i = 0; i < DEAD; i++)
        ids[i] = let_die(world);
    assert_dead(world, "5");
    assert_int_equal(ask(world, COURIER_RETRY_ALL, NULL), 0);
    assert_told(world, "retrying", "5");
    for (int i = 0; i < DEAD; i++) {
        receive(world);
        assert_event(world, ids[i]);
        assert_quiet(world);
        answer(world, i == 2 ? "500 Oops" : "200 OK");
    }
    assert_dead(world, "1");
    assert_quiet(world);
}

static void a_dead_letter_that_was_dealt_with_is_discarded(void **state)
{
    struct world *world = *state;
    create_for_many(world, "");
    let_die(world);
    assert_int_equal(ask_delivery(world, COURIER_DISCARD, 1), 0);
    assert_dead(world, "0");
    assert_int_equal(ask_delivery(world, COURIER_DISCARD, 1), COURIER_E_DELIVERY);
    assert_int_equal(ask_delivery(world, COURIER_RETRY, 1), COURIER_E_DELIVERY);
    assert_int_equal(ask_delivery(world, COURIER_DELIVERY, 1), COURIER_E_DELIVERY);
}

static void a_dead_letter_that_cannot_be_discarded_stays(void **state)
{
    struct world *world = *state;
    create_for_many(world, "");
    let_die(world);
    execute(world, "CREATE TRIGGER full BEFORE DELETE ON delivery"
                   " BEGIN SELECT RAISE(ABORT, 'x'); END");
    assert_int_equal(ask_delivery(world, COURIER_DISCARD, 1), COURIER_E_NOW);
    assert_non_null(strstr(world->request.detail, "nothing was changed"));
    assert_dead(world, "1");
    execute(world, "DROP TRIGGER full");
    assert_int_equal(ask_delivery(world, COURIER_DISCARD, 1), 0);
    assert_dead(world, "0");
}

static void only_dead_letters_are_discarded(void **state)
{
    struct world *world = *state;
    create_for_many(world, ",\"schedule\":[3600]");
    publish(world, "c/1");
    receive(world);
    answer(world, "200 OK");
    publish(world, "c/1");
    receive(world);
    answer(world, "500 Oops");
    for (uint64_t n = 1; n <= 3; n++)
        assert_int_equal(ask_delivery(world, COURIER_DISCARD, n), COURIER_E_DELIVERY);
}

static void a_delivery_that_waits_is_hurried_by_a_retry(void **state)
{
    struct world *world = *state;
    create_for_many(world, ",\"schedule\":[3600]");
    uint64_t id = publish(world, "c/1");
    receive(world);
    answer(world, "500 Oops");
    assert_quiet(world);
    assert_int_equal(ask_delivery(world, COURIER_RETRY, 1), 0);
    assert_told(world, "retrying", "1");
    receive(world);
    assert_event(world, id);
    answer(world, "200 OK");
    await(world, "held", "0");
}

static void a_delivered_event_is_sent_again_beside_the_rest(void **state)
{
    struct world *world = *state;
    create_for_many(world, "");
    uint64_t id = publish(world, "c/1");
    receive(world);
    answer(world, "200 OK");
    uint64_t next = publish(world, "c/1");
    receive(world);
    struct received *under_way = world->at;
    assert_int_equal(ask_delivery(world, COURIER_RETRY, 1), 0);
    receive(world);
    assert_event(world, id);
    answer(world, "200 OK");
    receiver_write(world, under_way);
    assert_event(world, next);
    answer_with(world, under_way, "200 OK", "");
    await(world, "lag", "0");
}

/* The events are no longer in the log, and the delivery kept no copy. */
static void a_delivered_event_that_was_trimmed_cannot_be_sent_again(void **state)
{
    struct world *world = *state;
    create_for_many(world, "");
    publish(world, "c/1");
    receive(world);
    answer(world, "200 OK");
    append(world, "c/1", EVENT_TRIM);
    publish(world, "c/2");
    receive(world);
    answer(world, "200 OK");
    assert_int_equal(ask_delivery(world, COURIER_RETRY, 1), 0);
    assert_quiet(world);
    assert_int_equal(the_endpoint(world)->resends.lanes, 0);
}

static void a_delivery_that_is_not_there_is_not_found(void **state)
{
    static const enum courier_op ops[] = {COURIER_DELIVERY, COURIER_RETRY, COURIER_DISCARD};
    struct world *world = *state;
    create_for_many(world, "");
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(ask_delivery(world, ops[i], 77), COURIER_E_DELIVERY);
}

static void more_resends_than_may_wait_are_refused(void **state)
{
    struct world *world = *state;
    create_for_many(world, "");
    publish(world, "c/1");
    receive(world);
    answer(world, "200 OK");
    assert_int_equal(ask(world, COURIER_PAUSE, NULL), 0);
    for (int i = 0; i < RESENDS_MAX; i++)
        assert_int_equal(ask_delivery(world, COURIER_RETRY, 1), 0);
    assert_int_equal(ask_delivery(world, COURIER_RETRY, 1), COURIER_E_NOW);
    assert_int_equal(the_endpoint(world)->resends.count, RESENDS_MAX);
}

static void a_resend_that_is_answered_410_disables(void **state)
{
    struct world *world = *state;
    create_for_many(world, "");
    publish(world, "c/1");
    receive(world);
    answer(world, "200 OK");
    assert_int_equal(ask_delivery(world, COURIER_RETRY, 1), 0);
    receive(world);
    answer(world, "410 Gone");
    assert_int_equal(ask(world, COURIER_GET, NULL), 0);
    assert_told(world, "state", "disabled");
}

/* ---- the log of deliveries ------------------------------------------------------------------- */

static void a_filter_chooses_deliveries(void **state)
{
    static const struct {
        const char *channel;
        unsigned states, count;
    } filters[] = {{"", 0, 3},
                   {"", 1U << DELIVERY_DELIVERED, 2},
                   {"", 1U << DELIVERY_FAILING, 1},
                   {"", 1U << DELIVERY_DEAD, 0},
                   {"c/1", 0, 2},
                   {"c/2", 1U << DELIVERY_FAILING, 0}};
    struct world *world = *state;
    create_for_many(world, ",\"schedule\":[3600]");
    for (int i = 0; i < 3; i++) {
        publish(world, i == 1 ? "c/2" : "c/1");
        receive(world);
        answer(world, i == 2 ? "500 Oops" : "200 OK");
    }
    for (size_t i = 0; i < sizeof(filters) / sizeof(*filters); i++) {
        unsigned count = 0;
        submit(world, COURIER_DELIVERIES, NULL);
        world->request.filter.states = filters[i].states;
        buf_add_str(&world->request.filter.channel, str_from(filters[i].channel));
        assert_int_equal(reply(world), 0);
        buf_add_char(&world->request.answer, '\0');
        for (const char *at = world->request.answer.at; (at = strstr(at, "\"state\"")); at++)
            count++;
        assert_int_equal(count, filters[i].count);
        buf_free(&world->request.filter.channel);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)
        TEST(a_dead_letter_is_sent_again_by_hand_with_its_event),
        TEST(a_dead_letter_that_fails_again_stays_dead),
        TEST(a_dead_letter_of_a_channel_that_is_not_the_webhooks_any_more_is_not_sent),
        TEST(all_dead_letters_are_sent_again_one_at_a_time),
        TEST(a_dead_letter_that_was_dealt_with_is_discarded),
        cmocka_unit_test_setup_teardown(a_dead_letter_that_cannot_be_discarded_stays,
                                        world_set_up_on_disk, world_tear_down),
        TEST(only_dead_letters_are_discarded),
        TEST(a_delivery_that_waits_is_hurried_by_a_retry),
        TEST(a_delivered_event_is_sent_again_beside_the_rest),
        TEST(a_delivered_event_that_was_trimmed_cannot_be_sent_again),
        TEST(a_delivery_that_is_not_there_is_not_found),
        TEST(more_resends_than_may_wait_are_refused),
        TEST(a_resend_that_is_answered_410_disables),
        TEST(a_filter_chooses_deliveries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
