#include "log/apply.h"

#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { KEY_LIFE_US = 300000000 };

/* A state of verdicts, and the batch of all proposed events. */
struct fixture {
    struct apply apply;
    int64_t now_us;
    struct batch *batch;
};

static int setup(void **state)
{
    struct fixture *fixture = mem_alloc(sizeof(*fixture));
    fixture->now_us = 1000000;
    apply_init(&fixture->apply);
    channels_init(&fixture->apply.channels, NULL, 0, 3);
    keys_init(&fixture->apply.keys, 100);
    fixture->apply.last = 100;
    fixture->batch = batch_new();
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    apply_deinit(&fixture->apply);
    batch_unref(fixture->batch);
    free(fixture);
    return 0;
}

static uint32_t propose(struct fixture *fixture, const char *channel, const struct event_key *key)
{
    struct event *event = batch_add(fixture->batch);
    event->channel = str_from(channel);
    event->hash = map_hash_of(&fixture->apply.channels.by_name, event->channel);
    event->type = STR("message");
    event->data = STR("x");
    event->key = key;
    return fixture->batch->count - 1;
}

static struct publish decide(struct fixture *fixture, uint32_t first, uint32_t count)
{
    struct publish publish = {.first = first, .count = count};
    apply_advance(&fixture->apply, fixture->now_us, fixture->now_us - KEY_LIFE_US);
    apply_publish(&fixture->apply, &publish, fixture->batch);
    return publish;
}

static void ids_rise_and_prev_names_the_one_before_in_the_channel(void **state)
{
    struct fixture *fixture = *state;
    propose(fixture, "a", NULL);
    propose(fixture, "b", NULL);
    propose(fixture, "a", NULL);
    assert_int_equal(decide(fixture, 0, 3).verdict, PUBLISH_OK);
    const struct event *events = fixture->batch->events;
    assert_int_equal(events[0].id, 101);
    assert_int_equal(events[0].prev, 0);
    assert_int_equal(events[1].prev, 0);
    assert_int_equal(events[2].prev, 101);
}

static void an_event_has_the_log_time_of_its_decision(void **state)
{
    struct fixture *fixture = *state;
    for (uint32_t i = 0; i < 3; i++) {
        decide(fixture, propose(fixture, "a", NULL), 1);
        assert_int_equal(fixture->batch->events[i].time_us, fixture->now_us);
        fixture->now_us += INT64_C(1000) * i;
    }
}

static void the_same_key_is_a_duplicate_and_another_content_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct event_key key = {.key = {1}, .content = 7}, other = {.key = {1}, .content = 8};
    decide(fixture, propose(fixture, "a", &key), 1);
    assert_int_equal(decide(fixture, propose(fixture, "a", &key), 1).verdict, PUBLISH_OK);
    assert_int_equal(fixture->batch->events[1].state, EVENT_DUPLICATE);
    assert_int_equal(fixture->batch->events[1].id, fixture->batch->events[0].id);
    assert_int_equal(decide(fixture, propose(fixture, "a", &other), 1).verdict,
                     PUBLISH_E_KEY_REUSED);
}

static void a_key_is_forgotten_after_its_life(void **state)
{
    struct fixture *fixture = *state;
    struct event_key key = {.key = {1}, .content = 7};
    decide(fixture, propose(fixture, "a", &key), 1);
    fixture->now_us += KEY_LIFE_US + 1;
    decide(fixture, propose(fixture, "a", &key), 1);
    assert_int_equal(fixture->batch->events[1].state, EVENT_APPENDED);
}

static void if_match_wants_the_newest_id(void **state)
{
    struct fixture *fixture = *state;
    decide(fixture, propose(fixture, "a", NULL), 1);
    struct publish publish = {
        .first = propose(fixture, "a", NULL), .count = 1, .has_if_match = true, .if_match = 5};
    apply_publish(&fixture->apply, &publish, fixture->batch);
    assert_int_equal(publish.verdict, PUBLISH_E_NOT_NEWEST);
    assert_int_equal(publish.newest, 101);
    publish.verdict = PUBLISH_OK;
    publish.if_match = 101;
    apply_publish(&fixture->apply, &publish, fixture->batch);
    assert_int_equal(publish.verdict, PUBLISH_OK);
}

static void events_of_one_publish_stand_or_fall_together(void **state)
{
    struct fixture *fixture = *state;
    struct event_key key = {.key = {1}, .content = 7}, other = {.key = {1}, .content = 8};
    propose(fixture, "a", &key);
    propose(fixture, "a", &other);
    struct publish publish = decide(fixture, 0, 2);
    assert_int_equal(publish.verdict, PUBLISH_E_KEY_REUSED);
    assert_int_equal(publish.fault, 1);
    assert_int_equal(fixture->apply.last, 100);
    /* The key of the first event was not kept either. */
    assert_null(keys_find(&fixture->apply.keys, &key));
}

