#include "hub/testing.h"

#include <stdio.h>

enum { CHUNK = 64, BIG = 64 << 20 };

static const struct hub_limits roomy = {
    .window_bytes = BIG, .chunk_bytes = 4096, .cache_bytes = 1 << 20};
/* Every batch but the newest falls out of the window. */
static const struct hub_limits tight = {
    .window_bytes = 1, .chunk_bytes = CHUNK, .cache_bytes = 1 << 20};

static struct world *roomy_world(void)
{
    return world_new(roomy, BIG);
}

static struct world *tight_world(void)
{
    return world_new(tight, BIG);
}

static struct reader *live_reader(struct world *world, const char *terms)
{
    struct reader *reader = reader_new(world, terms, NULL, hub_applied(&world->hub));
    assert_int_equal(reader_drain(reader), TAKE_NOTHING);
    assert_true(sub_is_live(&reader->sub));
    return reader;
}

/* ---- live ------------------------------------------------------------------------------------ */

static void an_event_is_encoded_once_for_all_subscribers_of_a_view(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    struct reader *readers[100];
    for (int i = 0; i < 100; i++)
        readers[i] = live_reader(world, "a b");
    world_publish(world, "a", "one ");
    world_publish(world, "elsewhere", "two ");
    world_publish(world, "b", "three ");
    assert_int_equal(world->encoded, 2);
    assert_int_equal(world->hub.views_count, 1);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(readers[i]->wakes, 1);
        assert_int_equal(reader_drain(readers[i]), TAKE_NOTHING);
        reader_got(readers[i], "one three ");
        assert_int_equal(hub_cursor(&world->hub, &readers[i]->sub), hub_applied(&world->hub));
    }
    assert_int_equal(world->encoded, 2);
    assert_int_equal(world->hub.deliveries, 200);
    hub_turn_end(&world->hub);
    for (int i = 0; i < 100; i++)
        reader_free(readers[i]);
    world_free(world);
}

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

static void views_are_shared_by_selection_and_format(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    struct reader *one = live_reader(world, "a b"), *same = live_reader(world, "b a b");
    struct reader *other = live_reader(world, "a");
    assert_int_equal(world->hub.views_count, 2);
    hub_unsubscribe(&world->hub, &same->sub);
    reader_begin(same, 1, hub_applied(&world->hub), 0);
    assert_int_equal(world->hub.views_count, 3);
    assert_int_equal(reader_drain(same), TAKE_NOTHING);
    world_publish(world, "b", "x");
    reader_drain(one);
    reader_drain(same);
    reader_drain(other);
    reader_got(one, "x");
    reader_got(same, "x!");
    reader_got(other, "");
    reader_free(one);
    reader_free(same);
    reader_free(other);
    world_free(world);
}

static void an_event_comes_once_however_many_terms_match(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    struct reader *live = live_reader(world, "a/b a/* */b a/** **");
    uint64_t start = hub_applied(&world->hub);
    world_publish(world, "a/b", "x");
    reader_drain(live);
    reader_got(live, "x");
    hub_turn_end(&world->hub);
    struct reader *late = reader_new(world, "a/b a/* */b a/** **", NULL, start);
    reader_drain(late);
    reader_got(late, "x");
    reader_free(live);
    reader_free(late);
    world_free(world);
}

