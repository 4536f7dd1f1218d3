#include "log/testing.h"

#include "log/engine.h"

static void flood(struct world *world, const char *channel, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        post_one(world, channel, "0123456789");
    world_settle(world);
}

static void a_count_keeps_a_channels_newest(void **state)
{
    struct world *world = *state;
    uint64_t first;
    world_namespace(world, "kept")->count = 5;
    world_open(world);
    flood(world, "kept/a", 12);
    flood(world, "kept/b", 3);
    flood(world, "free", 12);
    uint64_t newest = log_newest(world->log);
    retention_trim(world->log, false);
    struct log_channel a = world_channel(world, "kept/a");
    assert_int_equal(a.count, 5);
    assert_int_equal(a.bytes, 50);
    assert_int_equal(a.trimmed, newest - 12 - 3 - 5);
    assert_int_equal(world_channel(world, "kept/b").count, 3);
    assert_int_equal(world_channel(world, "free").count, 12);
    assert_int_equal(world_trimmed(world, "kept/a"), a.trimmed);
    assert_int_equal(world_read(world, "kept/a", &first), 5);
    assert_int_equal(first, a.trimmed + 1);
    retention_trim(world->log, false);
    assert_int_equal(world_channel(world, "kept/a").count, 5);
}

static void bytes_keep_a_channels_newest(void **state)
{
    struct world *world = *state;
    uint64_t first;
    world_namespace(world, "kept")->bytes = 35;
    world_open(world);
    flood(world, "kept/a", 12);
    retention_trim(world->log, false);
    assert_int_equal(world_channel(world, "kept/a").count, 3);
    assert_int_equal(world_channel(world, "kept/a").bytes, 30);
    assert_int_equal(world_read(world, "kept/a", &first), 3);
}

static void an_age_is_that_of_the_event(void **state)
{
    struct world *world = *state;
    world_namespace(world, "kept")->age_us = 1000000;
    world_open(world);
    flood(world, "kept/a", 4);
    flood(world, "free", 4);
    clock_fake_advance(&world->clock, 600000);
    flood(world, "kept/a", 2);
    clock_fake_advance(&world->clock, 399999);
    retention_trim(world->log, false);
    assert_int_equal(world_channel(world, "kept/a").count, 6);
    clock_fake_advance(&world->clock, 1);
    retention_trim(world->log, false);
    assert_int_equal(world_channel(world, "kept/a").count, 2);
    assert_int_equal(world_channel(world, "free").count, 4);
    clock_fake_advance(&world->clock, 600000);
    retention_trim(world->log, false);
    assert_int_equal(world_channel(world, "kept/a").count, 0);
}

/* Lets the wall clock jump by `jump_us` for `turns` turns of the trimmer, half a second each, and
 * back. */
static void jump(struct world *world, int64_t jump_us, int turns)
{
    world->clock.wall_us += jump_us;
    for (int i = 0; i < turns; i++) {
        retention_trim(world->log, false);
        clock_fake_advance(&world->clock, 500000);
    }
    post_one(world, "kept/a", "while the clock is wrong");
    world->clock.wall_us -= jump_us;
    retention_trim(world->log, false);
}

static void a_clock_that_jumps_ages_nothing(void **state)
{
    static const int64_t jumps_s[] = {INT64_C(2) * 86400, INT64_C(-2) * 86400,
                                      INT64_C(10) * 365 * 86400, 3600, -3600};
    struct world *world = *state;
    int64_t hour = INT64_C(3600000000);
    world_namespace(world, "kept")->age_us = hour;
    world_open(world);
    flood(world, "kept/a", 4);
    for (size_t i = 0; i < sizeof(jumps_s) / sizeof(*jumps_s); i++)
        jump(world, jumps_s[i] * 1000000, i % 2 ? 3 : 60);
    assert_int_equal(world_channel(world, "kept/a").count, 9);
    clock_fake_advance(&world->clock, hour);
    retention_trim(world->log, false);
    assert_int_equal(world_channel(world, "kept/a").count, 0);
}

