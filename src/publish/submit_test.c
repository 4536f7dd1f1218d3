#include "publish/submit.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { EVENTS_MAX = 8 };

/* A log in memory with one port, whose thread is the test's own. Events under "live/" are
 * ephemeral. */
struct world {
    struct clock_fake clock;
    struct log *log;
    struct mailbox mail;
    struct log_port port;
    struct submitter submitter;
    unsigned seen; /* events that came by the port */
};

/* A publish and its answer. */
struct asked {
    struct publish publish;
    unsigned answers;
    struct event events[EVENTS_MAX]; /* their strings are gone */
};

static void on_batch(void *owner, struct batch *batch)
{
    struct world *world = owner;
    for (uint32_t i = 0; i < batch->count; i++)
        world->seen +=
            batch->events[i].state == EVENT_APPENDED || batch->events[i].state == EVENT_EPHEMERAL;
}

static void done(struct publish *publish, struct batch *batch)
{
    struct asked *asked = container_of(publish, struct asked, publish);
    asked->answers++;
    for (uint32_t i = 0; i < publish->count && i < EVENTS_MAX; i++)
        asked->events[i] = batch->events[publish->first + i];
}

static struct world *world_new(uint64_t channels_max)
{
    static const struct namespace_config namespaces[] = {
        {.prefix = {"live", 4}, .ephemeral = true}};
    struct world *world = mem_alloc(sizeof(*world));
    clock_fake_init(&world->clock, 1700000000000000);
    struct log_config config = {
        .memory = true,
        .store = {.clock = &world->clock.clock},
        .bytes_max = 1 << 20,
        .namespaces = namespaces,
        .namespaces_count = 1,
        .channels_max = channels_max,
        .keys_max = 10,
        .key_life_us = 1000000,
        .readers = 1,
    };
    assert_int_equal(log_open(&config, &world->log), 0);
    assert_int_equal(mailbox_init(&world->mail, world), 0);
    world->port = (struct log_port){.mailbox = &world->mail, .on_batch = on_batch};
    assert_int_equal(log_attach(world->log, &world->port), 0);
    submitter_init(&world->submitter, world->log, &world->port, &world->clock.clock);
    return world;
}

static void world_free(struct world *world)
{
    submitter_flush(&world->submitter);
    log_close(world->log);
    mailbox_empty(&world->mail);
    mailbox_deinit(&world->mail);
    free(world);
}

/* Ends the turn and opens what mail comes of it. */
static void turn(struct world *world)
{
    submitter_flush(&world->submitter);
    mailbox_empty(&world->mail);
}

static const struct publisher anybody = {.access = {.rules = &rules_open}};

static struct proposal text_on(const char *channel)
{
    return (struct proposal){
        .channel = str_from(channel), .type = TYPE_DEFAULT, .data = STR("x"), .kind = EVENT_TEXT};
}

static struct refusal ask(struct world *world, const struct proposal *proposal, struct asked *asked)
{
    struct refusal refusal = {.problem = PROBLEM_COUNT};
    *asked = (struct asked){.publish = {.done = done}};
    submit_proposal(&world->submitter, &anybody, proposal, &asked->publish, &refusal);
    return refusal;
}

static void assert_accepted(struct world *world, const struct proposal *proposal,
                            struct asked *asked)
{
    assert_int_equal(ask(world, proposal, asked).problem, PROBLEM_COUNT);
}

static void publishes_of_a_turn_are_answered_after_its_end(void **state)
{
    (void)state;
    struct world *world = world_new(1000);
    struct proposal proposal = text_on("a");
    struct asked first, second;
    assert_accepted(world, &proposal, &first);
    assert_accepted(world, &proposal, &second);
    mailbox_empty(&world->mail);
    assert_int_equal(first.answers, 0);
    assert_true(submitter_has_any(&world->submitter));
    assert_int_equal(submitter_events(&world->submitter), 2);
    assert_true(submitter_bytes(&world->submitter) > 0);
    turn(world);
    assert_false(submitter_has_any(&world->submitter));
    assert_int_equal(first.answers, 1);
    assert_int_equal(first.publish.verdict, PUBLISH_OK);
    assert_int_equal(second.events[0].prev, first.events[0].id);
    assert_true(first.events[0].time_us > 0);
    assert_int_equal(world->submitter.published, 2);
    assert_int_equal(world->seen, 2);
    world_free(world);
}