static void each_event_is_filtered_by_its_type(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    uint64_t start = hub_applied(&world->hub);
    struct reader *live = reader_new(world, "a", "trade quote", start);
    reader_drain(live);
    world_add(world, "a", "m");
    world_add(world, "a", "t")->type = STR("trade");
    world_add(world, "a", "q")->type = STR("quote");
    world_append(world);
    mailbox_empty(&world->mail);
    reader_drain(live);
    reader_got(live, "tq");
    hub_turn_end(&world->hub);
    world_publish(world, "a", "m");
    assert_int_equal(live->wakes, 1);
    struct reader *late = reader_new(world, "a", "quote", start);
    reader_drain(late);
    reader_got(late, "q");
    assert_int_equal(hub_cursor(&world->hub, &late->sub), hub_applied(&world->hub));
    reader_free(live);
    reader_free(late);
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

/* ---- full sockets ---------------------------------------------------------------------------- */

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

static void
a_subscriber_that_takes_nothing_in_a_turn_falls_behind_and_reads_by_its_cursor(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    struct reader *reader = live_reader(world, "a");
    world_publish(world, "a", "one ");
    hub_turn_end(&world->hub);
    assert_int_equal(reader->sub.state, SUB_BEHIND);
    world_publish(world, "a", "two ");
    reader_drain(reader);
    reader_got(reader, "one two ");
    reader_free(reader);
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

static void a_live_chunk_that_grows_too_long_is_kept_as_a_page(void **state)
{
    (void)state;
    struct world *world = tight_world();
    struct reader *slow = live_reader(world, "a"), *quick = live_reader(world, "a");
    char line[CHUNK / 2 + 1];
    memset(line, 'x', CHUNK / 2);
    line[CHUNK / 2] = '\0';
    for (int i = 0; i < 6; i++) {
        world_publish(world, "a", line);
        reader_drain(quick);
    }
    assert_true(world->hub.cached > 0);
    uint32_t encoded = world->encoded;
    assert_int_equal(reader_drain(slow), TAKE_NOTHING);
    assert_int_equal(slow->got.len, 6 * (CHUNK / 2));
    assert_int_equal(quick->got.len, 6 * (CHUNK / 2));
    /* The retired chunk is not encoded again, though the window has dropped its events. */
    assert_int_equal(world->encoded, encoded);
    assert_true(list_empty(&world->jobs));
    hub_turn_end(&world->hub);
    assert_int_equal(world->hub.cached, 0);
    reader_free(slow);
    reader_free(quick);
    world_free(world);
}

/* ---- many views ------------------------------------------------------------------------------ */

enum { VIEWS = 40 };

/* Readers of different selections that all have channel a, alternating between two formats. */
static void many_views(struct world *world, struct reader *readers[VIEWS], bool live)
{
    for (int i = 0; i < VIEWS; i++) {
        char terms[32];
        snprintf(terms, sizeof(terms), "a own/%d", i);
        readers[i] = reader_new(world, terms, NULL, hub_applied(&world->hub));
        hub_unsubscribe(&world->hub, &readers[i]->sub);
        reader_begin(readers[i], i % 2 ? 1 : 0, live ? hub_applied(&world->hub) : 0, 0);
    }
    assert_int_equal(world->hub.views_count, VIEWS);
}

static void check_many(struct world *world, struct reader *readers[VIEWS], const char *text)
{
    for (int i = 0; i < VIEWS; i++) {
        assert_int_equal(reader_drain(readers[i]), TAKE_NOTHING);
        assert_int_equal(readers[i]->got.len, strlen(text) + (i % 2 ? 1 : 0));
        assert_memory_equal(readers[i]->got.at, text, strlen(text));
        reader_free(readers[i]);
    }
    hub_turn_end(&world->hub);
    assert_int_equal(world->hub.room.bytes, 0);
    world_free(world);
}

/* Small and large, logged and ephemeral events: encoded once for each format, for all that are
 * live. */
static void an_event_is_encoded_once_for_all_views_of_a_format(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct world *world = roomy_world();
        struct reader *readers[VIEWS];
        const char *text = i & 1 ? "a large event, shared by reference " : "small ";
        world->hub.limits.large_bytes = 20;
        many_views(world, readers, true);
        (i & 2 ? world_ephemeral(world, "a", text) : (void)world_publish(world, "a", text));
        assert_int_equal(world->encoded, 2);
        check_many(world, readers, text);
    }
}

static void a_large_event_is_encoded_once_for_pages_too(void **state)
{
    (void)state;
    for (int stored = 0; stored < 2; stored++) {
        struct hub_limits limits = LIMITS(stored ? 1 : BIG, 64, 1 << 20);
        limits.large_bytes = 20;
        struct world *world = world_new(limits, BIG);
        struct reader *readers[VIEWS];
        const char *text = "a large event, shared by reference ";
        world_publish(world, "a", text);
        world_publish(world, "elsewhere", "x");
        many_views(world, readers, false);
        for (int i = 0; i < VIEWS; i++)
            while (reader_drain(readers[i]) == TAKE_WAIT)
                world_run_jobs(world);
        assert_int_equal(world->encoded, 2);
        check_many(world, readers, text);
    }
}

static void views_share_the_bytes_of_a_large_event(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    struct reader *readers[VIEWS];
    char *text = mem_alloc(100001);
    memset(text, 'x', 100000);
    world->hub.limits.live_max = 1 << 20;
    many_views(world, readers, true);
    world_publish(world, "a", text);
    assert_in_range(world->hub.room.bytes, 200000, 400000);
    check_many(world, readers, text);
    free(text);
}

/* Views fall behind if too much is live, and still get everything. */
static void beyond_live_max_views_fall_behind_and_lose_nothing(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    struct reader *readers[VIEWS];
    world->hub.limits.live_max = 4096;
    many_views(world, readers, true);
    for (int i = 0; i < 20; i++) {
        world_publish(world, "a", "some text ");
        assert_in_range(world->hub.room.bytes, 0, 8192);
    }
    assert_true(world->hub.fell_behind > 0);
    for (int i = 0; i < VIEWS; i++) {
        assert_int_equal(reader_drain(readers[i]), TAKE_NOTHING);
        assert_int_equal(readers[i]->got.len, 20 * (i % 2 ? 11 : 10));
        reader_free(readers[i]);
    }
    world_free(world);
}

/* The ephemeral event would be gone: no page has it. */
static void an_ephemeral_event_reaches_its_view_although_others_exceed_live_max(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    struct reader *large = live_reader(world, "a"), *small = live_reader(world, "e");
    world->hub.limits.chunk_bytes = 1 << 16;
    char text[1001];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (int i = 0; i < 5; i++)
        world_publish(world, "a", text);
    world->hub.limits.live_max = world->hub.room.bytes - 1;
    world_ephemeral(world, "e", "typing ");
    assert_int_equal(world->hub.fell_behind, 0);
    world_publish(world, "a", text);
    assert_int_equal(world->hub.fell_behind, 1);
    assert_int_equal(reader_drain(small), TAKE_NOTHING);
    assert_int_equal(reader_drain(large), TAKE_NOTHING);
    reader_got(small, "typing ");
    assert_int_equal(large->got.len, 6 * (sizeof(text) - 1));
    reader_free(large);
    reader_free(small);
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

/* Slow peers that reach a large event at different times share one copy, as long as one of them
 * holds it. */
static void a_piece_that_somebody_holds_is_not_encoded_again(void **state)
{
    (void)state;
    struct hub_limits limits = LIMITS(1, 64, 1 << 20);
    limits.large_bytes = 20;
    struct world *world = world_new(limits, BIG);
    const char *text = "a large event, shared by reference ";
    uint64_t begin = hub_applied(&world->hub);
    world_publish(world, "a", text);
    world_publish(world, "elsewhere", "x");
    struct piece *held = NULL;
    for (int i = 0; i < 3; i++) {
        struct reader *reader = reader_new(world, "a", NULL, begin);
        struct taken taken;
        while (hub_take(&world->hub, &reader->sub, &taken) == TAKE_WAIT)
            world_run_jobs(world);
        struct piece *piece = chunk_piece(taken.chunk, taken.first);
        assert_non_null(piece);
        assert_true(!held || piece == held);
        held = held ? held : piece_ref(piece);
        hub_sent(&world->hub, &reader->sub, taken.bytes.len, false);
        reader_free(reader);
        hub_turn_end(&world->hub);
        assert_true(list_empty(&world->hub.pieces));
    }
    assert_int_equal(world->encoded, 1);
    piece_unref(held);
    assert_true(list_empty(&world->hub.loose_pieces));
    world_free(world);
}

/* Views add nothing to an account that is exceeded, whatever has filled it. */
static void views_fall_behind_while_the_account_is_exceeded(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    struct reader *readers[VIEWS];
    struct account account = {.limit = 1000};
    world->hub.room.account = &account;
    many_views(world, readers, true);
    account_add(&account, ACCOUNT_INTAKE, 2000);
    world_publish(world, "a", "some text ");
    assert_int_equal(world->hub.fell_behind, VIEWS);
    assert_int_equal(world->hub.room.bytes, 0);
    account_sub(&account, ACCOUNT_INTAKE, 2000);
    check_many(world, readers, "some text ");
}

/* ---- slices ---------------------------------------------------------------------------------- */

/* A world in which a turn does one step. */
static struct world *slow_world(void)
{
    struct hub_limits limits = roomy;
    limits.slice_bytes = 1;
    struct world *world = world_new(limits, BIG);
    hub_turn(&world->hub);
    return world;
}

static unsigned woken(struct reader *readers[VIEWS])
{
    unsigned count = 0;
    for (int i = 0; i < VIEWS; i++)
        count += readers[i]->wakes > 0;
    return count;
}

static void an_event_reaches_many_views_in_many_turns(void **state)
{
    (void)state;
    struct world *world = slow_world();
    struct reader *readers[VIEWS];
    uint64_t start = hub_applied(&world->hub);
    many_views(world, readers, true);
    uint64_t id = world_publish(world, "a", "text ");
    unsigned before = woken(readers), turns = 0;
    for (; hub_is_busy(&world->hub); turns++) {
        assert_true(atomic_load(&world->hub.port.backlog) > 0);
        if (hub_is_between(&world->hub))
            assert_int_equal(hub_applied(&world->hub), start);
        hub_turn(&world->hub);
        hub_turn_end(&world->hub);
        assert_in_range(woken(readers), before, before + 1);
        before = woken(readers);
    }
    assert_true(turns >= VIEWS);
    assert_int_equal(hub_applied(&world->hub), id);
    assert_int_equal(atomic_load(&world->hub.port.backlog), 0);
    for (int i = 0; i < VIEWS; i++)
        hub_turn(&world->hub);
    assert_int_equal(woken(readers), VIEWS);
    world->hub.limits.slice_bytes = BIG;
    hub_turn(&world->hub);
    for (int i = 0; i < VIEWS; i++) {
        assert_int_equal(reader_drain(readers[i]), TAKE_NOTHING);
        assert_int_equal(readers[i]->got.len, i % 2 ? 6 : 5);
        reader_free(readers[i]);
    }
    world_free(world);
}

static void many_subscribers_of_a_view_are_woken_in_many_turns(void **state)
{
    (void)state;
    struct world *world = slow_world();
    struct reader *readers[VIEWS];
    for (int i = 0; i < VIEWS; i++)
        readers[i] = live_reader(world, "a");
    world_ephemeral(world, "a", "typing ");
    for (unsigned before = woken(readers); hub_is_busy(&world->hub); before = woken(readers)) {
        hub_turn(&world->hub);
        assert_in_range(woken(readers), before, before + 1);
        for (int i = 0; i < VIEWS; i++)
            reader_drain(readers[i]);
        hub_turn_end(&world->hub);
    }
    for (int i = 0; i < VIEWS; i++) {
        reader_drain(readers[i]);
        reader_got(readers[i], "typing ");
        reader_free(readers[i]);
    }
    world_free(world);
}

/* A client that publishes and then reads finds its event, even if it is not fanned out yet. */
static void a_subscriber_that_joins_during_a_fan_out_waits_for_the_posted_batch(void **state)
{
    (void)state;
    struct world *world = slow_world();
    uint64_t start = hub_applied(&world->hub);
    struct reader *live = live_reader(world, "a b");
    world_publish(world, "a", "one ");
    world_publish(world, "b", "two ");
    struct reader *late = reader_new(world, "a b", NULL, start);
    struct reader *now = reader_new(world, "a b", NULL, log_newest(world->log));
    assert_int_equal(reader_drain(late), TAKE_WAIT);
    assert_int_equal(reader_drain(now), TAKE_WAIT);
    world_turn(world);
    assert_int_equal(late->wakes, 1);
    hub_turn(&world->hub);
    assert_int_equal(reader_drain(late), TAKE_NOTHING);
    assert_int_equal(reader_drain(now), TAKE_NOTHING);
    assert_int_equal(reader_drain(live), TAKE_NOTHING);
    reader_got(late, "one two ");
    reader_got(now, "");
    reader_got(live, "one two ");
    reader_free(late);
    reader_free(now);
    reader_free(live);
    world_free(world);
}

/* The event that a subscriber waits for may be followed by an ephemeral one in the same batch. */
static void a_subscriber_that_waits_for_a_batch_gets_the_ephemeral_event_behind_it(void **state)
{
    (void)state;
    struct world *world = slow_world();
    struct reader *live = live_reader(world, "a");
    world_add(world, "a", "one ");
    world_add(world, "a", "two ");
    uint64_t newest = world_append(world);
    mailbox_empty(&world->mail);
    struct reader *late = reader_new(world, "e", NULL, newest);
    assert_false(sub_is_live(&late->sub));
    world_ephemeral(world, "e", "typing ");
    world->hub.limits.slice_bytes = BIG;
    hub_turn(&world->hub);
    reader_drain(late);
    reader_drain(live);
    reader_got(late, "typing ");
    reader_got(live, "one two ");
    assert_int_equal(world->hub.ahead_least, UINT64_MAX);
    reader_free(late);
    reader_free(live);
    world_free(world);
}

static void a_live_subscriber_stays_live_with_another_selection(void **state)
{
    (void)state;
    struct world *world = slow_world();
    struct reader *other = live_reader(world, "a"), *moved = live_reader(world, "e");
    world_add(world, "a", "one ");
    world_add(world, "a", "two ");
    world_append(world);
    mailbox_empty(&world->mail);
    while (hub_is_between(&world->hub))
        hub_turn(&world->hub);
    assert_true(hub_is_busy(&world->hub));
    struct selection *wider = select_terms("e f", NULL);
    hub_unsubscribe(&world->hub, &moved->sub);
    assert_int_equal(
        hub_go_on(&world->hub, &moved->sub, &reader_ops, wider, 0, hub_applied(&world->hub), 0), 0);
    assert_true(sub_is_live(&moved->sub));
    world_ephemeral(world, "e", "typing ");
    world_turn(world);
    hub_turn(&world->hub);
    reader_drain(moved);
    reader_got(moved, "typing ");
    selection_unref(wider);
    reader_free(moved);
    reader_free(other);
    world_free(world);
}

/* The owner sleeps between the start of the turn and the mail that wakes it. */
static void sleeping_time_does_not_count_in_the_budget(void **state)
{
    (void)state;
    struct world *world = slow_world();
    struct reader *readers[VIEWS];
    many_views(world, readers, true);
    world->hub.limits.slice_bytes = BIG;
    hub_turn(&world->hub);
    clock_fake_advance(&world->clock, 1000000);
    char text[1000] = {0};
    memset(text, 'x', sizeof(text) - 1);
    world_publish(world, "a", text);
    assert_int_equal(world->hub.fan_outs_put_off, 0);
    assert_int_equal(woken(readers), VIEWS);
    for (int i = 0; i < VIEWS; i++)
        reader_free(readers[i]);
    world_free(world);
}

static void views_with_nobody_live_are_passed_over(void **state)
{
    (void)state;
    struct world *world = slow_world();
    struct reader *readers[VIEWS];
    uint64_t start = hub_applied(&world->hub);
    world_publish(world, "a", "old ");
    world_turn(world);
    many_views(world, readers, true);
    for (int i = 0; i < VIEWS; i++) {
        hub_unsubscribe(&world->hub, &readers[i]->sub);
        reader_begin(readers[i], 0, start, 0);
    }
    world_publish(world, "a", "new ");
    assert_false(hub_is_busy(&world->hub) && hub_is_between(&world->hub));
    assert_int_equal(world->hub.fan_out.views_count, 0);
    world_turn(world);
    world->hub.limits.slice_bytes = BIG;
    hub_turn(&world->hub);
    for (int i = 0; i < VIEWS; i++) {
        assert_int_equal(reader_drain(readers[i]), TAKE_NOTHING);
        reader_got(readers[i], "old new ");
        reader_free(readers[i]);
    }
    world_free(world);
}

static void pages_of_a_turn_are_bounded_and_the_rest_is_put_off(void **state)
{
    (void)state;
    struct world *world = slow_world();
    struct reader *readers[VIEWS];
    uint64_t start = hub_applied(&world->hub);
    world_publish(world, "a", "text ");
    world_turn(world);
    many_views(world, readers, true);
    for (int i = 0; i < VIEWS; i++) {
        hub_unsubscribe(&world->hub, &readers[i]->sub);
        reader_begin(readers[i], 0, start, 0);
    }
    unsigned encoded = world->encoded, left = VIEWS;
    for (int turns = 0; left; turns++) {
        assert_true(turns <= VIEWS);
        hub_turn(&world->hub);
        for (int i = 0; i < VIEWS; i++)
            left -= !sub_is_live(&readers[i]->sub) && reader_drain(readers[i]) == TAKE_NOTHING;
        assert_in_range(world->encoded - encoded, 1, 1);
        encoded = world->encoded;
        for (int i = 0; i < VIEWS; i++) /* put off, but not a read of the store */
            assert_false(hub_sub_reads_store(&world->hub, &readers[i]->sub));
    }
    for (int i = 0; i < VIEWS; i++) {
        reader_got(readers[i], "text ");
        reader_free(readers[i]);
    }
    world_free(world);
}

static void a_view_may_go_while_an_event_is_on_its_way_to_it(void **state)
{
    (void)state;
    struct world *world = slow_world();
    struct reader *readers[VIEWS];
    many_views(world, readers, true);
    world_publish(world, "a", "text ");
    for (int i = 0; i < VIEWS; i++) {
        hub_turn(&world->hub);
        reader_free(readers[i * 7 % VIEWS]);
    }
    world_turn(world);
    world_free(world);
}

/* ---- ephemeral ------------------------------------------------------------------------------- */

static void ephemeral_events_reach_live_subscribers_and_move_no_cursor(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    world_publish(world, "a", "old ");
    uint64_t start = hub_applied(&world->hub);
    struct reader *live = live_reader(world, "a"),
                  *behind = reader_new(world, "a", NULL, start - 1);
    world_ephemeral(world, "a", "typing ");
    assert_int_equal(hub_applied(&world->hub), start);
    reader_drain(live);
    reader_drain(behind);
    reader_got(live, "typing ");
    reader_got(behind, "old ");
    assert_int_equal(hub_cursor(&world->hub, &live->sub), start);
    world_publish(world, "a", "1 ");
    world_ephemeral(world, "a", "e ");
    world_publish(world, "a", "2 ");
    reader_flush(live, 3); /* cut within the ephemeral one */
    assert_int_equal(hub_cursor(&world->hub, &live->sub), start + 1);
    reader_drain(live);
    reader_drain(behind);
    reader_got(live, "1 e 2 ");
    reader_got(behind, "1 e 2 ");
    world_ephemeral(world, "a", "gone ");
    hub_turn_end(&world->hub);
    reader_drain(live);
    reader_got(live, "");
    reader_free(live);
    reader_free(behind);
    world_free(world);
}

/* The head of a stream is sent before the first take. A client that has read it and publishes must
 * find the stream live. */
static void
ephemeral_events_reach_a_subscriber_that_was_sent_everything_without_a_take(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    world_publish(world, "a", "old ");
    uint64_t start = hub_applied(&world->hub);
    world_add(world, "a", "seen ");
    uint64_t seen = world_append(world); /* seen by another thread; this thread's mail is not opened
                                          * yet */
    struct reader *fresh = reader_new(world, "a", NULL, start);
    struct reader *ahead = reader_new(world, "a", NULL, seen);
    struct reader *reading = reader_new(world, "a", NULL, start - 1);
    struct taken taken;
    assert_int_equal(hub_take(&world->hub, &reading->sub, &taken), TAKE_BYTES);
    hub_sent(&world->hub, &reading->sub, taken.bytes.len, false);
    assert_true(sub_is_live(&fresh->sub));
    assert_true(sub_is_live(&reading->sub));
    world_ephemeral(world, "a", "typing ");
    reader_drain(fresh);
    reader_drain(ahead);
    reader_drain(reading);
    reader_got(fresh, "seen typing ");
    reader_got(ahead, "typing ");
    reader_got(reading, "seen typing ");
    reader_free(fresh);
    reader_free(ahead);
    reader_free(reading);
    world_free(world);
}

static void a_subscriber_that_resumes_with_nothing_missed_is_live_at_once(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    uint64_t seen = world_publish(world, "quiet", "old ");
    world_publish(world, "elsewhere", "x ");
    struct reader *quiet = reader_new(world, "quiet never", NULL, seen);
    struct reader *busy = reader_new(world, "quiet elsewhere", NULL, seen);
    assert_true(sub_is_live(&quiet->sub));
    assert_int_equal(hub_cursor(&world->hub, &quiet->sub), hub_applied(&world->hub));
    assert_false(sub_is_live(&busy->sub));
    world_ephemeral(world, "quiet", "typing ");
    reader_drain(quiet);
    reader_drain(busy);
    reader_got(quiet, "typing ");
    reader_got(busy, "x ");
    reader_free(quiet);
    reader_free(busy);
    world_free(world);
}

static void a_subscriber_that_resumes_behind_a_gap_hears_of_it_without_new_events(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    uint64_t start = hub_applied(&world->hub);
    world_publish(world, "a", "gone ");
    world_trim(world, "a");
    mailbox_empty(&world->mail);
    world_publish(world, "elsewhere", "x ");
    struct reader *reader = reader_new(world, "a", NULL, start);
    assert_false(sub_is_live(&reader->sub));
    reader_drain(reader);
    assert_int_equal(reader->gaps, 1);
    assert_true(sub_is_live(&reader->sub));
    reader_free(reader);
    world_free(world);
}

static void a_long_live_chunk_with_ephemeral_events_is_no_page(void **state)
{
    (void)state;
    struct world *world = world_new((struct hub_limits)LIMITS(BIG, 8, 1 << 20), BIG);
    struct reader *reader = live_reader(world, "a");
    world_publish(world, "a", "1 ");
    world_ephemeral(world, "a", "e ");
    world_publish(world, "a", "2222222 ");
    assert_int_equal(world->hub.cached, 0);
    reader_drain(reader);
    reader_got(reader, "1 2222222 ");
    reader_free(reader);
    world_free(world);
}

/* ---- catching up ----------------------------------------------------------------------------- */

static void a_page_of_the_window_is_encoded_once_for_all_its_subscribers(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    uint64_t start = hub_applied(&world->hub);
    world_publish(world, "a", "one ");
    world_publish(world, "b", "- ");
    world_publish(world, "a", "two ");
    struct reader *readers[10];
    for (int i = 0; i < 10; i++) {
        readers[i] = reader_new(world, "a", NULL, start);
        reader_drain(readers[i]);
        reader_got(readers[i], "one two ");
        assert_true(sub_is_live(&readers[i]->sub));
    }
    assert_int_equal(world->encoded, 2);
    assert_true(list_empty(&world->jobs));
    for (int i = 0; i < 10; i++)
        reader_free(readers[i]);
    world_free(world);
}

static void below_the_window_the_store_is_read_once_for_equal_cursors(void **state)
{
    (void)state;
    struct world *world = tight_world();
    uint64_t start = hub_applied(&world->hub);
    for (int i = 0; i < 10; i++)
        world_publish(world, i % 2 ? "b" : "a", i % 2 ? "b " : "a ");
    struct reader *readers[10];
    for (int i = 0; i < 10; i++) {
        readers[i] = reader_new(world, "a", NULL, start);
        assert_int_equal(reader_drain(readers[i]), TAKE_WAIT);
        assert_int_equal(reader_drain(readers[i]), TAKE_WAIT);
        assert_true(hub_sub_reads_store(&world->hub, &readers[i]->sub));
    }
    assert_int_equal(world->asker.open, 1);
    assert_int_equal(world_run_jobs(world), 1);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(readers[i]->wakes, 1);
        assert_int_equal(reader_drain(readers[i]), TAKE_NOTHING);
        reader_got(readers[i], "a a a a a ");
        assert_true(sub_is_live(&readers[i]->sub));
    }
    assert_int_equal(world->encoded, 5);
    for (int i = 0; i < 10; i++)
        reader_free(readers[i]);
    world_free(world);
}

static void a_subscriber_that_takes_few_events_has_no_more_of_them_read(void **state)
{
    (void)state;
    struct world *world = tight_world();
    uint64_t start = hub_applied(&world->hub);
    for (int i = 0; i < 10; i++)
        world_publish(world, "a", "a ");
    struct reader *reader = reader_new(world, "a", NULL, start);
    reader->sub.most = 3;
    assert_int_equal(reader_drain(reader), TAKE_WAIT);
    assert_int_equal(world_run_jobs(world), 1);
    assert_int_equal(reader_drain(reader), TAKE_WAIT);
    reader_got(reader, "a a a ");
    assert_int_equal(world->encoded, 3);
    reader_free(reader);
    world_free(world);
}

static void reads_wait_while_others_have_found_too_much(void **state)
{
    enum { READERS = 6 };
    (void)state;
    struct world *world = world_new(tight, BIG);
    world->asker.most = 1;
    struct reader *readers[READERS];
    uint64_t start = hub_applied(&world->hub);
    for (int i = 0; i < READERS; i++)
        world_publish(world, (char[]){(char)('a' + i), '\0'}, "one ");
    world_publish(world, "last", "");
    for (int i = 0; i < READERS; i++) {
        readers[i] = reader_new(world, (char[]){(char)('a' + i), '\0'}, NULL, start);
        assert_int_equal(reader_drain(readers[i]), TAKE_WAIT);
    }
    assert_int_equal(world_run_jobs(world), READERS);
    assert_int_equal(readers[0]->wakes, 1);
    assert_int_equal(readers[READERS - 1]->wakes, 0);
    assert_true(asker_put_off(&world->asker) >= READERS - 1);
    while (world_run_jobs(world))
        ;
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(reader_drain(readers[i]), TAKE_NOTHING);
        reader_got(readers[i], "one ");
        reader_free(readers[i]);
    }
    assert_int_equal(asker_held(&world->asker), 0);
    world_free(world);
}