/* A run whose clock is ten years ahead, and a later run with a right clock. */
static void after_a_restart_times_of_the_future_count_from_the_start(void **state)
{
    struct world *world = *state;
    int64_t hour = INT64_C(3600000000), years = hour * 24 * 3650;
    world_namespace(world, "kept")->age_us = hour;
    world_open(world);
    flood(world, "kept/old", 3);
    world->clock.wall_us += years;
    for (int i = 0; i < 30; i++) {
        clock_fake_advance(&world->clock, 1000000);
        retention_trim(world->log, false);
    }
    flood(world, "kept/new", 3);
    world->clock.wall_us -= years;
    world_reopen(world);
    retention_trim(world->log, false);
    assert_int_equal(world_channel(world, "kept/old").count, 3);
    assert_int_equal(world_channel(world, "kept/new").count, 3);
    clock_fake_advance(&world->clock, hour - 30 * INT64_C(1000000));
    retention_trim(world->log, false);
    assert_int_equal(world_channel(world, "kept/old").count, 0);
    assert_int_equal(world_channel(world, "kept/new").count, 3);
    uint64_t last = post_one(world, "kept/last", "x");
    assert_true(last > world_channel(world, "kept/new").last);
    clock_fake_advance(&world->clock, 30 * INT64_C(1000000));
    retention_trim(world->log, false);
    assert_int_equal(world_channel(world, "kept/new").count, 0);
    assert_int_equal(world_channel(world, "kept/last").count, 1);
}

static void a_bound_for_the_whole_lets_the_oldest_of_all_channels_go(void **state)
{
    struct world *world = *state;
    uint64_t first;
    world->config.bytes_max = UINT64_C(10) * (128 + 10);
    world_open(world);
    flood(world, "a", 8);
    flood(world, "b", 6);
    retention_trim(world->log, false);
    assert_int_equal(world_channel(world, "a").count, 4);
    assert_int_equal(world_channel(world, "b").count, 6);
    flood(world, "c", 5);
    retention_trim(world->log, true);
    assert_int_equal(world_channel(world, "a").count, 0);
    assert_int_equal(world_channel(world, "b").count, 5);
    assert_int_equal(world_read(world, "**", &first), 10);
}

static uint64_t memory_of(struct world *world)
{
    log_lock(world->log);
    uint64_t bytes = world->log->engine->memory(world->log);
    log_unlock(world->log);
    return bytes;
}

/* The thread that appends makes room; the oldest events go first. */
static void a_log_in_memory_stays_within_its_bound(void **state)
{
    enum { BOUND = 1 << 20, EVENTS = 6000 };
    struct world *world = *state;
    static const char *const names[] = {"a", "b", "c"};
    uint64_t last = 0, first;
    world->config.bytes_max = BOUND;
    world_open(world);
    for (unsigned i = 0; i < EVENTS; i++) {
        last = post_one(world, names[i % 3], "0123456789");
        assert_true(memory_of(world) <= BOUND);
    }
    uint32_t count = world_read(world, "**", &first);
    assert_in_range(count, EVENTS / 20, EVENTS - 1);
    struct log_stats stats;
    log_stats(world->log, &stats);
    assert_int_equal(stats.retained, count);
    assert_int_equal(stats.oldest, last - count + 1);
    assert_int_equal(world_trimmed(world, "**"), last - count);
    assert_true(memory_of(world) > BOUND - BOUND / 16);
}

/* Posts an event to each of two channels in one batch. */
static void post_pair(struct world *world, const char *one, const char *other)
{
    struct append *append = append_begin(world);
    struct post post;
    post_begin(append, &post);
    post_add(append, &post, one, "0123456789");
    post_add(append, &post, other, "0123456789");
    log_append(world->log, append);
    post_wait(world, &post);
}

/* A large DELETE leaves events for upkeep, in the batches of other channels' events. */
static void trimmed_events_go_before_retained_ones(void **state)
{
    enum { BOUND = 4 << 20, MORE = 1500 };
    struct world *world = *state;
    world->config.bytes_max = BOUND;
    world_open(world);
    while (memory_of(world) < BOUND - BOUND / 64)
        post_pair(world, "stays", "goes");
    uint64_t count = world_channel(world, "stays").count;
    assert_true(count > 1500);
    post_delete(world, "goes");
    for (unsigned i = 0; i < MORE; i++)
        post_one(world, "stays", "0123456789");
    assert_true(memory_of(world) <= BOUND);
    assert_true(world_channel(world, "stays").count > count - count / 8);
}

/* The memory of the store once nothing that was trimmed is left in it. */
static uint64_t held(struct world *world)
{
    struct store *store = world->log->store;
    while (store->ops->drop_trimmed(store))
        ;
    return store->ops->bytes(store);
}

