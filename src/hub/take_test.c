#include "hub/testing.h"

/* ---- runs ----------------------------------------------------------------------------------- */

static void a_whole_batch_comes_in_one_take(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    struct reader *reader = live_reader(world, "**");
    for (int i = 0; i < 50; i++)
        world_add(world, i % 2 ? "a" : "b", "x");
    world_append(world);
    mailbox_empty(&world->mail);
    struct taken taken;
    assert_int_equal(hub_take(&world->hub, &reader->sub, &taken), TAKE_BYTES);
    assert_int_equal(taken.bytes.len, 50);
    assert_int_equal(taken.end - taken.first, 50);
    hub_sent(&world->hub, &reader->sub, 50, false);
    assert_int_equal(reader->rest.len, 0);
    assert_int_equal(hub_take(&world->hub, &reader->sub, &taken), TAKE_NOTHING);
    reader_free(reader);
    world_free(world);
}

static void events_that_exclude_a_subscriber_are_left_out_live_and_from_the_window(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    uint64_t start = hub_applied(&world->hub);
    struct reader *reader = mem_alloc(sizeof(*reader));
    *reader = (struct reader){.world = world, .selection = select_terms("a", NULL)};
    reader->sub.skip = 7;
    reader_begin(reader, 0, start, 0);
    reader_drain(reader);
    static const char excepts[] = {7, 7, 1, 2, 7, 3, 7};
    for (size_t i = 0; i < sizeof(excepts); i++) {
        char data[] = {(char)('a' + i), '\0'};
        world_add(world, "a", data)->except = (uint32_t)excepts[i];
    }
    world_append(world);
    mailbox_empty(&world->mail);
    assert_int_equal(reader_drain(reader), TAKE_NOTHING);
    reader_got(reader, "cdf");
    assert_true(sub_is_live(&reader->sub));
    hub_turn_end(&world->hub);
    hub_unsubscribe(&world->hub, &reader->sub);
    reader_begin(reader, 0, start, 0);
    assert_int_equal(reader_drain(reader), TAKE_NOTHING);
    reader_got(reader, "cdf");
    assert_int_equal(hub_cursor(&world->hub, &reader->sub), hub_applied(&world->hub));
    reader_free(reader);
    world_free(world);
}

static void an_event_that_excludes_a_connection_reaches_all_others(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    struct reader *nobody = live_reader(world, "a"), *excluded = live_reader(world, "a"),
                  *other = live_reader(world, "a");
    excluded->sub.skip = 7;
    other->sub.skip = 8;
    for (int round = 0; round < 3; round++) {
        world_add(world, "a", "x")->except = 7;
        world_add(world, "a", "y")->except = round == 1 ? 7 : 0;
        world_append(world);
        mailbox_empty(&world->mail);
        struct reader *all[] = {nobody, excluded, other};
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(reader_drain(all[i]), TAKE_NOTHING);
            assert_true(sub_is_live(&all[i]->sub));
            assert_int_equal(hub_cursor(&world->hub, &all[i]->sub), hub_applied(&world->hub));
        }
        hub_turn_end(&world->hub);
    }
    reader_got(nobody, "xyxyxy");
    reader_got(other, "xyxyxy");
    reader_got(excluded, "yy");
    reader_free(nobody);
    reader_free(excluded);
    reader_free(other);
    world_free(world);
}

static void records_without_bytes_delay_no_subscriber(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    uint64_t start = hub_applied(&world->hub);
    struct reader *live = live_reader(world, "a");
    world_publish(world, "a", "");
    assert_int_equal(reader_drain(live), TAKE_NOTHING);
    world_add(world, "a", "");
    world_add(world, "a", "x");
    world_add(world, "a", "");
    world_add(world, "a", "y");
    world_add(world, "a", "");
    world_append(world);
    mailbox_empty(&world->mail);
    assert_int_equal(reader_flush(live, 1), TAKE_BYTES);
    assert_int_equal(reader_drain(live), TAKE_NOTHING);
    reader_got(live, "xy");
    hub_turn_end(&world->hub);
    struct reader *late = reader_new(world, "a", NULL, start);
    assert_int_equal(reader_drain(late), TAKE_NOTHING);
    reader_got(late, "xy");
    assert_true(sub_is_live(&late->sub));
    reader_free(live);
    reader_free(late);
    world_free(world);
}