static void a_long_history_comes_page_by_page(void **state)
{
    (void)state;
    struct world *world = tight_world();
    uint64_t start = hub_applied(&world->hub);
    struct buf want = {0};
    for (int i = 0; i < 200; i++) {
        char data[16];
        snprintf(data, sizeof(data), "%d,", i);
        world_publish(world, "a", data);
        buf_add_str(&want, str_from(data));
    }
    buf_add_char(&want, '\0');
    struct reader *reader = reader_new(world, "a", NULL, start);
    unsigned reads = 0;
    while (reader_drain(reader) == TAKE_WAIT) {
        assert_int_equal(world_run_jobs(world), 1);
        reads++;
    }
    assert_true(reads > 3);
    reader_got(reader, want.at);
    buf_free(&want);
    reader_free(reader);
    world_free(world);
}

static void a_read_that_fails_is_told_and_can_be_tried_again(void **state)
{
    (void)state;
    struct world *world = tight_world();
    uint64_t start = hub_applied(&world->hub);
    world_publish(world, "a", "one ");
    world_publish(world, "a", "two ");
    struct reader *reader = reader_new(world, "a", NULL, start);
    for (unsigned long nth = 1;; nth++) {
        unsigned failures = reader->failures;
        assert_int_equal(reader_drain(reader), TAKE_WAIT);
        mem_fail_nth(nth);
        world_run_jobs(world);
        mem_fail_nth(0);
        if (reader_drain(reader) == TAKE_NOTHING)
            break;
        assert_true(reader->failures > failures || reader->last == TAKE_WAIT);
        world_run_jobs(world);
        hub_turn_end(&world->hub);
        assert_int_equal(reader->got.len, 0);
    }
    assert_true(reader->failures >= 3);
    reader_got(reader, "one two ");
    reader_free(reader);
    world_free(world);
}