/* Each namespace is trimmed in its own way, while the `nth` request for memory fails. */
static void memory_that_lacks_for_a_trim_keeps_no_events(void **state)
{
    enum { EVENTS = 200, NTHS = 12, LEEWAY = 4096 };
    static const char *const names[] = {"old/a", "few/a", "small/a"};
    struct world *world = *state;
    world_namespace(world, "old")->age_us = 1000000;
    world_namespace(world, "few")->count = 1;
    world_namespace(world, "small")->bytes = 10;
    world_open(world);
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        uint64_t base = 0;
        for (unsigned long nth = 0; nth < NTHS; nth++) {
            flood(world, names[i], EVENTS);
            uint64_t full = held(world);
            clock_fake_advance(&world->clock, 1000001);
            mem_fail_nth(nth);
            retention_trim(world->log, false);
            mem_fail_nth(0);
            base = nth ? base : held(world);
            assert_true(base + LEEWAY < full);
            assert_true(world_channel(world, names[i]).count <= 1);
            assert_true(held(world) < base + LEEWAY);
        }
    }
}

/* Channels of one event each, which come and go: neither the index nor names exceed the bound. */
static void names_and_index_count_against_the_bound(void **state)
{
    enum { BOUND = 1 << 20, CHANNELS = 20000 };
    struct world *world = *state;
    world->config.bytes_max = BOUND;
    world_open(world);
    for (unsigned i = 0; i < CHANNELS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "c/%u", i);
        post_one(world, name, "0123456789");
        assert_true(memory_of(world) <= BOUND + BOUND / 4);
        if (i % 1000 == 0)
            upkeep_turn(world->log);
    }
    upkeep_turn(world->log);
    struct log_stats stats;
    log_stats(world->log, &stats);
    assert_true(stats.retained > 200);
    assert_true(stats.channels < CHANNELS / 2);
}

static void the_newest_event_stays_however_large(void **state)
{
    struct world *world = *state;
    uint64_t first;
    world->config.bytes_max = 1;
    world_open(world);
    post_one(world, "a", "x");
    uint64_t newest = post_one(world, "b", "y");
    assert_int_equal(world_read(world, "**", &first), 1);
    assert_int_equal(first, newest);
}

static void an_event_that_is_not_safe_does_not_push_older_events_out(void **state)
{
    struct world *world = *state;
    struct post post;
    world_namespace(world, "kept")->count = 3;
    world_open(world);
    flood(world, "kept/a", 3);
    gate_set(true, 0);
    struct append *append = append_begin(world);
    post_begin(append, &post);
    for (int i = 0; i < POST_EVENTS; i++)
        post_add(append, &post, "kept/a", "x");
    log_append(world->log, append);
    gate_wait();
    retention_trim(world->log, false);
    gate_set(false, -EIO);
    post_wait(world, &post);
    assert_int_equal(world_channel(world, "kept/a").count, 3);
    gate_set(false, 0);
    flood(world, "kept/a", 1);
    retention_trim(world->log, false);
    assert_int_equal(world_channel(world, "kept/a").count, 3);
}

static void a_safe_event_pushes_the_oldest_event_out(void **state)
{
    struct world *world = *state;
    struct post post;
    world_namespace(world, "kept")->count = 3;
    world_open(world);
    flood(world, "kept/a", 3);
    gate_set(true, 0);
    post_send(world, &post, "kept/a", "x");
    gate_wait();
    retention_trim(world->log, false);
    gate_set(false, 0);
    post_wait(world, &post);
    world_settle(world);
    retention_trim(world->log, false);
    assert_int_equal(world_channel(world, "kept/a").count, 3);
}

/* Whether retention does not wait for its second. */
static bool is_called(struct world *world)
{
    log_lock(world->log);
    world->log->trim_now = false;
    retention_call_if_urgent(world->log);
    bool called = world->log->trim_now;
    log_unlock(world->log);
    return called;
}

static void a_trim_is_urgent_only_far_beyond_its_bound(void **state)
{
    struct world *world = *state;
    world_namespace(world, "kept")->count = 32;
    world_open(world);
    flood(world, "kept/a", 32 + 32 / 16 + 16);
    assert_false(is_called(world));
    flood(world, "kept/a", 1);
    flood(world, "kept/b", 33);
    assert_true(is_called(world));
    retention_trim(world->log, true);
    assert_false(is_called(world));
    assert_int_equal(world_channel(world, "kept/a").count, 32);
    assert_int_equal(world_channel(world, "kept/b").count, 33);
}