/* ---- full sockets --------------------------------------------------------------------------- */

static void a_subscriber_whose_send_was_short_gets_the_rest_in_order_and_once(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    for (size_t room = 0; room <= 12; room++) {
        struct reader *reader = live_reader(world, "a");
        uint64_t before = hub_applied(&world->hub);
        world_publish(world, "a", "one ");
        world_publish(world, "a", "two ");
        world_publish(world, "a", "tri ");
        reader_flush(reader, room);
        /* The cursor is past every record that was begun. */
        if (room < 12)
            assert_int_equal(hub_cursor(&world->hub, &reader->sub), before + (room + 3) / 4);
        hub_turn_end(&world->hub);
        world_publish(world, "a", "end ");
        for (int i = 0; i < 20; i++) {
            reader_flush(reader, 1);
            hub_turn_end(&world->hub);
        }
        reader_got(reader, "one two tri end ");
        assert_int_equal(reader_drain(reader), TAKE_NOTHING);
        reader_free(reader);
    }
    world_free(world);
}

static void the_rest_of_a_cut_record_is_handed_back(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    struct reader *reader = live_reader(world, "a");
    uint64_t first = world_publish(world, "a", "first"),
             second = world_publish(world, "a", "second");
    struct taken taken;
    assert_int_equal(hub_take(&world->hub, &reader->sub, &taken), TAKE_BYTES);
    hub_sent(&world->hub, &reader->sub, 2, true);
    assert_true(str_eq(buf_str(&reader->rest), STR("rst")));
    buf_clear(&reader->rest);
    assert_int_equal(hub_cursor(&world->hub, &reader->sub), first);
    assert_int_equal(hub_take(&world->hub, &reader->sub, &taken), TAKE_BYTES);
    assert_true(str_eq(taken.bytes, STR("second")));
    hub_sent(&world->hub, &reader->sub, 6, true);
    assert_int_equal(reader->rest.len, 0);
    assert_int_equal(hub_cursor(&world->hub, &reader->sub), second);
    reader_free(reader);
    world_free(world);
}

static void the_rest_of_a_cut_piece_is_handed_back(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    struct reader *reader = live_reader(world, "a");
    world->hub.limits.large_bytes = 20;
    for (size_t n = 1; n < 40; n++) {
        world_publish(world, "a", "one ");
        world_publish(world, "a", "0123456789012345678901234567890 ");
        world_publish(world, "a", "two ");
        while (reader_flush(reader, n) != TAKE_NOTHING || reader->rest.len)
            hub_turn_end(&world->hub);
        reader_got(reader, "one 0123456789012345678901234567890 two ");
    }
    reader_free(reader);
    world_free(world);
}

/* Three ways in which the hub may let go of bytes that a subscriber is sending. */
static void evict_pages(struct world *world, struct reader *other)
{
    (void)other;
    hub_turn_end(&world->hub);
}

static void take_other_page(struct world *world, struct reader *other)
{
    struct taken taken;
    (void)world;
    assert_int_equal(hub_take(&other->world->hub, &other->sub, &taken), TAKE_BYTES);
    reader_send(other, &taken, &(size_t){3});
}

static void delete_channel(struct world *world, struct reader *other)
{
    (void)other;
    world_trim(world, "b");
    mailbox_empty(&world->mail);
}

/* The rest of a cut record is handed over before its page goes, whatever made the page leave the
 * cache. */
static void check_rest_without_cache(struct hub_limits limits, bool live,
                                     void (*meanwhile)(struct world *, struct reader *))
{
    struct world *world = world_new(limits, BIG);
    struct reader *reader = live ? live_reader(world, "a") : NULL;
    uint64_t start = hub_applied(&world->hub);
    world_publish(world, "b", "others ");
    world_publish(world, "a", "abcdefgh ");
    world_publish(world, "a", "ijklmnop ");
    if (!live)
        reader = reader_new(world, "a", NULL, start);
    struct reader *other = reader_new(world, "b a", NULL, start);
    struct taken taken;
    while (hub_take(&world->hub, &reader->sub, &taken) == TAKE_WAIT)
        world_run_jobs(world);
    while (reader_drain(other) == TAKE_WAIT)
        world_run_jobs(world);
    reader_free(other);
    other = reader_new(world, "a b", NULL, start);
    if (limits.window_bytes > 1)
        meanwhile(world, other);
    else
        evict_pages(world, other);
    buf_add(&reader->got, taken.bytes.at, 4);
    hub_sent(&world->hub, &reader->sub, 4, true);
    buf_add_str(&reader->got, buf_str(&reader->rest));
    buf_add_char(&reader->got, '\0');
    assert_string_equal(reader->got.at, "abcdefgh ");
    reader_free(other);
    reader_free(reader);
    world_free(world);
}