static void an_event_carries_all_that_was_proposed(void **state)
{
    (void)state;
    struct world *world = world_new(1000);
    struct publisher publisher = {.access = {.rules = &rules_open}, .hops = 3};
    struct proposal proposal = {.channel = STR("a"),
                                .type = STR("t"),
                                .data = STR("{\r\n\"a\": 1}"),
                                .kind = EVENT_JSON,
                                .accepted_ns = 5,
                                .except = 7};
    struct asked asked = {.publish = {.done = done}};
    struct refusal refusal;
    assert_true(
        submit_proposal(&world->submitter, &publisher, &proposal, &asked.publish, &refusal));
    const struct event *event = &world->submitter.turn->batch->events[0];
    assert_true(str_eq(event->channel, STR("a")) && event->channel.at != proposal.channel.at);
    assert_true(str_eq(event->type, STR("t")));
    assert_true(str_eq(event->data, STR("{  \"a\": 1}")));
    assert_int_equal(event->content_type.len, 0);
    assert_int_equal(event->except, 7);
    assert_int_equal(event->hops, 3);
    assert_int_equal(event->accepted_ns, 5);
    turn(world);
    proposal.kind = EVENT_BINARY;
    assert_accepted(world, &proposal, &asked);
    event = &world->submitter.turn->batch->events[0];
    assert_true(str_eq(event->content_type, STR("application/octet-stream")));
    assert_true(str_eq(event->data, proposal.data));
    turn(world);
    proposal.content_type = STR("image/png");
    assert_accepted(world, &proposal, &asked);
    event = &world->submitter.turn->batch->events[0];
    assert_true(str_eq(event->content_type, STR("image/png")));
    world_free(world);
}

static void a_proposal_that_fails_its_check_is_not_submitted(void **state)
{
    (void)state;
    struct world *world = world_new(1000);
    struct proposal proposal = text_on("$a");
    struct asked asked;
    assert_int_equal(ask(world, &proposal, &asked).problem, PROBLEM_RESERVED_CHANNEL);
    turn(world);
    assert_int_equal(asked.answers, 0);
    assert_int_equal(world->submitter.published, 0);
    world_free(world);
}

static void an_ephemeral_event_goes_past_the_log(void **state)
{
    (void)state;
    struct world *world = world_new(1000);
    struct proposal proposals[] = {text_on("a"), text_on("live/a")};
    uint64_t newest = log_newest(world->log);
    proposals[0].ephemeral = true;
    for (size_t i = 0; i < 2; i++) {
        struct asked asked;
        assert_accepted(world, &proposals[i], &asked);
        turn(world);
        assert_int_equal(asked.answers, 1);
        assert_int_equal(asked.events[0].state, EVENT_EPHEMERAL);
        assert_int_equal(asked.events[0].time_us, 1700000000000000);
    }
    assert_int_equal(log_newest(world->log), newest);
    assert_int_equal(world->seen, 2);
    proposals[1].has_if_match = true;
    struct asked asked;
    assert_int_equal(ask(world, &proposals[1], &asked).problem, PROBLEM_BAD_PARAMETER);
    world_free(world);
}

static void if_match_and_keys_reach_the_log(void **state)
{
    (void)state;
    struct world *world = world_new(1000);
    struct proposal proposal = text_on("a");
    struct asked first, second;
    proposal.has_key = true;
    proposal.key = STR("k");
    assert_accepted(world, &proposal, &first);
    assert_accepted(world, &proposal, &second);
    turn(world);
    assert_int_equal(second.events[0].state, EVENT_DUPLICATE);
    assert_int_equal(second.events[0].id, first.events[0].id);
    proposal.has_key = false;
    proposal.has_if_match = true;
    proposal.if_match = first.events[0].id + 1;
    assert_accepted(world, &proposal, &second);
    turn(world);
    assert_int_equal(second.publish.verdict, PUBLISH_E_NOT_NEWEST);
    assert_int_equal(submit_refusal(&world->submitter, &second.publish).newest, first.events[0].id);
    assert_int_equal(world->submitter.refused[PUBLISH_E_NOT_NEWEST], 1);
    world_free(world);
}