static void a_key_twice_in_one_publish_is_a_duplicate_of_the_first(void **state)
{
    struct fixture *fixture = *state;
    struct event_key key = {.key = {1}, .content = 7};
    propose(fixture, "a", &key);
    propose(fixture, "a", &key);
    assert_int_equal(decide(fixture, 0, 2).verdict, PUBLISH_OK);
    assert_int_equal(fixture->batch->events[1].state, EVENT_DUPLICATE);
    assert_int_equal(fixture->batch->events[1].id, 101);
}

static void there_are_only_so_many_channels(void **state)
{
    struct fixture *fixture = *state;
    decide(fixture, propose(fixture, "a", NULL), 1);
    decide(fixture, propose(fixture, "b", NULL), 1);
    decide(fixture, propose(fixture, "c", NULL), 1);
    assert_int_equal(decide(fixture, propose(fixture, "d", NULL), 1).verdict, PUBLISH_E_CHANNELS);
}

static void a_publish_that_is_undone_leaves_no_trace(void **state)
{
    struct fixture *fixture = *state;
    struct event_key key = {.key = {1}, .content = 7};
    decide(fixture, propose(fixture, "a", NULL), 1);
    struct publish publish = decide(fixture, propose(fixture, "a", &key), 1);
    apply_undo(&fixture->apply, &publish, fixture->batch, PUBLISH_E_NO_SPACE);
    assert_int_equal(publish.verdict, PUBLISH_E_NO_SPACE);
    assert_null(keys_find(&fixture->apply.keys, &key));
    decide(fixture, propose(fixture, "a", NULL), 1);
    assert_int_equal(fixture->batch->events[2].id, 102);
    assert_int_equal(fixture->batch->events[2].prev, 101);
}

static void an_id_of_unknown_fate_is_not_given_again(void **state)
{
    struct fixture *fixture = *state;
    decide(fixture, propose(fixture, "a", NULL), 1);
    struct publish first = decide(fixture, propose(fixture, "a", NULL), 1);
    struct publish second = decide(fixture, propose(fixture, "a", NULL), 1);
    apply_undo(&fixture->apply, &second, fixture->batch, PUBLISH_E_FATE_UNKNOWN);
    apply_undo(&fixture->apply, &first, fixture->batch, PUBLISH_E_FATE_UNKNOWN);
    decide(fixture, propose(fixture, "a", NULL), 1);
    assert_int_equal(fixture->batch->events[3].id, 104);
    assert_int_equal(fixture->batch->events[3].prev, 101);
}

static void a_trim_reaches_the_newest_event_and_keeps_prev(void **state)
{
    struct fixture *fixture = *state;
    decide(fixture, propose(fixture, "a", NULL), 1);
    uint32_t mark = propose(fixture, "a", NULL);
    fixture->batch->events[mark].state = EVENT_TRIM;
    decide(fixture, mark, 1);
    const struct channel *channel = channels_find(&fixture->apply.channels, STR("a"));
    assert_int_equal(apply_trimmed(&fixture->apply, channel), 101);
    assert_int_equal(channel->trimmed, 0); /* the DELETE may still fail, so readers see the event */
    decide(fixture, propose(fixture, "a", NULL), 1);
    assert_int_equal(fixture->batch->events[2].prev, 101);
    apply_settle(&fixture->apply, fixture->batch);
    assert_int_equal(channel->trimmed, 101);
    assert_int_equal(channel->count, 1);
    assert_int_equal(fixture->apply.deletions.count, 0);
}

/* Two DELETEs of a channel with an event between, of which first none and then all become safe. */
static void trims_that_overlap_are_undone_and_settled_in_their_order(void **state)
{
    struct fixture *fixture = *state;
    struct publish done[4];
    for (unsigned round = 0; round < 2; round++) {
        decide(fixture, propose(fixture, "a", NULL), 1);
        uint32_t first = fixture->batch->count;
        for (unsigned i = 0; i < 4; i++) {
            uint32_t at = propose(fixture, "a", NULL);
            if (i % 2)
                fixture->batch->events[at].state = EVENT_TRIM;
            done[i] = decide(fixture, at, 1);
        }
        const struct channel *channel = channels_find(&fixture->apply.channels, STR("a"));
        uint64_t last = fixture->batch->events[first + 2].id, trimmed = channel->trimmed;
        assert_int_equal(apply_trimmed(&fixture->apply, channel), last);
        assert_int_equal(channel->count, 0);
        for (unsigned i = 4; round == 0 && i-- > 0;)
            apply_undo(&fixture->apply, &done[i], fixture->batch, PUBLISH_E_NO_SPACE);
        if (round == 1)
            apply_settle(&fixture->apply, fixture->batch);
        assert_int_equal(fixture->apply.deletions.count, 0);
        assert_int_equal(channel->trimmed, round ? last : trimmed);
        assert_int_equal(channel->count, round ? 0 : 1);
    }
}