static void a_page_may_leave_the_cache_between_take_and_sent(void **state)
{
    (void)state;
    const struct hub_limits none = LIMITS(BIG, 4096, 1), tiny = LIMITS(BIG, 16, 16),
                            stored = LIMITS(1, 64, 1);
    void (*const meanwhile[])(struct world *, struct reader *) = {evict_pages, take_other_page,
                                                                  delete_channel};
    for (size_t i = 0; i < 3; i++) {
        for (int live = 0; live < 2; live++) {
            check_rest_without_cache(none, live, meanwhile[i]);
            check_rest_without_cache(tiny, live, meanwhile[i]);
        }
        check_rest_without_cache(stored, false, meanwhile[i]);
    }
}

static void a_batch_that_comes_between_take_and_sent_is_not_lost(void **state)
{
    (void)state;
    struct world *world = world_new((struct hub_limits)LIMITS(BIG, 16, 1 << 20), BIG);
    for (size_t n = 0; n <= 8; n++) {
        struct reader *reader = live_reader(world, "a");
        world_publish(world, "a", "one ");
        world_publish(world, "a", "two ");
        struct taken taken;
        assert_int_equal(hub_take(&world->hub, &reader->sub, &taken), TAKE_BYTES);
        buf_add(&reader->got, taken.bytes.at, n);
        if (n % 2) /* so long that the live chunk becomes a page */
            world_publish(world, "a", "0123456789abcdef ");
        else
            world_publish(world, "a", "3 ");
        hub_sent(&world->hub, &reader->sub, n, n < 8);
        assert_int_equal(reader_drain(reader), TAKE_NOTHING);
        reader_got(reader, n % 2 ? "one two 0123456789abcdef " : "one two 3 ");
        hub_turn_end(&world->hub);
        reader_free(reader);
    }
    world_free(world);
}

static void a_subscriber_that_was_sent_everything_is_live_without_another_take(void **state)
{
    (void)state;
    struct world *world = tight_world();
    struct reader *reader = live_reader(world, "a"), *slow = live_reader(world, "a");
    struct taken taken;
    world_publish(world, "a", "1");
    assert_int_equal(hub_take(&world->hub, &reader->sub, &taken), TAKE_BYTES);
    assert_false(sub_is_live(&reader->sub));
    hub_sent(&world->hub, &reader->sub, taken.bytes.len, false);
    assert_true(sub_is_live(&reader->sub));
    assert_int_equal(hub_cursor(&world->hub, &reader->sub), hub_applied(&world->hub));
    assert_int_equal(hub_take(&world->hub, &slow->sub, &taken), TAKE_BYTES);
    hub_sent(&world->hub, &slow->sub, taken.bytes.len, true); /* and the socket is full */
    assert_false(sub_is_live(&slow->sub));
    reader_free(reader);
    reader_free(slow);
    world_free(world);
}

/* ---- latency -------------------------------------------------------------------------------- */

static void each_delivery_of_an_event_counts_in_the_latency(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    struct hist latency_ns = {0};
    struct reader *readers[100];
    world->hub.latency_ns = &latency_ns;
    for (int i = 0; i < 100; i++)
        readers[i] = live_reader(world, "a");
    clock_fake_advance(&world->clock, 1);
    for (int round = 0; round < 2; round++) {
        world_add(world, "a", "x")->accepted_ns = clock_now_ns(&world->clock.clock);
        world_append(world);
        mailbox_empty(&world->mail);
        clock_fake_advance(&world->clock, 5);
        for (int i = 0; i < 100; i++)
            assert_int_equal(reader_drain(readers[i]), TAKE_NOTHING);
        hub_turn_end(&world->hub);
    }
    hub_note_timed(&world->hub);
    assert_int_equal(latency_ns.count, 200);
    assert_int_equal(latency_ns.max, 10000);
    hub_note_timed(&world->hub);
    assert_int_equal(latency_ns.count, 200);
    for (int i = 0; i < 100; i++)
        reader_free(readers[i]);
    world_free(world);
}