static void the_newest_id_is_hidden_from_a_publisher_that_may_not_read(void **state)
{
    (void)state;
    static const struct str a[] = {{"a", 1}};
    struct world *world = world_new(1000);
    struct rules *rules = rules_new(NULL, 0);
    struct proposal proposal = text_on("a");
    struct refusal refusal;
    proposal.has_if_match = true;
    proposal.if_match = 7;
    for (unsigned reads = 0; reads < 2; reads++) {
        struct asked asked = {.publish = {.done = done}};
        const struct grant grant = {
            a, 1, (actions)(action_bit(ACTION_PUBLISH) | (reads ? action_bit(ACTION_READ) : 0))};
        struct caller *caller = caller_new(
            &(const struct caller_facts){.kind = CALLER_KEY, .grants = &grant, .grants_count = 1});
        const struct publisher publisher = {.access = {.rules = rules, .caller = caller}};
        assert_true(
            submit_proposal(&world->submitter, &publisher, &proposal, &asked.publish, &refusal));
        turn(world);
        refusal = submit_refusal(&world->submitter, &asked.publish);
        assert_int_equal(refusal.problem, PROBLEM_NOT_NEWEST);
        assert_int_equal(refusal.hides_newest, !reads);
        caller_unref(caller);
    }
    rules_unref(rules);
    world_free(world);
}

static void a_refusal_by_a_limit_is_counted(void **state)
{
    (void)state;
    struct world *world = world_new(1);
    struct proposal proposals[] = {text_on("a"), text_on("b")};
    struct asked asked[2];
    for (size_t i = 0; i < 2; i++)
        assert_accepted(world, &proposals[i], &asked[i]);
    turn(world);
    assert_int_equal(asked[0].publish.verdict, PUBLISH_OK);
    assert_int_equal(submit_refusal(&world->submitter, &asked[1].publish).problem,
                     PROBLEM_TOO_MANY);
    assert_int_equal(world->submitter.refused[PUBLISH_E_CHANNELS], 1);
    world_free(world);
}

static void a_submission_stands_or_falls_as_one(void **state)
{
    (void)state;
    struct world *world = world_new(1000);
    struct proposal good = text_on("a"), bad = text_on("a/");
    struct asked before, many = {.publish = {.done = done}};
    struct submission submission;
    struct refusal refusal;
    assert_accepted(world, &good, &before);
    assert_true(submission_begin(&submission, &world->submitter, &anybody, &refusal));
    assert_true(submission_add(&submission, &good, &refusal));
    assert_false(submission_add(&submission, &bad, &refusal));
    assert_int_equal(refusal.problem, PROBLEM_BAD_CHANNEL);
    submission_drop(&submission);
    assert_true(submission_begin(&submission, &world->submitter, &anybody, &refusal));
    for (int i = 0; i < 3; i++)
        assert_true(submission_add(&submission, &good, &refusal));
    submission_end(&submission, &many.publish);
    turn(world);
    assert_int_equal(before.answers, 1);
    assert_int_equal(many.answers, 1);
    assert_int_equal(many.publish.count, 3);
    assert_int_equal(world->submitter.published, 4);
    assert_int_equal(world->seen, 4);
    world_free(world);
}

/* Fails each allocation of a publish in turn. */
static void a_publish_for_which_memory_lacks_leaves_nothing_behind(void **state)
{
    (void)state;
    struct world *world = world_new(1000);
    struct proposal proposal = text_on("a");
    struct refusal refusal = {.problem = PROBLEM_UNAVAILABLE};
    struct asked asked;
    unsigned long nth = 0;
    proposal.has_key = true;
    proposal.key = STR("k");
    while (refusal.problem == PROBLEM_UNAVAILABLE) {
        assert_int_equal(submitter_events(&world->submitter), 0);
        turn(world);
        mem_fail_nth(++nth);
        refusal = ask(world, &proposal, &asked);
        mem_fail_nth(0);
    }
    assert_true(nth > 3);
    assert_int_equal(refusal.problem, PROBLEM_COUNT);
    turn(world);
    assert_int_equal(asked.answers, 1);
    assert_int_equal(world->submitter.published, 1);
    world_free(world);
}