static void a_trim_without_memory_is_refused_and_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    decide(fixture, propose(fixture, "a", NULL), 1);
    uint32_t mark = propose(fixture, "a", NULL);
    fixture->batch->events[mark].state = EVENT_TRIM;
    mem_fail_nth(1);
    assert_int_equal(decide(fixture, mark, 1).verdict, PUBLISH_E_UNAVAILABLE);
    const struct channel *channel = channels_find(&fixture->apply.channels, STR("a"));
    assert_int_equal(channel->count, 1);
    assert_int_equal(apply_trimmed(&fixture->apply, channel), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static struct event_key key_of(uint8_t byte, uint64_t content)
{
    return (struct event_key){.key = {byte}, .content = content};
}

/* Each refused publish leaves the table unchanged, whatever the reason: names, numbers, shares. */
static void a_refused_publish_leaves_no_channel_and_no_number_behind(void **state)
{
    struct fixture *fixture = *state;
    struct channels *channels = &fixture->apply.channels;
    struct event_key key = key_of(1, 1), other = key_of(1, 2);
    decide(fixture, propose(fixture, "old", &key), 1);
    for (int round = 0; round < 3; round++) {
        uint32_t first = propose(fixture, "a", NULL);
        propose(fixture, "b", NULL);
        propose(fixture, "a", NULL);
        propose(fixture, "c", round == 1 ? NULL : &other); /* a channel too many in the other
                                                            * rounds */
        struct publish refused = decide(fixture, first, 4);
        assert_int_equal(refused.verdict, round == 1 ? PUBLISH_E_CHANNELS : PUBLISH_E_KEY_REUSED);
        assert_int_equal(refused.fault, 3);
        assert_int_equal(channels->by_name.count, 1);
        assert_null(channels_find(channels, STR("a")));
        assert_int_equal(channels->number_last, 1);
    }
    decide(fixture, propose(fixture, "a", NULL), 1);
    assert_int_equal(channel_number(channels_find(channels, STR("a"))), 2);
    assert_int_equal(channels_find(channels, STR("old"))->count, 1);
}

static void a_refused_publish_gives_back_numbers_that_were_free(void **state)
{
    struct fixture *fixture = *state;
    struct channels *channels = &fixture->apply.channels;
    struct event_key key = key_of(1, 1), other = key_of(1, 2);
    decide(fixture, propose(fixture, "old", &key), 1);
    decide(fixture, propose(fixture, "gone", NULL), 1);
    channels_remove(channels, channels_find(channels, STR("gone")));
    channels_release(channels, 2);
    uint32_t first = propose(fixture, "a", NULL);
    propose(fixture, "b", NULL);
    propose(fixture, "c", &other);
    assert_int_equal(decide(fixture, first, 3).verdict, PUBLISH_E_KEY_REUSED);
    assert_int_equal(channels->free.count, 1);
    assert_int_equal(channels->number_last, 2);
    decide(fixture, propose(fixture, "d", NULL), 1);
    assert_int_equal(channel_number(channels_find(channels, STR("d"))), 2);
}

/* ---- preparation ----------------------------------------------------------------------------- */

static void prepare(struct fixture *fixture, uint32_t first, uint32_t count)
{
    for (uint32_t from = first; from < first + count; from++)
        apply_prepare(&fixture->apply, &fixture->batch->events[from], 1, count);
}

static void end(struct fixture *fixture)
{
    apply_end_prepared(&fixture->apply, fixture->batch);
    while (apply_drop_unclaimed(&fixture->apply, 1))
        ;
    assert_int_equal(fixture->apply.channels.unclaimed, 0);
}

static void a_refused_batch_leaves_none_of_the_channels_that_were_prepared(void **state)
{
    struct fixture *fixture = *state;
    struct event_key key = {.key = {1}, .content = 7}, other = {.key = {1}, .content = 8};
    decide(fixture, propose(fixture, "a", &key), 1);
    uint32_t first = propose(fixture, "b", NULL);
    propose(fixture, "c", NULL);
    propose(fixture, "a", &other);
    prepare(fixture, first, 3);
    assert_int_equal(channels_count(&fixture->apply.channels), 1);
    assert_int_equal(decide(fixture, first, 3).verdict, PUBLISH_E_KEY_REUSED);
    end(fixture);
    assert_int_equal(fixture->apply.channels.by_name.count, 1);
    assert_int_equal(fixture->apply.last, 101);
}

/* Other publishes come between the slices of a preparation, and some are refused. */
static void publishes_between_slices_are_held_against_the_batch(void **state)
{
    struct fixture *fixture = *state;
    struct event_key key = {.key = {1}, .content = 7};
    uint32_t first = propose(fixture, "b", &key);
    propose(fixture, "c", NULL);
    uint32_t duplicate = propose(fixture, "b", &key), new = propose(fixture, "d", NULL);
    prepare(fixture, first, 2);
    assert_int_equal(decide(fixture, duplicate, 1).verdict, PUBLISH_OK);
    assert_int_equal(decide(fixture, new, 1).verdict, PUBLISH_OK);
    assert_int_equal(decide(fixture, propose(fixture, "e", NULL), 1).verdict, PUBLISH_OK);
    assert_int_equal(decide(fixture, first, 2).verdict, PUBLISH_E_CHANNELS);
    end(fixture);
    assert_int_equal(fixture->apply.channels.by_name.count, 3);
    assert_null(channels_find(&fixture->apply.channels, STR("c")));
}

static void a_prepared_channel_is_not_there_for_if_match(void **state)
{
    struct fixture *fixture = *state;
    for (uint64_t wants = 0; wants < 2; wants++) {
        uint32_t first = propose(fixture, "a", NULL);
        struct publish publish = {
            .first = first, .count = 1, .has_if_match = true, .if_match = 1 - wants};
        prepare(fixture, first, 1);
        apply_publish(&fixture->apply, &publish, fixture->batch);
        assert_int_equal(publish.verdict, wants ? PUBLISH_OK : PUBLISH_E_NOT_NEWEST);
        end(fixture);
        assert_int_equal(fixture->apply.channels.by_name.count, wants);
    }
}

/* A step of a random history: publishes of many events, some of which are refused. */
static void random_publish(struct fixture *fixture, unsigned *seed, bool prepared)
{
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    static const struct event_key keys[] = {{.key = {1}, .content = 1},
                                            {.key = {1}, .content = 2},
                                            {.key = {2}, .content = 1},
                                            {.key = {3}, .content = 1}};
    uint32_t first = fixture->batch->count;
    uint32_t count = 1 + (uint32_t)rand_r(seed) % 4;
    for (uint32_t i = 0; i < count; i++) {
        int key = rand_r(seed) % 12;
        propose(fixture, names[rand_r(seed) % 5], key < 4 ? &keys[key] : NULL);
    }
    if (prepared)
        prepare(fixture, first, count);
    (void)decide(fixture, first, count);
    if (prepared)
        end(fixture);
    if (rand_r(seed) % 4 == 0)
        fixture->now_us += INT64_C(100) * 1000000;
}

static void prepared_or_not_the_verdicts_are_the_same(void **state)
{
    (void)state;
    void *plain, *prepared;
    assert_int_equal(setup(&plain) | setup(&prepared), 0);
    unsigned seed = 15, same = 15;
    for (int turn = 0; turn < 500; turn++) {
        random_publish(plain, &seed, false);
        random_publish(prepared, &same, true);
    }
    const struct batch *a = ((struct fixture *)plain)->batch;
    const struct batch *b = ((struct fixture *)prepared)->batch;
    for (uint32_t i = 0; i < a->count; i++) {
        assert_int_equal(a->events[i].state, b->events[i].state);
        assert_int_equal(a->events[i].id, b->events[i].id);
        assert_int_equal(a->events[i].prev, b->events[i].prev);
    }
    teardown(&plain);
    teardown(&prepared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ids_rise_and_prev_names_the_one_before_in_the_channel),
        TEST(an_event_has_the_log_time_of_its_decision),
        TEST(the_same_key_is_a_duplicate_and_another_content_is_refused),
        TEST(a_key_is_forgotten_after_its_life),
        TEST(if_match_wants_the_newest_id),
        TEST(events_of_one_publish_stand_or_fall_together),
        TEST(a_key_twice_in_one_publish_is_a_duplicate_of_the_first),
        TEST(there_are_only_so_many_channels),
        TEST(a_publish_that_is_undone_leaves_no_trace),
        TEST(an_id_of_unknown_fate_is_not_given_again),
        TEST(a_trim_reaches_the_newest_event_and_keeps_prev),
        TEST(trims_that_overlap_are_undone_and_settled_in_their_order),
        TEST(a_trim_without_memory_is_refused_and_leaves_nothing),
        TEST(a_refused_publish_leaves_no_channel_and_no_number_behind),
        TEST(a_refused_publish_gives_back_numbers_that_were_free),
        cmocka_unit_test_setup_teardown(
            a_refused_batch_leaves_none_of_the_channels_that_were_prepared, setup, teardown),
        cmocka_unit_test_setup_teardown(publishes_between_slices_are_held_against_the_batch, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_prepared_channel_is_not_there_for_if_match, setup,
                                        teardown),
        cmocka_unit_test(prepared_or_not_the_verdicts_are_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