/* ---- gaps ----------------------------------------------------------------------------------- */

static void a_gap_is_told_once_and_then_what_is_left(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    uint64_t start = hub_applied(&world->hub);
    world_publish(world, "a", "one ");
    world_publish(world, "b", "two ");
    world_trim(world, "a");
    world_publish(world, "a", "three ");
    struct reader *fresh = reader_new(world, "a b", NULL, start);
    reader_drain(fresh);
    reader_got(fresh, "two three ");
    assert_int_equal(fresh->gaps, 1);
    assert_int_equal(fresh->gap, start + 1);
    struct reader *knows = mem_alloc(sizeof(*knows));
    *knows = (struct reader){.world = world, .selection = select_terms("a b", NULL)};
    reader_begin(knows, 0, start, start + 1);
    reader_drain(knows);
    reader_got(knows, "two three ");
    assert_int_equal(knows->gaps, 0);
    world_publish(world, "a", "four ");
    hub_turn_end(&world->hub);
    reader_drain(fresh);
    assert_int_equal(fresh->gaps, 1);
    reader_free(fresh);
    reader_free(knows);
    world_free(world);
}

static void a_subscriber_behind_hears_of_events_trimmed_meanwhile(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    struct reader *behind = live_reader(world, "a"), *apart = live_reader(world, "b");
    world_publish(world, "a", "one ");
    world_publish(world, "b", "b ");
    uint64_t last = world_publish(world, "a", "two ");
    reader_flush(behind, 2);
    reader_flush(apart, 0);
    hub_turn_end(&world->hub);
    world_trim(world, "a");
    mailbox_empty(&world->mail);
    world_publish(world, "a", "three ");
    reader_drain(behind);
    reader_got(behind, "one three ");
    assert_int_equal(behind->gaps, 1);
    assert_int_equal(behind->gap, last);
    reader_drain(apart);
    reader_got(apart, "b ");
    assert_int_equal(apart->gaps, 0);
    reader_free(behind);
    reader_free(apart);
    world_free(world);
}

static void a_live_subscriber_is_told_of_no_gap(void **state)
{
    (void)state;
    struct world *world = world_new(roomy, 4096);
    struct reader *reader = live_reader(world, "a");
    for (int i = 0; i < 200; i++) {
        world_publish(world, "a", "some twenty bytes long");
        if (i % 3 == 0)
            reader_flush(reader, 5);
        hub_turn_end(&world->hub);
    }
    reader_drain(reader);
    assert_true(log_trimmed(world->log, reader->selection) > 0);
    assert_int_equal(reader->got.len, 200 * 22);
    /* The store has trimmed most events, but the window has all of them. */
    assert_int_equal(reader->gaps, 0);
    reader_free(reader);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_batch_comes_in_one_take),
        cmocka_unit_test(events_that_exclude_a_subscriber_are_left_out_live_and_from_the_window),
        cmocka_unit_test(an_event_that_excludes_a_connection_reaches_all_others),
        cmocka_unit_test(records_without_bytes_delay_no_subscriber),
        cmocka_unit_test(a_subscriber_whose_send_was_short_gets_the_rest_in_order_and_once),
        cmocka_unit_test(the_rest_of_a_cut_record_is_handed_back),
        cmocka_unit_test(the_rest_of_a_cut_piece_is_handed_back),
        cmocka_unit_test(a_page_may_leave_the_cache_between_take_and_sent),
        cmocka_unit_test(a_batch_that_comes_between_take_and_sent_is_not_lost),
        cmocka_unit_test(a_subscriber_that_was_sent_everything_is_live_without_another_take),
        cmocka_unit_test(each_delivery_of_an_event_counts_in_the_latency),
        cmocka_unit_test(a_gap_is_told_once_and_then_what_is_left),
        cmocka_unit_test(a_subscriber_behind_hears_of_events_trimmed_meanwhile),
        cmocka_unit_test(a_live_subscriber_is_told_of_no_gap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