/* Limits the world's publishes by channel: so many events in ten seconds. */
static struct publish_limits *limit_world(struct world *world, struct rates *rates, uint64_t quota)
{
    struct publish_limit limit = {.window_s = 10};
    struct publish_limits *limits;
    limit.rates[RATE_CHANNEL][RATE_EVENTS] = quota / 10;
    assert_int_equal(publish_limits_new(&limit, 1, &limits), 0);
    submitter_limit(&world->submitter, limits, rates, NULL);
    return limits;
}

/* Begins and drops submissions while each allocation fails in turn. */
static void drop_some(struct world *world, const struct proposal *proposal)
{
    struct submission submission;
    struct refusal refusal;
    for (unsigned long nth = 1; nth < 30; nth++) {
        turn(world);
        mem_fail_nth(nth);
        if (submission_begin(&submission, &world->submitter, &anybody, &refusal))
            (void)submission_add(&submission, proposal, &refusal);
        mem_fail_nth(0);
        submission_drop(&submission);
    }
}

static void an_event_for_which_memory_lacks_gives_its_rate_back(void **state)
{
    (void)state;
    struct world *world = world_new(1000);
    struct rates *rates = rates_new();
    struct publish_limits *limits = limit_world(world, rates, 10);
    struct proposal proposal = text_on("a"), keyed = proposal;
    struct refusal refusal = {.problem = PROBLEM_UNAVAILABLE};
    struct asked asked[10], more;
    keyed.has_key = true;
    keyed.key = STR("k");
    drop_some(world, &keyed);
    for (unsigned long nth = 1; refusal.problem == PROBLEM_UNAVAILABLE; nth++) {
        turn(world);
        mem_fail_nth(nth);
        refusal = ask(world, &keyed, &asked[0]);
        mem_fail_nth(0);
    }
    for (unsigned i = 1; i < 10; i++)
        assert_accepted(world, &proposal, &asked[i]);
    assert_int_equal(ask(world, &proposal, &more).problem, PROBLEM_TOO_MANY);
    world_free(world);
    rates_free(rates);
    free(limits);
}

/* How many of so many events a submission takes, with the refusal of the first that it does not. */
static unsigned add_many(struct world *world, unsigned count, struct asked *asked,
                         struct refusal *ret_refusal)
{
    struct proposal proposal = text_on("a");
    struct submission submission;
    unsigned taken = 0;
    *asked = (struct asked){.publish = {.done = done}};
    assert_true(submission_begin(&submission, &world->submitter, &anybody, ret_refusal));
    while (taken < count && submission_add(&submission, &proposal, ret_refusal))
        taken++;
    if (taken == count)
        submission_end(&submission, &asked->publish);
    else
        submission_drop(&submission);
    turn(world);
    return taken;
}

static void a_batch_that_a_rate_refuses_passes_after_the_wait_that_it_was_told(void **state)
{
    (void)state;
    static const unsigned counts[] = {100, 150, 1000};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct world *world = world_new(1000);
        struct rates *rates = rates_new();
        struct publish_limits *limits = limit_world(world, rates, 100);
        struct refusal refusal;
        struct asked asked, others;
        assert_int_equal(add_many(world, 30, &asked, &refusal), 30);
        assert_true(add_many(world, counts[i], &others, &refusal) < counts[i]);
        assert_int_equal(refusal.problem, PROBLEM_TOO_MANY);
        assert_int_equal(refusal.retry_ms, 3000); /* 30 of 10 a second */
        clock_fake_advance(&world->clock, (int64_t)refusal.retry_ms * 1000);
        assert_int_equal(add_many(world, counts[i], &others, &refusal), counts[i]);
        world_free(world);
        rates_free(rates);
        free(limits);
    }
}