/* ---- gaps and trims -------------------------------------------------------------------------- */

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

static void miss(void *owner, uint64_t upto)
{
    hub_miss(&((struct world *)owner)->hub, upto);
}

/* A hub whose mail is bounded: two or three batches; later ones pass it by. */
static struct world *bounded_world(void)
{
    struct hub_limits limits = roomy;
    limits.backlog_max = 64;
    limits.on_missed = miss;
    return world_new(limits, BIG);
}

/* Publishes numbers in order; the mail stays closed. */
static void publish_numbers(struct world *world, int from, int to, struct buf *want)
{
    for (int i = from; i < to; i++) {
        char number[16];
        snprintf(number, sizeof(number), "%d ", i);
        buf_add_str(want, str_from(number));
        world_add(world, "a", number);
        world_append(world);
    }
}

static void drain_all(struct reader *reader)
{
    do
        reader_drain(reader);
    while (world_run_jobs(reader->world));
    assert_int_equal(reader->last, TAKE_NOTHING);
}

static void assert_got(struct reader *reader, struct buf *want)
{
    assert_true(str_eq(buf_str(&reader->got), buf_str(want)));
    assert_int_equal(reader->gaps, 0);
}

static void batches_that_passed_by_are_read_from_the_store_in_order_and_once(void **state)
{
    (void)state;
    struct world *world = bounded_world();
    struct reader *reader = live_reader(world, "a");
    struct buf want = {0};
    for (int round = 0; round < 3; round++) {
        publish_numbers(world, round * 100, round * 100 + 100, &want);
        assert_int_equal(log_backlog_bytes(world->log), 0); /* publishers do not wait for it */
        assert_true(atomic_load(&world->hub.port.is_missing));
        mailbox_empty(&world->mail);
        drain_all(reader);
        assert_got(reader, &want);
        assert_true(sub_is_live(&reader->sub));
    }
    publish_numbers(world, 300, 301, &want);
    mailbox_empty(&world->mail);
    assert_int_equal(reader_drain(reader), TAKE_NOTHING);
    assert_got(reader, &want);
    buf_free(&want);
    reader_free(reader);
    world_free(world);
}