static void ports_are_told_what_was_trimmed(void **state)
{
    struct world *world = *state;
    world_namespace(world, "kept")->count = 1;
    world_open(world);
    flood(world, "kept/a", 3);
    flood(world, "kept/b", 3);
    retention_trim(world->log, false);
    for (int i = 0; i < WORLD_PORTS; i++) {
        (void)mailbox_empty(&world->ports[i].box);
        assert_int_equal(world->ports[i].trims, 2);
    }
    assert_int_equal(log_backlog_bytes(world->log), 0);
}

static void the_trims_of_many_channels_are_one_commit(void **state)
{
    struct world *world = *state;
    char name[32];
    world_namespace(world, "kept")->count = 1;
    world_open(world);
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof(name), "kept/%d", i % 100);
        flood(world, name, 1);
    }
    retention_trim(world->log, false);
    assert_int_equal(gate.trims, 0);
    upkeep_store_trims(world->log);
    assert_int_equal(gate.trims, 1);
    assert_int_equal(gate.trimmed, 100);
    upkeep_store_trims(world->log);
    assert_int_equal(gate.trims, 1);
}

static void trims_that_could_not_be_kept_are_kept_later(void **state)
{
    struct world *world = *state;
    world_namespace(world, "kept")->count = 1;
    world_open(world);
    flood(world, "kept/a", 5);
    retention_trim(world->log, false);
    gate.trim_fail = -ENOSPC;
    upkeep_store_trims(world->log);
    gate.trim_fail = 0;
    uint64_t trimmed = world_channel(world, "kept/a").trimmed;
    world_close(world);
    world->config.namespaces_count = 0;
    world_open(world);
    assert_int_equal(world_channel(world, "kept/a").trimmed, trimmed);
    assert_int_equal(world_channel(world, "kept/a").count, 1);
}

static void after_a_start_with_narrower_settings_all_is_trimmed_to_them(void **state)
{
    struct world *world = *state;
    world_open(world);
    flood(world, "kept/a", 9);
    world_close(world);
    world_namespace(world, "kept")->count = 2;
    world_open(world);
    retention_trim(world->log, false);
    assert_int_equal(world_channel(world, "kept/a").count, 2);
}

static void cuts_are_found_in_sealed_files_and_dead_files_go(void **state)
{
    struct world *world = *state;
    struct log_stats before, after;
    uint64_t first;
    world->config.store.roll_bytes = 1;
    world_namespace(world, "kept")->count = 7;
    world_open(world);
    for (int file = 0; file < 5; file++) {
        flood(world, "kept/a", 5);
        upkeep_turn(world->log);
    }
    log_stats(world->log, &before);
    retention_trim(world->log, false);
    assert_int_equal(world_channel(world, "kept/a").count, 7);
    assert_int_equal(world_channel(world, "kept/a").bytes, 70);
    upkeep_turn(world->log);
    assert_int_equal(world_read(world, "kept/a", &first), 7);
    log_stats(world->log, &after);
    assert_true(after.store_bytes < before.store_bytes);
    assert_int_equal(after.oldest, first);
}

static void deleted_is_gone_at_once(void **state)
{
    struct world *world = *state;
    uint64_t first;
    world_open(world);
    flood(world, "a", 4);
    uint64_t newest = log_newest(world->log);
    post_delete(world, "a");
    assert_int_equal(world_channel(world, "a").count, 0);
    assert_int_equal(world_trimmed(world, "a"), newest);
    assert_int_equal(world_read(world, "a", &first), 0);
    assert_int_equal(world->ports[0].trims, 1);
}

/* ---- forgetting ----------------------------------------------------------------------------- */

static void delete_three(struct world *world)
{
    static const char *const names[] = {"x/a", "x/b", "x/c"};
    for (int i = 0; i < 3; i++) {
        post_one(world, names[i], "x");
        post_delete(world, names[i]);
    }
}