static void a_deletion_empties_the_channel(void **state)
{
    (void)state;
    struct world *world = world_new(1000);
    struct proposal proposal = text_on("a");
    struct asked asked, deletion = {.publish = {.done = done}};
    struct log_channel channel;
    struct refusal refusal;
    assert_accepted(world, &proposal, &asked);
    assert_true(submit_trim(&world->submitter, &anybody, STR("a"), &deletion.publish, &refusal));
    turn(world);
    assert_int_equal(deletion.answers, 1);
    assert_true(log_channel(world->log, STR("a"), &channel));
    assert_int_equal(channel.count, 0);
    world_free(world);
}

static void a_deletion_of_a_channel_of_the_server_is_the_servers_alone(void **state)
{
    (void)state;
    static const char *const names[] = {"$webhooks/wh_1", "$x", "$"};
    static const struct publisher server = {.access = {.rules = &rules_open}, .is_server = true};
    struct world *world = world_new(1000);
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        struct asked deletion = {.publish = {.done = done}};
        struct refusal refusal;
        assert_false(submit_trim(&world->submitter, &anybody, str_from(names[i]), &deletion.publish,
                                 &refusal));
        assert_int_equal(refusal.problem, PROBLEM_RESERVED_CHANNEL);
        assert_false(submitter_has_any(&world->submitter));
        assert_true(submit_trim(&world->submitter, &server, str_from(names[i]), &deletion.publish,
                                &refusal));
        turn(world);
        assert_int_equal(deletion.answers, 1);
    }
    world_free(world);
}

/* Deleting takes `admin`: neither `publish` on the channel nor `admin` elsewhere will do. */
static void a_deletion_takes_the_right_to_it(void **state)
{
    (void)state;
    static const struct str a[] = {{"a", 1}}, b[] = {{"b/**", 4}};
    const struct grant grants[] = {{a, 1, action_bit(ACTION_PUBLISH)},
                                   {b, 1, action_bit(ACTION_ADMIN)}};
    struct world *world = world_new(1000);
    struct rules *rules = rules_new(NULL, 0);
    struct caller *caller = caller_new(
        &(const struct caller_facts){.kind = CALLER_KEY, .grants = grants, .grants_count = 2});
    const struct publisher publisher = {.access = {.rules = rules, .caller = caller}};
    static const char *const names[] = {"a", "c"};
    struct asked deletion = {.publish = {.done = done}};
    struct refusal refusal;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_false(submit_trim(&world->submitter, &publisher, str_from(names[i]),
                                 &deletion.publish, &refusal));
        assert_int_equal(refusal.problem, PROBLEM_FORBIDDEN);
    }
    assert_true(
        submit_trim(&world->submitter, &publisher, STR("b/1"), &deletion.publish, &refusal));
    turn(world);
    assert_int_equal(deletion.answers, 1);
    caller_unref(caller);
    rules_unref(rules);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(publishes_of_a_turn_are_answered_after_its_end),
        cmocka_unit_test(an_event_carries_all_that_was_proposed),
        cmocka_unit_test(a_proposal_that_fails_its_check_is_not_submitted),
        cmocka_unit_test(an_ephemeral_event_goes_past_the_log),
        cmocka_unit_test(if_match_and_keys_reach_the_log),
        cmocka_unit_test(the_newest_id_is_hidden_from_a_publisher_that_may_not_read),
        cmocka_unit_test(a_refusal_by_a_limit_is_counted),
        cmocka_unit_test(a_submission_stands_or_falls_as_one),
        cmocka_unit_test(a_publish_for_which_memory_lacks_leaves_nothing_behind),
        cmocka_unit_test(an_event_for_which_memory_lacks_gives_its_rate_back),
        cmocka_unit_test(a_batch_that_a_rate_refuses_passes_after_the_wait_that_it_was_told),
        cmocka_unit_test(a_deletion_empties_the_channel),
        cmocka_unit_test(a_deletion_of_a_channel_of_the_server_is_the_servers_alone),
        cmocka_unit_test(a_deletion_takes_the_right_to_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