static void subscribers_in_every_state_get_the_batches_that_passed_by(void **state)
{
    (void)state;
    struct world *world = bounded_world();
    struct reader *live = live_reader(world, "a"), *queued = live_reader(world, "a"),
                  *cut = live_reader(world, "a"), *waiting = live_reader(world, "a"),
                  *other = live_reader(world, "b");
    struct buf want = {0};
    publish_numbers(world, 10, 40, &want);
    mailbox_empty(&world->mail);
    assert_int_equal(reader_drain(waiting), TAKE_WAIT);
    drain_all(live);
    publish_numbers(world, 40, 41, &want);
    mailbox_empty(&world->mail);
    reader_flush(cut, 5);
    publish_numbers(world, 41, 99, &want);
    mailbox_empty(&world->mail);
    struct reader *all[] = {live, queued, cut, waiting};
    for (size_t i = 0; i < 4; i++) {
        drain_all(all[i]);
        assert_got(all[i], &want);
        reader_free(all[i]);
    }
    drain_all(other);
    assert_int_equal(other->got.len, 0);
    assert_true(sub_is_live(&other->sub));
    reader_free(other);
    buf_free(&want);
    world_free(world);
}

static void a_passed_by_batch_that_was_trimmed_is_a_gap(void **state)
{
    (void)state;
    struct world *world = bounded_world();
    struct reader *reader = live_reader(world, "a");
    struct buf want = {0};
    publish_numbers(world, 0, 50, &want);
    uint64_t last = log_newest(world->log);
    world_trim(world, "a");
    mailbox_empty(&world->mail);
    drain_all(reader);
    assert_int_equal(reader->gaps, 1);
    assert_int_equal(reader->gap, last);
    buf_clear(&reader->got); /* events that were delivered live */
    world_publish(world, "a", "after ");
    reader_drain(reader);
    reader_got(reader, "after ");
    assert_int_equal(reader->gaps, 1);
    buf_free(&want);
    reader_free(reader);
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

/* The log hides an event from readers as soon as it is trimmed, while the TRIM entry is still in
 * the mail. A subscriber must not be served a page that was read in between: it would miss the
 * event without a gap. */
static void a_page_of_the_store_ahead_of_the_mail_hides_no_gap(void **state)
{
    (void)state;
    struct world *world = world_new((struct hub_limits)LIMITS(BIG, 4096, 1 << 20), BIG);
    uint64_t start = hub_applied(&world->hub);
    world_publish(world, "a", "1 ");
    world->hub.window.held_above = start + 1; /* lets the first event fall out */
    world_publish(world, "a", "2 ");
    world_publish(world, "a", "3 ");
    struct reader *old = reader_new(world, "a", NULL, start);
    struct reader *recent = reader_new(world, "a", NULL, start + 1);
    reader_flush(recent, 1); /* "2" is cut */
    reader_send_rest(recent, &(size_t){1});
    hub_turn_end(&world->hub);
    assert_int_equal(reader_drain(old), TAKE_WAIT);
    world_trim(world, "a");
    world_run_jobs(world); /* the result of the read overtakes the TRIM entry */
    reader_drain(recent);
    assert_true(recent->gaps == 1 || str_eq(buf_str(&recent->got), STR("2 3 ")));
    reader_drain(old);
    assert_int_equal(old->gaps, 1);
    mailbox_empty(&world->mail);
    reader_drain(old);
    reader_drain(recent);
    reader_free(old);
    reader_free(recent);
    world_free(world);
}

static void deleted_events_are_in_no_page_of_later_subscribers(void **state)
{
    (void)state;
    struct world *world = tight_world();
    uint64_t start = hub_applied(&world->hub);
    world_publish(world, "a", "secret ");
    world_publish(world, "a", "secret ");
    world_publish(world, "b", "b ");
    struct reader *early = reader_new(world, "a b", NULL, start);
    reader_drain(early);
    struct log_job *job = world_take_job(world); /* reads before the DELETE, answers after it */
    while (!job->run(job, world->log))
        ;
    world_trim(world, "a");
    mailbox_empty(&world->mail);
    struct reader *late = reader_new(world, "a b", NULL, start);
    reader_drain(late);
    mailbox_post(job->reply, &job->mail);
    while (mailbox_empty(&world->answers) || world_run_jobs(world))
        ;
    reader_drain(late);
    world_run_jobs(world);
    reader_drain(late);
    reader_got(late, "b ");
    assert_int_equal(late->gaps, 1);
    /* The same for a page that is in the cache already. */
    world_publish(world, "a", "secret ");
    struct reader *third = reader_new(world, "a b", NULL, start);
    while (reader_drain(third) == TAKE_WAIT)
        world_run_jobs(world);
    assert_true(world->hub.cached > 0);
    world_trim(world, "a");
    mailbox_empty(&world->mail);
    struct reader *fourth = reader_new(world, "a b", NULL, start);
    while (reader_drain(fourth) == TAKE_WAIT)
        world_run_jobs(world);
    reader_got(fourth, "b ");
    reader_free(early);
    reader_free(late);
    reader_free(third);
    reader_free(fourth);
    world_free(world);
}

static void a_live_chunk_with_deleted_events_does_not_become_a_page(void **state)
{
    (void)state;
    struct world *world = world_new((struct hub_limits)LIMITS(BIG, 16, 1 << 20), BIG);
    uint64_t start = hub_applied(&world->hub);
    struct reader *slow = live_reader(world, "a");
    world_publish(world, "a", "secret ");
    world_trim(world, "a");
    mailbox_empty(&world->mail);
    world_publish(world, "a", "0123456789abcdef ");
    struct reader *late = reader_new(world, "a", NULL, start);
    reader_drain(late);
    reader_got(late, "0123456789abcdef ");
    assert_int_equal(late->gaps, 1);
    reader_drain(slow); /* lacks the deleted events too, and gets a gap */
    reader_got(slow, "0123456789abcdef ");
    assert_int_equal(slow->gaps, 1);
    reader_free(slow);
    reader_free(late);
    world_free(world);
}

/* ---- ahead of the mail ----------------------------------------------------------------------- */

static void
a_subscriber_with_a_cursor_ahead_of_this_thread_waits_and_gets_nothing_twice(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    world_add(world, "a", "seen ");
    uint64_t seen = world_append(world); /* the mail of another thread was opened, this thread's was
                                          * not */
    struct reader *reader = reader_new(world, "a", NULL, seen);
    assert_int_equal(reader_drain(reader), TAKE_WAIT);
    assert_int_equal(reader->sub.state, SUB_WAITING);
    assert_false(hub_sub_reads_store(&world->hub, &reader->sub));
    assert_int_equal(hub_cursor(&world->hub, &reader->sub), seen);
    world_add(world, "a", "new ");
    world_append(world);
    mailbox_empty(&world->mail);
    assert_true(reader->wakes > 0);
    assert_int_equal(reader_drain(reader), TAKE_NOTHING);
    reader_got(reader, "new ");
    reader_free(reader);
    world_free(world);
}

static void a_subscriber_that_waits_for_mail_can_leave(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    struct reader *reader = reader_new(world, "a", NULL, hub_applied(&world->hub) + 5);
    assert_int_equal(reader_drain(reader), TAKE_WAIT);
    reader_free(reader);
    assert_true(list_empty(&world->hub.ahead));
    world_publish(world, "a", "x");
    world_free(world);
}

/* ---- leaving --------------------------------------------------------------------------------- */

static void a_subscriber_can_leave_in_every_state(void **state)
{
    (void)state;
    struct world *world = tight_world();
    uint64_t start = hub_applied(&world->hub);
    world_publish(world, "a", "one ");
    world_publish(world, "a", "two ");
    struct reader *none = live_reader(world, "a"), *live = live_reader(world, "a");
    struct reader *queued = live_reader(world, "a"), *taking = live_reader(world, "a");
    struct reader *behind = reader_new(world, "a", NULL, start);
    struct reader *waiting = reader_new(world, "a", NULL, start);
    struct reader *stays = live_reader(world, "a");
    struct taken taken;
    hub_unsubscribe(&world->hub, &none->sub);
    hub_unsubscribe(&world->hub, &none->sub);
    reader_drain(waiting);
    world_publish(world, "a", "three ");
    reader_drain(live);
    assert_true(sub_is_live(&live->sub));
    assert_int_equal(queued->sub.state, SUB_QUEUED);
    assert_int_equal(hub_take(&world->hub, &taking->sub, &taken), TAKE_BYTES);
    reader_free(taking);
    reader_free(queued);
    reader_free(live);
    reader_free(behind);
    reader_free(waiting);
    reader_free(none);
    reader_drain(stays);
    reader_got(stays, "three ");
    world_run_jobs(world);
    reader_free(stays);
    world_free(world);
}

static void a_view_can_go_while_its_read_is_under_way(void **state)
{
    (void)state;
    struct world *world = tight_world();
    uint64_t start = hub_applied(&world->hub);
    world_publish(world, "a", "one ");
    world_publish(world, "a", "two ");
    struct reader *reader = reader_new(world, "a", NULL, start);
    assert_int_equal(reader_drain(reader), TAKE_WAIT);
    hub_unsubscribe(&world->hub, &reader->sub);
    assert_int_equal(world->hub.views_count, 0);
    assert_int_equal(world->asker.open, 1);
    /* The same view begins again, with a read of its own. */
    reader_begin(reader, 0, start, 0);
    assert_int_equal(reader_drain(reader), TAKE_WAIT);
    assert_int_equal(world->asker.open, 2);
    assert_int_equal(world_run_jobs(world), 2);
    assert_int_equal(reader_drain(reader), TAKE_NOTHING);
    reader_got(reader, "one two ");
    assert_int_equal(world->asker.open, 0);
    reader_free(reader);
    world_free(world);
}

static void a_read_is_cancelled_when_its_last_subscriber_leaves(void **state)
{
    (void)state;
    struct world *world = tight_world();
    uint64_t start = hub_applied(&world->hub);
    world_publish(world, "a", "one ");
    world_publish(world, "a", "two ");
    struct reader *stays = reader_new(world, "a", NULL, hub_applied(&world->hub));
    struct reader *first = reader_new(world, "a", NULL, start);
    struct reader *second = reader_new(world, "a", NULL, start);
    assert_int_equal(reader_drain(first), TAKE_WAIT);
    assert_int_equal(reader_drain(second), TAKE_WAIT);
    reader_free(first);
    assert_int_equal(world->cancelled, 0);
    reader_free(second);
    assert_int_equal(world->cancelled, 1);
    /* Another subscriber that comes before the mail does not wait for the cancelled read. */
    struct reader *third = reader_new(world, "a", NULL, start);
    assert_int_equal(reader_drain(third), TAKE_WAIT);
    assert_int_equal(world->asker.open, 2);
    assert_int_equal(world_run_jobs(world), 2);
    assert_int_equal(reader_drain(third), TAKE_NOTHING);
    reader_got(third, "one two ");
    reader_free(third);
    reader_free(stays);
    world_free(world);
}

/* Readers of a channel of `count` events, each at another position, the newest first. */
static void read_from_each(struct world *world, struct reader **readers, int count)
{
    uint64_t start = hub_applied(&world->hub);
    for (int i = 0; i < count; i++)
        world_publish(world, "a", "x");
    for (int i = 0; i < count; i++) {
        readers[i] = reader_new(world, "a", NULL, start + (uint64_t)(count - 1 - i));
        assert_int_equal(reader_drain(readers[i]), TAKE_NOTHING);
        assert_int_equal(readers[i]->got.len, i + 1);
    }
}

static void pages_that_contain_each_other_are_kept_once(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    struct reader *readers[50];
    read_from_each(world, readers, 50);
    assert_int_equal(world->hub.pages_count, 1);
    for (int i = 0; i < 50; i++)
        reader_free(readers[i]);
    world_free(world);
}

static void the_number_of_cached_pages_is_bounded(void **state)
{
    (void)state;
    enum { MANY = 1200, MOST = 1024 };
    struct hub_limits limits = roomy;
    limits.chunk_bytes = 1; /* an event each */
    limits.cache_bytes = BIG;
    struct world *world = world_new(limits, BIG);
    struct reader *readers[MANY - 1];
    uint64_t start = hub_applied(&world->hub);
    for (int i = 0; i < MANY; i++)
        world_publish(world, "a", "x");
    struct reader *reader = reader_new(world, "a", NULL, start);
    reader_drain(reader);
    assert_int_equal(reader->got.len, MANY);
    assert_int_equal(world->hub.pages_count, MOST);
    for (int i = 0; i < MANY - 1; i++) { /* each page is found, or made again */
        readers[i] = reader_new(world, "a", NULL, start + (uint64_t)i);
        assert_int_equal(reader_flush(readers[i], 1), TAKE_BYTES);
        reader_got(readers[i], "x");
    }
    assert_int_equal(world->hub.pages_count, MOST);
    for (int i = 0; i < MANY - 1; i++)
        reader_free(readers[i]);
    reader_free(reader);
    world_free(world);
}

static void the_live_chunk_and_pages_of_a_view_go_with_its_last_subscriber(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    struct reader *reader = live_reader(world, "a");
    uint64_t start = hub_applied(&world->hub);
    world_publish(world, "a", "x");
    struct reader *late = reader_new(world, "a", NULL, start);
    reader_drain(late);
    reader_free(late);
    assert_false(list_empty(&world->hub.dirty));
    assert_true(world->hub.cached > 0);
    reader_free(reader);
    assert_true(list_empty(&world->hub.dirty));
    assert_true(list_empty(&world->hub.cache));
    assert_int_equal(world->hub.cached, 0);
    world_publish(world, "a", "y");
    world_free(world);
}

/* ---- without memory -------------------------------------------------------------------------- */

static void a_subscriber_that_finds_no_memory_leaves_nothing_behind(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    struct selection *selection = select_terms("a b/*", NULL);
    struct sub sub = {0};
    int result = -1;
    for (unsigned long nth = 1; result; nth++) {
        mem_fail_nth(nth);
        result = hub_subscribe(&world->hub, &sub, &reader_ops, selection, 0, 1, 0);
        mem_fail_nth(0);
        assert_int_equal(world->hub.subs, result ? 0 : 1);
        assert_int_equal(world->hub.views_count, result ? 0 : 1);
        assert_int_equal(world->hub.topics.names.count, result ? 0 : 1);
    }
    hub_unsubscribe(&world->hub, &sub);
    selection_unref(selection);
    world_free(world);
}

static void without_memory_for_a_live_chunk_a_page_is_read_later(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    for (unsigned long nth = 1; nth <= 8; nth++) {
        struct reader *one = live_reader(world, "a"), *two = live_reader(world, "a");
        world_publish(world, "a", "one ");
        reader_drain(one);
        world_add(world, "a", "two ");
        world_add(world, "a", "three ");
        world_append(world);
        mem_fail_nth(nth);
        mailbox_empty(&world->mail);
        mem_fail_nth(0);
        assert_true(one->wakes >= 2);
        assert_int_equal(reader_drain(one), TAKE_NOTHING);
        hub_turn_end(&world->hub);
        assert_int_equal(reader_drain(two), TAKE_NOTHING);
        reader_got(one, "one two three ");
        reader_got(two, "one two three ");
        reader_free(one);
        reader_free(two);
        hub_turn_end(&world->hub);
    }
    world_free(world);
}

static void without_memory_for_a_page_the_taker_is_told(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    uint64_t start = hub_applied(&world->hub);
    for (int i = 0; i < 20; i++)
        world_publish(world, "a", "0123456789 ");
    for (unsigned long nth = 1; nth <= 8; nth++) {
        struct reader *reader = reader_new(world, "a", NULL, start);
        struct taken taken = {0};
        mem_fail_nth(nth);
        enum take take = hub_take(&world->hub, &reader->sub, &taken);
        mem_fail_nth(0);
        assert_true(take == TAKE_FAILED || take == TAKE_BYTES);
        if (take == TAKE_BYTES)
            reader_send(reader, &taken, &(size_t){SIZE_MAX});
        assert_int_equal(reader_drain(reader), TAKE_NOTHING);
        assert_int_equal(reader->got.len, 20 * 11);
        reader_free(reader);
    }
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_encoded_once_for_all_subscribers_of_a_view),
        cmocka_unit_test(each_delivery_of_an_event_counts_in_the_latency),
        cmocka_unit_test(a_whole_batch_comes_in_one_take),
        cmocka_unit_test(views_are_shared_by_selection_and_format),
        cmocka_unit_test(an_event_comes_once_however_many_terms_match),
        cmocka_unit_test(each_event_is_filtered_by_its_type),
        cmocka_unit_test(events_that_exclude_a_subscriber_are_left_out_live_and_from_the_window),
        cmocka_unit_test(an_event_that_excludes_a_connection_reaches_all_others),
        cmocka_unit_test(records_without_bytes_delay_no_subscriber),
        cmocka_unit_test(a_subscriber_whose_send_was_short_gets_the_rest_in_order_and_once),
        cmocka_unit_test(the_rest_of_a_cut_record_is_handed_back),
        cmocka_unit_test(a_page_may_leave_the_cache_between_take_and_sent),
        cmocka_unit_test(a_batch_that_comes_between_take_and_sent_is_not_lost),
        cmocka_unit_test(
            a_subscriber_that_takes_nothing_in_a_turn_falls_behind_and_reads_by_its_cursor),
        cmocka_unit_test(a_subscriber_that_was_sent_everything_is_live_without_another_take),
        cmocka_unit_test(a_live_chunk_that_grows_too_long_is_kept_as_a_page),
        cmocka_unit_test(an_event_is_encoded_once_for_all_views_of_a_format),
        cmocka_unit_test(a_large_event_is_encoded_once_for_pages_too),
        cmocka_unit_test(views_share_the_bytes_of_a_large_event),
        cmocka_unit_test(beyond_live_max_views_fall_behind_and_lose_nothing),
        cmocka_unit_test(an_ephemeral_event_reaches_its_view_although_others_exceed_live_max),
        cmocka_unit_test(the_rest_of_a_cut_piece_is_handed_back),
        cmocka_unit_test(a_piece_that_somebody_holds_is_not_encoded_again),
        cmocka_unit_test(views_fall_behind_while_the_account_is_exceeded),
        cmocka_unit_test(an_event_reaches_many_views_in_many_turns),
        cmocka_unit_test(many_subscribers_of_a_view_are_woken_in_many_turns),
        cmocka_unit_test(a_subscriber_that_joins_during_a_fan_out_waits_for_the_posted_batch),
        cmocka_unit_test(a_subscriber_that_waits_for_a_batch_gets_the_ephemeral_event_behind_it),
        cmocka_unit_test(a_live_subscriber_stays_live_with_another_selection),
        cmocka_unit_test(sleeping_time_does_not_count_in_the_budget),
        cmocka_unit_test(views_with_nobody_live_are_passed_over),
        cmocka_unit_test(pages_of_a_turn_are_bounded_and_the_rest_is_put_off),
        cmocka_unit_test(a_view_may_go_while_an_event_is_on_its_way_to_it),
        cmocka_unit_test(ephemeral_events_reach_live_subscribers_and_move_no_cursor),
        cmocka_unit_test(
            ephemeral_events_reach_a_subscriber_that_was_sent_everything_without_a_take),
        cmocka_unit_test(a_subscriber_that_resumes_with_nothing_missed_is_live_at_once),
        cmocka_unit_test(a_subscriber_that_resumes_behind_a_gap_hears_of_it_without_new_events),
        cmocka_unit_test(a_long_live_chunk_with_ephemeral_events_is_no_page),
        cmocka_unit_test(a_page_of_the_window_is_encoded_once_for_all_its_subscribers),
        cmocka_unit_test(below_the_window_the_store_is_read_once_for_equal_cursors),
        cmocka_unit_test(a_subscriber_that_takes_few_events_has_no_more_of_them_read),
        cmocka_unit_test(reads_wait_while_others_have_found_too_much),
        cmocka_unit_test(a_long_history_comes_page_by_page),
        cmocka_unit_test(a_read_that_fails_is_told_and_can_be_tried_again),
        cmocka_unit_test(a_gap_is_told_once_and_then_what_is_left),
        cmocka_unit_test(a_subscriber_behind_hears_of_events_trimmed_meanwhile),
        cmocka_unit_test(a_live_subscriber_is_told_of_no_gap),
        cmocka_unit_test(batches_that_passed_by_are_read_from_the_store_in_order_and_once),
        cmocka_unit_test(subscribers_in_every_state_get_the_batches_that_passed_by),
        cmocka_unit_test(a_passed_by_batch_that_was_trimmed_is_a_gap),
        cmocka_unit_test(a_page_of_the_store_ahead_of_the_mail_hides_no_gap),
        cmocka_unit_test(deleted_events_are_in_no_page_of_later_subscribers),
        cmocka_unit_test(a_live_chunk_with_deleted_events_does_not_become_a_page),
        cmocka_unit_test(
            a_subscriber_with_a_cursor_ahead_of_this_thread_waits_and_gets_nothing_twice),
        cmocka_unit_test(a_subscriber_that_waits_for_mail_can_leave),
        cmocka_unit_test(a_subscriber_can_leave_in_every_state),
        cmocka_unit_test(a_view_can_go_while_its_read_is_under_way),
        cmocka_unit_test(a_read_is_cancelled_when_its_last_subscriber_leaves),
        cmocka_unit_test(pages_that_contain_each_other_are_kept_once),
        cmocka_unit_test(the_number_of_cached_pages_is_bounded),
        cmocka_unit_test(the_live_chunk_and_pages_of_a_view_go_with_its_last_subscriber),
        cmocka_unit_test(a_subscriber_that_finds_no_memory_leaves_nothing_behind),
        cmocka_unit_test(without_memory_for_a_live_chunk_a_page_is_read_later),
        cmocka_unit_test(without_memory_for_a_page_the_taker_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