static void names_of_the_past_make_room_and_leave_their_trims_to_the_namespace(void **state)
{
    struct world *world = *state;
    struct post post;
    world->config.channels_max = 4;
    world_namespace(world, "x");
    world_open(world);
    uint64_t other = post_one(world, "y", "y");
    delete_three(world);
    uint64_t newest = log_newest(world->log);
    upkeep_turn(world->log);
    struct log_stats stats;
    log_stats(world->log, &stats);
    assert_int_equal(stats.channels, 1);
    /* An unknown name may have been one of the forgotten channels. */
    assert_int_equal(world_trimmed(world, "x/other"), newest);
    assert_int_equal(world_trimmed(world, "z"), world->log->trimmed_at_start);
    post_send(world, &post, "x/a", "x");
    post_wait(world, &post);
    assert_int_equal(post.publish.verdict, PUBLISH_OK);
    assert_int_equal(post.events[0].prev, newest);
    assert_int_equal(world_channel(world, "y").last, other);
    for (int i = 0; i < 2; i++)
        delete_three(world);
}

static void the_trimmed_id_of_forgotten_channels_survives_a_restart(void **state)
{
    struct world *world = *state;
    world->config.channels_max = 4;
    world_namespace(world, "x");
    world_open(world);
    delete_three(world);
    uint64_t newest = log_newest(world->log);
    upkeep_turn(world->log);
    world_reopen(world);
    assert_int_equal(world_trimmed(world, "x/other"), newest);
    struct log_stats stats;
    log_stats(world->log, &stats);
    assert_int_equal(stats.channels, 0);
}

/* Channels come and go: the table takes memory only for those that exist at one time. */
static void numbers_of_forgotten_channels_are_given_again(void **state)
{
    struct world *world = *state;
    uint64_t first;
    world->config.channels_max = 8;
    world->config.store.roll_bytes = 1; /* every turn of upkeep seals the file */
    world_open(world);
    post_one(world, "stays", "x");
    for (int i = 0; i < 60; i++) {
        char name[16];
        snprintf(name, sizeof(name), "c%d", i);
        post_one(world, name, "x");
        assert_int_equal(world_read(world, name, &first), 1);
        post_delete(world, name);
        upkeep_turn(world->log);
        upkeep_turn(world->log);
        if (i % 20 == 19)
            world_reopen(world);
    }
    assert_int_equal(world_read(world, "stays", &first), world->config.memory ? 0 : 1);
    assert_true(world->log->apply.channels.number_last <= 24);
}

static void fill_two_namespaces(struct world *world, unsigned count)
{
    world->config.channels_max = count;
    world_namespace(world, "x");
    world_open(world);
    for (unsigned i = 0; i < count; i++) {
        char name[16];
        struct channel *channel = NULL;
        snprintf(name, sizeof(name), "%c/%u", i & 1 ? 'x' : 'y', i);
        assert_int_equal(channels_make(&world->log->apply.channels, str_from(name),
                                       &(struct maker){.ids = {i + 1}}, &channel),
                         0);
    }
}

static void channels_of_many_namespaces_are_forgotten_in_one_step(void **state)
{
    struct world *world = *state;
    fill_two_namespaces(world, 1000);
    upkeep_turn(world->log);
    assert_int_equal(gate.forgets, 1);
    assert_true(world->log->apply.channels.by_name.count <= 500);
    assert_int_equal(gate.upkeeps, 1);
}

static void a_turn_of_upkeep_is_not_kept_from_the_store_by_channels_to_forget(void **state)
{
    struct world *world = *state;
    fill_two_namespaces(world, 5000);
    world->log->apply.channels.count_max = 0; /* every empty channel may be forgotten */
    gate.clock = &world->clock;
    for (unsigned turn = 1; turn <= 3; turn++) {
        upkeep_turn(world->log);
        assert_int_equal(gate.upkeeps, turn);
        assert_true(gate.forgets <= 2 * turn);
    }
    assert_int_equal(world->log->apply.channels.by_name.count, 0);
}

static void while_much_is_pending_nothing_is_trimmed_for_what_is_not_safe(void **state)
{
    struct world *world = *state;
    enum { POSTS = 300 };
    static struct post posts[POSTS];
    uint64_t first;
    world_namespace(world, "kept")->count = 10;
    world_open(world);
    for (int i = 0; i < 12; i++)
        post_one(world, "kept/a", "x");
    gate_set(true, 0);
    for (int i = 0; i < POSTS; i++) {
        struct append *append = append_begin(world);
        post_begin(append, &posts[i]);
        for (int k = 0; k < POST_EVENTS; k++)
            post_add(append, &posts[i], k % 2 ? "kept/a" : "kept/b", "x");
        log_append(world->log, append);
    }
    gate_wait();
    retention_trim(world->log, false);
    assert_int_equal(world_read(world, "kept/a", &first), 12);
    gate_set(false, 0);
    post_wait(world, &posts[POSTS - 1]);
    retention_trim(world->log, false);
    assert_int_equal(world_read(world, "kept/a", &first), 10);
}

static void with_room_left_nothing_is_forgotten(void **state)
{
    struct world *world = *state;
    world_open(world);
    post_one(world, "a", "x");
    post_delete(world, "a");
    upkeep_turn(world->log);
    struct log_stats stats;
    log_stats(world->log, &stats);
    assert_int_equal(stats.channels, 1);
}

static void a_channel_is_not_forgotten_while_its_delete_may_still_fail(void **state)
{
    struct world *world = *state;
    struct post post;
    uint64_t first;
    world->config.channels_max = 1;
    world_open(world);
    post_one(world, "a", "x");
    gate_set(true, 0);
    post_send_delete(world, &post, "a");
    gate_wait();
    upkeep_turn(world->log);
    gate_set(false, -EIO);
    post_wait(world, &post);
    assert_int_equal(world_channel(world, "a").count, 1);
    assert_int_equal(world_read(world, "a", &first), 1);
}

/* ---- the threads ---------------------------------------------------------------------------- */

static void under_a_flood_channels_come_down_to_their_bounds_by_themselves(void **state)
{
    struct world *world = *state;
    static struct post posts[500];
    world_namespace(world, "kept")->count = 10;
    world_open_with(world, log_open);
    for (int i = 0; i < 500; i++) {
        struct append *append = append_begin(world);
        post_begin(append, &posts[i]);
        for (int k = 0; k < POST_EVENTS; k++)
            post_add(append, &posts[i], k % 2 ? "kept/a" : "kept/b", "x");
        log_append(world->log, append);
        (void)mailbox_empty(&world->ports[0].box);
        (void)mailbox_empty(&world->ports[1].box);
    }
    post_wait(world, &posts[499]);
    /* The port is told by the trimmer, as a worker is. */
    while (!world->ports[0].trims || world_channel(world, "kept/a").count != 10 ||
           world_channel(world, "kept/b").count != 10)
        world_turn(&world->ports[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(a_count_keeps_a_channels_newest),
        ON_BOTH(bytes_keep_a_channels_newest),
        ON_BOTH(an_age_is_that_of_the_event),
        ON_BOTH(a_clock_that_jumps_ages_nothing),
        ON_DISK(after_a_restart_times_of_the_future_count_from_the_start),
        ON_DISK(a_bound_for_the_whole_lets_the_oldest_of_all_channels_go),
        IN_MEMORY(a_log_in_memory_stays_within_its_bound),
        IN_MEMORY(trimmed_events_go_before_retained_ones),
        IN_MEMORY(memory_that_lacks_for_a_trim_keeps_no_events),
        IN_MEMORY(names_and_index_count_against_the_bound),
        IN_MEMORY(the_newest_event_stays_however_large),
        ON_DISK(an_event_that_is_not_safe_does_not_push_older_events_out),
        ON_DISK(a_safe_event_pushes_the_oldest_event_out),
        ON_BOTH(a_trim_is_urgent_only_far_beyond_its_bound),
        ON_BOTH(ports_are_told_what_was_trimmed),
        ON_DISK(the_trims_of_many_channels_are_one_commit),
        ON_DISK(trims_that_could_not_be_kept_are_kept_later),
        ON_DISK(after_a_start_with_narrower_settings_all_is_trimmed_to_them),
        ON_DISK(cuts_are_found_in_sealed_files_and_dead_files_go),
        ON_BOTH(deleted_is_gone_at_once),
        ON_BOTH(names_of_the_past_make_room_and_leave_their_trims_to_the_namespace),
        ON_DISK(the_trimmed_id_of_forgotten_channels_survives_a_restart),
        ON_BOTH(channels_of_many_namespaces_are_forgotten_in_one_step),
        ON_BOTH(a_turn_of_upkeep_is_not_kept_from_the_store_by_channels_to_forget),
        ON_BOTH(numbers_of_forgotten_channels_are_given_again),
        ON_DISK(while_much_is_pending_nothing_is_trimmed_for_what_is_not_safe),
        ON_BOTH(with_room_left_nothing_is_forgotten),
        ON_DISK(a_channel_is_not_forgotten_while_its_delete_may_still_fail),
        ON_BOTH(under_a_flood_channels_come_down_to_their_bounds_by_themselves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
