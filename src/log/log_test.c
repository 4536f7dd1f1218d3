#include "log/testing.h"

/* ---- ids, times, prev ----------------------------------------------------------------------- */

static void ids_rise_below_2_to_the_53_though_the_clock_stands_still_or_goes_back(void **state)
{
    struct world *world = *state;
    uint64_t last = 0;
    int64_t last_time = 0;
    world_open(world);
    for (int i = 0; i < 50; i++) {
        struct post post;
        if (i % 10 == 9)
            clock_fake_advance(&world->clock, i % 20 == 9 ? -5000000 : 3000000);
        post_send(world, &post, "a", "x");
        post_wait(world, &post);
        assert_true(post.events[0].id > last);
        assert_true(post.events[0].id <= EVENT_ID_MAX);
        assert_true(post.events[0].time_us >= last_time);
        last = post.events[0].id;
        last_time = post.events[0].time_us;
    }
    assert_int_equal(log_newest(world->log), last);
}

static void ids_go_on_above_those_on_disk_though_the_clock_was_set_back(void **state)
{
    struct world *world = *state;
    world_open(world);
    uint64_t before = post_one(world, "a", "x");
    int64_t wall = world->clock.wall_us;
    clock_fake_advance(&world->clock, -INT64_C(86400000000));
    world_reopen(world);
    struct post post;
    post_send(world, &post, "a", "y");
    post_wait(world, &post);
    assert_true(post.events[0].id > before);
    assert_int_equal(post.events[0].prev, before);
    assert_true(post.events[0].time_us >= wall);
}

static void prev_is_the_one_before_in_the_channel_also_when_that_was_trimmed(void **state)
{
    struct world *world = *state;
    struct post post;
    world_open(world);
    uint64_t first = post_one(world, "a", "x");
    (void)post_one(world, "b", "x");
    post_delete(world, "a");
    post_send(world, &post, "a", "y");
    post_wait(world, &post);
    assert_int_equal(post.events[0].prev, first);
    assert_int_equal(world_channel(world, "a").count, 1);
    assert_int_equal(world_channel(world, "a").trimmed, first);
}

/* ---- all or nothing ------------------------------------------------------------------------- */

static void a_publish_of_many_stands_or_falls_as_one(void **state)
{
    struct world *world = *state;
    struct post first, post;
    world_open(world);
    post_send_keyed(world, &first, "a", "k", 1);
    post_wait(world, &first);
    uint64_t newest = log_newest(world->log);
    struct append *append = append_begin(world);
    post_begin(append, &post);
    post_add(append, &post, "b", "x");
    post_set_key(append, post_add(append, &post, "b", "y"), "other", 5);
    post_set_key(append, post_add(append, &post, "a", "z"), "k", 2); /* other content */
    log_append(world->log, append);
    post_wait(world, &post);
    assert_int_equal(post.publish.verdict, PUBLISH_E_KEY_REUSED);
    assert_int_equal(post.publish.fault, 2);
    assert_int_equal(log_newest(world->log), newest);
    assert_int_equal(world_channel(world, "b").count, 0);
    /* The key of the failed publish is free again. */
    post_send_keyed(world, &post, "b", "other", 6);
    post_wait(world, &post);
    assert_int_equal(post.publish.verdict, PUBLISH_OK);
    assert_int_equal(post.events[0].state, EVENT_APPENDED);
}

/* ---- keys ----------------------------------------------------------------------------------- */

static void a_duplicate_has_the_first_answer_and_expires(void **state)
{
    struct world *world = *state;
    struct post first, again;
    world_open(world);
    post_send_keyed(world, &first, "a", "k", 1);
    post_wait(world, &first);
    clock_fake_advance(&world->clock, world->config.key_life_us - 1);
    post_send_keyed(world, &again, "a", "k", 1);
    post_wait(world, &again);
    assert_int_equal(again.events[0].state, EVENT_DUPLICATE);
    assert_int_equal(again.events[0].id, first.events[0].id);
    assert_int_equal(again.events[0].time_us, first.events[0].time_us);
    clock_fake_advance(&world->clock, 1);
    post_send_keyed(world, &again, "a", "k", 2);
    post_wait(world, &again);
    assert_int_equal(again.events[0].state, EVENT_APPENDED);
}

static enum event_state send_key(struct world *world, const char *key, uint64_t content)
{
    struct post post;
    post_send_keyed(world, &post, "a", key, content);
    post_wait(world, &post);
    assert_int_equal(post.publish.verdict, PUBLISH_OK);
    return (enum event_state)post.events[0].state;
}

static void a_clock_that_jumps_neither_forgets_keys_nor_keeps_them(void **state)
{
    static const int64_t jumps_s[] = {INT64_C(10) * 365 * 86400, -86400, 86400};
    struct world *world = *state;
    world_open(world);
    for (size_t i = 0; i < sizeof(jumps_s) / sizeof(*jumps_s); i++) {
        char name[8];
        snprintf(name, sizeof(name), "k%zu", i);
        assert_int_equal(send_key(world, name, 1), EVENT_APPENDED);
        world->clock.wall_us += jumps_s[i] * 1000000;
        assert_int_equal(send_key(world, name, 1), EVENT_DUPLICATE);
        assert_int_equal(send_key(world, "then", i), EVENT_APPENDED);
        world->clock.wall_us -= jumps_s[i] * 1000000;
        assert_int_equal(send_key(world, name, 1), EVENT_DUPLICATE);
        clock_fake_advance(&world->clock, world->config.key_life_us);
        assert_int_equal(send_key(world, name, 2), EVENT_APPENDED);
        clock_fake_advance(&world->clock, world->config.key_life_us);
    }
}

/* A log opens even if the clock has jumped and limits are lower than before. */
static void a_log_is_opened_though_it_holds_more_than_may_be(void **state)
{
    struct world *world = *state;
    struct post post;
    world_open(world);
    world->clock.wall_us += INT64_C(10) * 365 * 86400 * 1000000;
    for (int i = 0; i < 8; i++) {
        char name[8];
        snprintf(name, sizeof(name), "k%d", i);
        post_send_keyed(world, &post, name, name, 1);
        post_wait(world, &post);
        clock_fake_advance(&world->clock, 4000000);
    }
    world->clock.wall_us -= INT64_C(10) * 365 * 86400 * 1000000;
    world->config.keys_max = 3;
    world->config.channels_max = 2;
    world_reopen(world);
    struct log_stats stats;
    log_stats(world->log, &stats);
    assert_int_equal(stats.keys, 3);
    assert_int_equal(stats.channels, 8);
    assert_int_equal(world_channel(world, "k0").count, 1);
    post_send_keyed(world, &post, "k7", "k7", 1);
    post_wait(world, &post);
    assert_int_equal(post.events[0].state, EVENT_DUPLICATE);
    post_send(world, &post, "another", "x");
    post_wait(world, &post);
    assert_int_equal(post.publish.verdict, PUBLISH_E_CHANNELS);
    (void)post_one(world, "k7", "x");
    clock_fake_advance(&world->clock, world->config.key_life_us);
    post_send_keyed(world, &post, "k0", "k0", 2);
    post_wait(world, &post);
    assert_int_equal(post.events[0].state, EVENT_APPENDED);
}

static void a_duplicate_waits_until_the_first_is_safe(void **state)
{
    struct world *world = *state;
    struct post first, again;
    world_open(world);
    gate_set(true, 0);
    post_send_keyed(world, &first, "a", "k", 1);
    gate_wait();
    post_send_keyed(world, &again, "a", "k", 1);
    (void)mailbox_empty(&world->ports[0].box);
    assert_false(first.done || again.done);
    gate_set(false, 0);
    post_wait(world, &again);
    assert_true(first.done);
    assert_int_equal(again.events[0].state, EVENT_DUPLICATE);
    assert_int_equal(again.events[0].id, first.events[0].id);
}

static void a_duplicate_of_what_failed_fails_with_it(void **state)
{
    struct world *world = *state;
    struct post first, again;
    world_open(world);
    gate_set(true, 0);
    post_send_keyed(world, &first, "a", "k", 1);
    gate_wait();
    post_send_keyed(world, &again, "a", "k", 1);
    gate_set(false, -ENOSPC);
    post_wait(world, &again);
    assert_int_equal(first.publish.verdict, PUBLISH_E_NO_SPACE);
    assert_int_equal(again.publish.verdict, PUBLISH_E_NO_SPACE);
    gate_set(false, 0);
    post_send_keyed(world, &again, "a", "k", 1);
    post_wait(world, &again);
    assert_int_equal(again.events[0].state, EVENT_APPENDED);
}

static void keys_are_as_durable_as_their_events(void **state)
{
    struct world *world = *state;
    struct post first, again;
    world_open(world);
    post_send_keyed(world, &first, "a", "k", 1);
    post_wait(world, &first);
    world_reopen(world);
    post_send_keyed(world, &again, "a", "k", 1);
    post_wait(world, &again);
    assert_int_equal(again.events[0].state, EVENT_DUPLICATE);
    assert_int_equal(again.events[0].id, first.events[0].id);
    post_send_keyed(world, &again, "a", "k", 2);
    post_wait(world, &again);
    assert_int_equal(again.publish.verdict, PUBLISH_E_KEY_REUSED);
}

/* ---- If-Match ------------------------------------------------------------------------------- */

static void if_match_is_held_against_events_that_are_not_safe_yet(void **state)
{
    struct world *world = *state;
    struct post first, stale, right;
    world_open(world);
    uint64_t before = post_one(world, "a", "x");
    gate_set(true, 0);
    post_send(world, &first, "a", "y");
    gate_wait();
    post_send_if(world, &stale, "a", before);
    post_send_if(world, &right, "a", before + 1);
    gate_set(false, 0);
    post_wait(world, &right);
    assert_int_equal(first.events[0].id, before + 1);
    assert_int_equal(stale.publish.verdict, PUBLISH_E_NOT_NEWEST);
    assert_int_equal(stale.publish.newest, before + 1);
    assert_int_equal(right.publish.verdict, PUBLISH_OK);
    assert_int_equal(right.events[0].prev, before + 1);
}

/* ---- the order of the mail ------------------------------------------------------------------ */

struct witness {
    struct post post;
    struct world *world;
    bool others_have_it;
};

static void witness_done(struct publish *publish, struct batch *batch)
{
    struct witness *witness = container_of(publish, struct witness, post.publish);
    struct world_port *other = &witness->world->ports[1];
    (void)batch;
    (void)mailbox_empty(&other->box);
    witness->others_have_it = other->events == 1 && witness->world->ports[0].events == 1;
    witness->post.done++;
}

static void every_port_has_the_event_before_its_publisher_has_the_answer(void **state)
{
    struct world *world = *state;
    struct witness witness = {.world = world};
    world_open(world);
    struct append *append = append_begin(world);
    post_begin(append, &witness.post);
    witness.post.publish.done = witness_done;
    post_add(append, &witness.post, "a", "x");
    log_append(world->log, append);
    while (!witness.post.done)
        world_turn(&world->ports[0]);
    assert_true(witness.others_have_it);
    assert_false(world->ports[0].late || world->ports[1].late);
}

static void an_ephemeral_event_reaches_every_port_and_nothing_else(void **state)
{
    struct world *world = *state;
    struct post post;
    world_open(world);
    uint64_t newest = log_newest(world->log);
    struct append *append = append_begin(world);
    post_begin(append, &post);
    post_add(append, &post, "a", "x")->state = EVENT_EPHEMERAL;
    log_broadcast(world->log, append);
    post_wait(world, &post);
    assert_int_equal(world->ports[0].ephemeral, 1);
    assert_int_equal(world->ports[1].ephemeral, 1);
    assert_int_equal(log_newest(world->log), newest);
    assert_int_equal(world_channel(world, "a").count, 0);
}

/* A subscriber that begins behind the newest event gets it by mail first. Another posting may begin
 * before the first has ended. */
static void an_ephemeral_event_comes_behind_the_newest_event(void **state)
{
    struct world *world = *state;
    struct post posts[2];
    world_open(world);
    posting_begin(world->log);
    for (int i = 0; i < 2; i++) {
        struct append *append = append_begin(world);
        post_begin(append, &posts[i]);
        post_add(append, &posts[i], "a", "x")->state = EVENT_EPHEMERAL;
        log_broadcast(world->log, append);
        assert_false(mailbox_empty(&world->ports[0].box));
        assert_false(mailbox_empty(&world->ports[1].box));
    }
    assert_true(log_pending_bytes(world->log) > 0);
    posting_end_all(world->log);
    post_wait(world, &posts[0]);
    post_wait(world, &posts[1]);
    assert_int_equal(world->ports[0].ephemeral, 2);
    assert_int_equal(world->ports[1].ephemeral, 2);
    assert_int_equal(log_pending_bytes(world->log), 0);
}

/* ---- failure -------------------------------------------------------------------------------- */

/* Otherwise the publisher would be told of an event that nobody has, under an id that another event
 * gets. */
static void a_refusal_that_stands_on_a_commit_that_fails_is_taken_back(void **state)
{
    struct world *world = *state;
    struct post lost, upon;
    world_open(world);
    uint64_t before = post_one(world, "a", "x");
    gate_set(true, 0);
    post_send(world, &lost, "a", "y");
    gate_wait();
    post_send_if(world, &upon, "a", before);
    gate_set(false, -EIO);
    post_wait(world, &lost);
    post_wait(world, &upon);
    assert_int_equal(lost.publish.verdict, PUBLISH_E_UNAVAILABLE);
    assert_int_equal(upon.publish.verdict, PUBLISH_E_UNAVAILABLE);
    gate_set(false, 0);
}

/* A publisher that repeats an attempt of unknown fate would take the refusal for an answer about
 * both. */
static void while_the_fate_of_an_attempt_is_unknown_no_refusal_is_final(void **state)
{
    struct world *world = *state;
    struct post lost, again;
    world_open(world);
    uint64_t before = post_one(world, "a", "x");
    gate_set(false, STORE_E_FATE_UNKNOWN);
    post_send_if(world, &lost, "a", before);
    post_wait(world, &lost);
    assert_int_equal(lost.publish.verdict, PUBLISH_E_FATE_UNKNOWN);
    post_send_if(world, &again, "a", before - 1);
    post_wait(world, &again);
    assert_int_equal(again.publish.verdict, PUBLISH_E_FATE_UNKNOWN);
    gate_set(false, 0);
    post_one(world, "a", "y");
    post_send_if(world, &again, "a", before);
    post_wait(world, &again);
    assert_int_equal(again.publish.verdict, PUBLISH_E_NOT_NEWEST);
}

static void a_commit_that_fails_refuses_all_that_stands_on_it_and_gives_the_ids_again(void **state)
{
    struct world *world = *state;
    struct post lost, upon, after;
    world_open(world);
    uint64_t before = post_one(world, "a", "x");
    gate_set(true, 0);
    post_send(world, &lost, "a", "y");
    gate_wait();
    post_send_if(world, &upon, "a", before + 1);
    gate_set(false, -EIO);
    post_wait(world, &upon);
    assert_int_equal(lost.publish.verdict, PUBLISH_E_UNAVAILABLE);
    assert_int_equal(upon.publish.verdict, PUBLISH_E_UNAVAILABLE);
    assert_int_equal(log_newest(world->log), before);
    assert_int_equal(world->ports[1].events, 1);
    struct log_stats stats;
    log_stats(world->log, &stats);
    assert_false(stats.writable);
    assert_int_equal(stats.failures, 1);
    gate_set(false, 0);
    post_send(world, &after, "a", "z");
    post_wait(world, &after);
    assert_int_equal(after.events[0].id, before + 1);
    assert_int_equal(after.events[0].prev, before);
    log_stats(world->log, &stats);
    assert_true(stats.writable);
    assert_int_equal(world_channel(world, "a").count, 2);
}

static void a_commit_of_unknown_fate_is_told_as_that_and_its_ids_are_not_given_again(void **state)
{
    struct world *world = *state;
    struct post lost, upon, after;
    world_open(world);
    uint64_t before = post_one(world, "a", "x");
    gate_set(true, 0);
    post_send_keyed(world, &lost, "a", "k", 1);
    gate_wait();
    post_send_keyed(world, &upon, "a", "k", 1);
    gate_set(false, STORE_E_FATE_UNKNOWN);
    post_wait(world, &upon);
    assert_int_equal(lost.publish.verdict, PUBLISH_E_FATE_UNKNOWN);
    assert_int_equal(upon.publish.verdict, PUBLISH_E_FATE_UNKNOWN);
    assert_int_equal(log_newest(world->log), before);
    assert_int_equal(world->ports[1].events, 1);
    gate_set(false, 0);
    post_send_keyed(world, &after, "a", "k", 1);
    post_wait(world, &after);
    assert_int_equal(after.publish.verdict, PUBLISH_OK);
    assert_int_equal(after.events[0].state, EVENT_APPENDED);
    assert_true(after.events[0].id > before + 1);
    assert_int_equal(after.events[0].prev, before);
    assert_int_equal(world_channel(world, "a").count, 2);
}

static void in_memory_too_an_append_that_fails_is_refused_and_taken_back(void **state)
{
    struct world *world = *state;
    struct post post;
    world_open(world);
    uint64_t before = post_one(world, "a", "x");
    gate_set(false, -ENOMEM);
    post_send(world, &post, "a", "y");
    post_wait(world, &post);
    assert_int_equal(post.publish.verdict, PUBLISH_E_UNAVAILABLE);
    gate_set(false, 0);
    assert_int_equal(post_one(world, "a", "z"), before + 1);
    assert_int_equal(world_channel(world, "a").count, 2);
}

static void a_delete_that_fails_leaves_the_channel_as_it_was(void **state)
{
    struct world *world = *state;
    struct post post;
    uint64_t first;
    world_open(world);
    uint64_t one = post_one(world, "a", "xx");
    (void)post_one(world, "a", "yyy");
    gate_set(false, -ENOSPC);
    post_send_delete(world, &post, "a");
    post_wait(world, &post);
    assert_int_equal(post.publish.verdict, PUBLISH_E_NO_SPACE);
    struct log_channel channel = world_channel(world, "a");
    assert_int_equal(channel.count, 2);
    assert_int_equal(channel.bytes, 5);
    assert_int_equal(channel.trimmed, 0);
    assert_int_equal(world_read(world, "a", &first), 2);
    assert_int_equal(first, one);
}

/* The store takes TRIM entries on a full disk, so DELETEs among refused publishes are done. */
static void on_a_full_disk_deletes_are_done_though_others_publish(void **state)
{
    struct world *world = *state;
    struct post posts[5];
    uint64_t first;
    world_open(world);
    (void)post_one(world, "a", "x");
    uint64_t last = post_one(world, "a", "y");
    (void)post_one(world, "b", "x");
    gate.full = true;
    gate_set(true, 0);
    post_send(world, &posts[0], "b", "x");
    gate_wait();
    post_send(world, &posts[1], "a", "z");
    post_send_delete(world, &posts[2], "a");
    post_send_delete(world, &posts[3], "unknown");
    post_send(world, &posts[4], "a", "z");
    gate_set(false, 0);
    for (int i = 0; i < 5; i++) {
        post_wait(world, &posts[i]);
        assert_int_equal(posts[i].done, 1);
        assert_int_equal(posts[i].publish.verdict, i % 5 == 2 || i == 3 ? 0 : PUBLISH_E_NO_SPACE);
    }
    assert_int_equal(world_read(world, "a", &first), 0);
    assert_int_equal(world_read(world, "b", &first), 1);
    assert_int_equal(world_channel(world, "a").trimmed, last);
    assert_int_equal(world_channel(world, "a").count, 0);
    gate.full = false;
    assert_int_equal(post_one(world, "a", "again"), last + 2);
    world_reopen(world);
    assert_int_equal(world_read(world, "a", &first), 1);
}

/* Pending appends, and their publishes, when a commit fails. */
struct load {
    unsigned appends;
    unsigned publishes;
    bool deletes;
};

enum { LOAD_MAX = 6000 };

static void send_load(struct world *world, const struct load *load, struct post *posts)
{
    char name[16];
    for (unsigned i = 0; i < load->appends; i++) {
        struct append *append = append_begin(world);
        for (unsigned j = 0; j < load->publishes; j++) {
            struct post *post = posts++;
            post_begin(append, post);
            snprintf(name, sizeof(name), "c%u", j % 50);
            struct event *event = post_add(append, post, name, load->deletes ? "" : "x");
            event->state = load->deletes ? EVENT_TRIM : EVENT_PROPOSED;
        }
        log_append(world->log, append);
    }
}

static uint64_t holds_of(const struct world *world)
{
    return atomic_load(&log_lock_hist(world->log)->count);
}

/* Returns how often the lock was taken meanwhile. */
static uint64_t fail_load(struct world *world, const struct load *load, int error)
{
    struct post *posts = mem_alloc(LOAD_MAX * sizeof(*posts)), one;
    unsigned count = load->appends * load->publishes;
    gate_set(true, 0);
    post_send(world, &one, "a", "x");
    gate_wait();
    send_load(world, load, posts);
    uint64_t holds = holds_of(world);
    gate_set(false, error);
    post_wait(world, &posts[count - 1]);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(posts[i].publish.verdict, PUBLISH_E_UNAVAILABLE);
    holds = holds_of(world) - holds;
    gate_set(false, 0);
    free(posts);
    return holds;
}

static void a_failed_commit_is_taken_back_in_slices(void **state)
{
    struct world *world = *state;
    static const struct load little = {1, 1, false};
    static const struct load loads[] = {
        {5000, 1, false}, {10, 500, false}, {60, 100, false}, {5000, 1, true}, {20, 300, true}};
    char name[16];
    world_open(world);
    for (unsigned i = 0; i < 50; i++) {
        snprintf(name, sizeof(name), "c%u", i);
        (void)post_one(world, name, "x");
    }
    uint64_t last = log_newest(world->log);
    uint64_t fewest = fail_load(world, &little, -EIO);
    for (size_t i = 0; i < sizeof(loads) / sizeof(*loads); i++) {
        uint64_t holds = fail_load(world, &loads[i], -EIO);
        assert_true(holds >= fewest + loads[i].appends * loads[i].publishes / LOG_SETTLE_SLICE / 2);
        for (unsigned j = 0; j < 50; j++) {
            snprintf(name, sizeof(name), "c%u", j);
            assert_int_equal(world_channel(world, name).count, 1);
            assert_int_equal(world_channel(world, name).trimmed, 0);
        }
    }
    assert_int_equal(post_one(world, "a", "x"), last + 1);
}

static void deletes_are_made_visible_in_slices(void **state)
{
    struct world *world = *state;
    const struct load load = {5000, 1, false};
    struct post *posts = mem_alloc(LOAD_MAX * sizeof(*posts)), one;
    world_open(world);
    uint64_t last = post_one(world, "a", "x");
    gate_set(true, 0);
    post_send(world, &one, "a", "x");
    gate_wait();
    send_load(world, &load, posts);
    post_send_delete(world, &posts[5000], "a");
    uint64_t holds = holds_of(world);
    gate_set(false, 0);
    post_wait(world, &posts[5000]);
    assert_true(holds_of(world) - holds >= 5000 / LOG_SETTLE_SLICE);
    assert_int_equal(world_channel(world, "a").trimmed, last + 1);
    free(posts);
}

/* Otherwise it would be decided upon ids, keys and counts that are being undone. */
static void an_append_that_comes_while_others_are_taken_back_waits(void **state)
{
    struct world *world = *state;
    struct post posts[5];
    world_open(world);
    uint64_t last = post_one(world, "a", "x");
    gate.full = true;
    gate_set(true, 0);
    post_send_keyed(world, &posts[0], "b", "key", 1);
    gate_wait();
    post_send_delete(world, &posts[1], "a");
    gate.shut_at = gate.appends + 1; /* the TRIM entry of the DELETE alone */
    gate_set(false, 0);
    gate_wait_for(gate.shut_at);
    post_send_keyed(world, &posts[2], "b", "key", 2);
    post_send_keyed(world, &posts[3], "b", "key", 2);
    gate.full = false;
    gate_set(false, 0);
    for (int i = 0; i < 4; i++)
        post_wait(world, &posts[i]);
    assert_int_equal(posts[2].events[0].id, last + 1);
    assert_int_equal(posts[3].events[0].id, last + 1);
    assert_int_equal(posts[3].events[0].state, EVENT_DUPLICATE);
    assert_int_equal(log_pending_bytes(world->log), 0);
}

/* A reader that comes while a DELETE is pending must not move its cursor over events that exist
 * again when the commit has failed. */
static void readers_see_a_delete_only_once_it_is_safe(void **state)
{
    struct world *world = *state;
    uint64_t first;
    world_open(world);
    (void)post_one(world, "a", "x");
    uint64_t last = post_one(world, "a", "y");
    for (int fail = -ENOSPC; fail <= 0; fail += ENOSPC) {
        struct post post, again;
        uint64_t trims = log_trims(world->log);
        gate_set(true, fail);
        post_send_delete(world, &post, "a");
        gate_wait();
        post_send_delete(world, &again, "a");
        assert_int_equal(world_read(world, "a", &first), 2);
        assert_int_equal(world_read(world, "**", &first), 2);
        assert_int_equal(world_trimmed(world, "a"), 0);
        assert_int_equal(world_trimmed(world, "*"), 0);
        assert_int_equal(log_trims(world->log), trims);
        gate_set(false, fail);
        post_wait(world, &post);
        post_wait(world, &again);
        assert_int_equal(world_read(world, "a", &first), fail ? 2 : 0);
        assert_int_equal(world_trimmed(world, "a"), fail ? 0 : last);
        assert_int_equal(log_trims(world->log) == trims, fail != 0);
    }
    assert_int_equal(world_channel(world, "a").count, 0);
}

static void a_first_event_that_fails_leaves_a_channel_that_never_had_one(void **state)
{
    struct world *world = *state;
    struct post post;
    struct log_channel channel;
    world_open(world);
    gate_set(false, -ENOSPC);
    post_send(world, &post, "a", "x");
    post_wait(world, &post);
    gate_set(false, 0);
    assert_false(log_channel(world->log, STR("a"), &channel));
    post_send_if(world, &post, "a", 0);
    post_wait(world, &post);
    assert_int_equal(post.publish.verdict, PUBLISH_OK);
    assert_int_equal(post.events[0].prev, 0);
}

/* ---- accounts ------------------------------------------------------------------------------- */

static void pending_and_backlog_return_to_nothing(void **state)
{
    struct world *world = *state;
    struct post posts[3];
    world_open(world);
    gate_set(!world->config.memory, 0);
    for (int i = 0; i < 3; i++) {
        post_send(world, &posts[i], "a", "x");
        if (i == 0 && !world->config.memory)
            gate_wait();
    }
    assert_true(world->config.memory ? log_backlog_bytes(world->log) > 0
                                     : log_pending_bytes(world->log) > 0);
    gate_set(false, 0);
    post_wait(world, &posts[2]);
    gate_set(false, -EIO);
    post_send(world, &posts[0], "a", "y");
    post_wait(world, &posts[0]);
    assert_int_equal(log_pending_bytes(world->log), 0);
    assert_int_equal(log_backlog_bytes(world->log), 0);
}

static bool is_called(const struct world_port *port)
{
    struct pollfd wake = {.fd = port->box.wake_fd, .events = POLLIN};
    return poll(&wake, 1, 0) == 1;
}

static void all_but_one_look(struct world *world, const struct world_port *one)
{
    for (size_t i = 0; i < WORLD_PORTS; i++)
        if (&world->ports[i] != one)
            mailbox_empty(&world->ports[i].box);
}

static void a_port_at_leisure_is_called_for_much_and_is_not_behind_before(void **state)
{
    struct world *world = *state;
    struct world_port *idle = &world->ports[1];
    struct post post;
    enum { MUCH = 300000 };
    char *much = malloc(MUCH + 1);
    world_open(world);
    mailbox_set_leisure(&idle->box, true);
    assert_true(mailbox_sleep(&idle->box));
    post_send(world, &post, "a", "little");
    all_but_one_look(world, idle);
    assert_false(is_called(idle));
    assert_int_equal(log_backlog_bytes(world->log), 0);
    memset(much, 'x', MUCH);
    much[MUCH] = '\0';
    post_send(world, &post, "a", much);
    assert_true(is_called(idle));
    all_but_one_look(world, idle);
    assert_true(log_backlog_bytes(world->log) > MUCH);
    mailbox_wake(&idle->box);
    assert_int_equal(mailbox_empty(&idle->box), 2);
    assert_int_equal(idle->events, 2);
    assert_int_equal(log_backlog_bytes(world->log), 0);
    free(much);
}

static void closing_answers_what_is_pending(void **state)
{
    struct world *world = *state;
    struct post posts[50];
    world_open(world);
    for (int i = 0; i < 50; i++)
        post_send(world, &posts[i], "a", "x");
    world_close(world);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(posts[i].done, 1);
        assert_int_equal(posts[i].publish.verdict, PUBLISH_OK);
    }
    world_open(world);
    assert_int_equal(log_newest(world->log), posts[49].events[0].id);
}

static void a_folder_is_one_logs_only(void **state)
{
    struct world *world = *state;
    struct log *second;
    world_open(world);
    assert_int_equal(log_open_untended(&world->config, &second), -EBUSY);
}

/* Does all slices; returns the number of channels in the list. */
static size_t list_all(struct world *world, const char *prefix, const char *after, size_t limit,
                       struct log_channel *out)
{
    struct log_list list;
    log_list_begin(&list, str_from(prefix), str_from(after), limit, out);
    while (log_list_some(world->log, &list))
        ;
    return list.count;
}

static void channels_are_listed_by_name_after_the_last_one_seen(void **state)
{
    struct world *world = *state;
    static const char *const names[] = {"b/2", "a", "b/1", "c", "b/3"};
    struct log_channel list[2];
    world_open(world);
    for (size_t i = 0; i < 5; i++)
        post_one(world, names[i], "x");
    assert_int_equal(list_all(world, "b/", "", 2, list), 2);
    assert_memory_equal(list[0].name, "b/1", 3);
    assert_memory_equal(list[1].name, "b/2", 3);
    assert_int_equal(list_all(world, "b/", "b/2", 2, list), 1);
    assert_memory_equal(list[0].name, "b/3", 3);
    assert_int_equal(list_all(world, "b/", "b/3", 2, list), 0);
}

/* Several slices, and names that were made in descending order. */
static void a_list_of_many_channels_holds_the_lock_in_slices(void **state)
{
    struct world *world = *state;
    enum { CHANNELS = 1001 };
    struct log_channel *list = mem_alloc(CHANNELS * sizeof(*list));
    char name[16];
    world_open(world);
    for (int i = CHANNELS; i-- > 0;) {
        snprintf(name, sizeof(name), "c/%04d", i);
        post_one(world, name, "x");
    }
    uint64_t before = log_lock_hist(world->log)->count;
    assert_int_equal(list_all(world, "c/", "", CHANNELS, list), CHANNELS);
    assert_int_equal(log_lock_hist(world->log)->count - before, (CHANNELS + 255) / 256);
    for (int i = 0; i < CHANNELS; i++) {
        snprintf(name, sizeof(name), "c/%04d", i);
        assert_memory_equal(list[i].name, name, 6);
    }
    struct log_list slices;
    log_list_begin(&slices, STR("c/"), STR("c/0100"), CHANNELS, list);
    for (size_t most = 256; log_list_some(world->log, &slices); most += 256)
        assert_int_equal(slices.count, most);
    assert_int_equal(slices.count, CHANNELS - 101);
    log_list_begin(&slices, (struct str){0}, (struct str){0}, 5, list); /* neither slice yields a
                                                                         * channel */
    assert_false(log_list_some(world->log, &slices));
    assert_int_equal(slices.count, 5);
    assert_memory_equal(list[0].name, "c/0000", 6);
    before = log_lock_hist(world->log)->count;
    assert_int_equal(list_all(world, "c/", "c/0990", 5, list), 5);
    assert_int_equal(log_lock_hist(world->log)->count - before, 1);
    assert_memory_equal(list[0].name, "c/0991", 6);
    free(list);
}

static void beyond_channels_max_only_a_publish_to_a_new_channel_is_refused(void **state)
{
    struct world *world = *state;
    struct post post;
    world->config.channels_max = 2;
    world_open(world);
    post_one(world, "a", "x");
    post_one(world, "b", "x");
    post_send(world, &post, "c", "x");
    post_wait(world, &post);
    assert_int_equal(post.publish.verdict, PUBLISH_E_CHANNELS);
    post_one(world, "a", "x");
}

static void the_log_notes_for_how_long_its_lock_was_held(void **state)
{
    struct world *world = *state;
    world_open(world);
    const struct hist *hist = log_lock_hist(world->log);
    uint64_t before = hist->count;
    log_lock(world->log);
    clock_fake_advance(&world->clock, 700);
    log_unlock(world->log);
    assert_int_equal(hist->count, before + 1);
    assert_int_equal(hist->max, 700000);
}

static void waiting_for_work_does_not_count_as_holding_the_lock(void **state)
{
    struct world *world = *state;
    struct timespec now;
    world_open(world);
    const struct hist *hist = log_lock_hist(world->log);
    uint64_t before = hist->count;
    log_lock(world->log);
    clock_gettime(CLOCK_MONOTONIC, &now);
    log_wait(world->log, &world->log->trim_work, &now);
    assert_int_equal(hist->count, before + 1);
    log_unlock(world->log);
    assert_int_equal(hist->count, before + 2);
}

/* The largest batch of a client. */
enum { MANY_EVENTS = 1256 };

static struct append *many_events(struct world *world, struct post *post, const char *prefix,
                                  bool keyed, bool refused)
{
    struct append *append = append_begin(world);
    char name[32];
    post_begin(append, post);
    for (unsigned i = 0; i < MANY_EVENTS; i++) {
        snprintf(name, sizeof(name), "%s/%u", prefix, i);
        struct event *event = post_add(append, post, name, "x");
        if (keyed)
            post_set_key(append, event, name, 1);
    }
    if (refused)
        post_set_key(append, &append->batch->events[MANY_EVENTS - 1], "reused", 2);
    return append;
}

static void a_large_batch_holds_the_lock_in_slices(void **state)
{
    struct world *world = *state;
    struct post post;
    uint64_t stats_channels = 0;
    world->config.keys_max = 100000;
    world_open(world);
    post_send_keyed(world, &post, "a", "reused", 1);
    post_wait(world, &post);
    for (unsigned kind = 0; kind < 8; kind++) {
        const char *prefix = kind % 2 ? "known" : kind & 4 ? "new" : "newer";
        struct append *append = many_events(world, &post, prefix, kind & 2, kind & 4);
        uint64_t holds = holds_of(world);
        log_append(world->log, append);
        assert_true(holds_of(world) - holds >= MANY_EVENTS / 128);
        post_wait(world, &post);
        assert_int_equal(post.publish.verdict, kind & 4 ? PUBLISH_E_KEY_REUSED : PUBLISH_OK);
        struct log_stats stats;
        log_stats(world->log, &stats);
        if (kind & 4)
            assert_int_equal(stats.channels, stats_channels);
        stats_channels = stats.channels;
    }
    assert_int_equal(world->log->apply.channels.unclaimed, 0);
}

/* ---- threads -------------------------------------------------------------------------------- */

enum { THREADS = WORLD_PORTS, APPENDS = 300, PER_APPEND = 4 };

struct publisher {
    pthread_t thread;
    struct world *world;
    struct world_port *port;
    struct post *posts;
    unsigned index;
};

static void send_four(struct publisher *publisher, struct post *post, unsigned turn)
{
    struct append *append = append_new(publisher->world->log, &publisher->port->port);
    char name[16];
    post_begin(append, post);
    for (unsigned i = 0; i < PER_APPEND; i++) {
        snprintf(name, sizeof(name), "c%u", (turn + i * publisher->index) % 7);
        post_add(append, post, name, "x");
    }
    log_append(publisher->world->log, append);
}

static void *publish_all(void *arg)
{
    struct publisher *publisher = arg;
    for (unsigned turn = 0; turn < APPENDS; turn++) {
        send_four(publisher, &publisher->posts[turn], turn);
        (void)mailbox_empty(&publisher->port->box);
    }
    while (publisher->port->events < (uint64_t)THREADS * APPENDS * PER_APPEND)
        world_turn(publisher->port);
    while (!publisher->posts[APPENDS - 1].done)
        world_turn(publisher->port);
    return NULL;
}

/* Each port also asserts that ids rise, as they come. */
static void threads_that_publish_all_see_one_order(void **state)
{
    struct world *world = *state;
    struct publisher publishers[THREADS];
    world_namespace(world, "")->count = 100;
    world_open_with(world, log_open);
    for (unsigned i = 0; i < THREADS; i++) {
        publishers[i] = (struct publisher){.world = world, .port = &world->ports[i], .index = i};
        publishers[i].posts = mem_alloc(APPENDS * sizeof(struct post));
        pthread_create(&publishers[i].thread, NULL, publish_all, &publishers[i]);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(publishers[i].thread, NULL);
    for (unsigned i = 0; i < THREADS; i++) {
        for (unsigned turn = 0; turn < APPENDS; turn++) {
            assert_int_equal(publishers[i].posts[turn].done, 1);
            assert_int_equal(publishers[i].posts[turn].publish.verdict, PUBLISH_OK);
        }
        assert_false(world->ports[i].late);
        free(publishers[i].posts);
    }
    world_settle(world); /* the trimmer broadcasts, too */
    assert_int_equal(log_pending_bytes(world->log), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(ids_rise_below_2_to_the_53_though_the_clock_stands_still_or_goes_back),
        ON_DISK(ids_go_on_above_those_on_disk_though_the_clock_was_set_back),
        ON_BOTH(prev_is_the_one_before_in_the_channel_also_when_that_was_trimmed),
        ON_BOTH(a_publish_of_many_stands_or_falls_as_one),
        ON_BOTH(a_duplicate_has_the_first_answer_and_expires),
        ON_BOTH(a_clock_that_jumps_neither_forgets_keys_nor_keeps_them),
        ON_DISK(a_log_is_opened_though_it_holds_more_than_may_be),
        ON_DISK(a_duplicate_waits_until_the_first_is_safe),
        ON_DISK(a_duplicate_of_what_failed_fails_with_it),
        ON_DISK(keys_are_as_durable_as_their_events),
        ON_DISK(if_match_is_held_against_events_that_are_not_safe_yet),
        ON_BOTH(every_port_has_the_event_before_its_publisher_has_the_answer),
        ON_BOTH(an_ephemeral_event_reaches_every_port_and_nothing_else),
        ON_BOTH(an_ephemeral_event_comes_behind_the_newest_event),
        ON_DISK(a_refusal_that_stands_on_a_commit_that_fails_is_taken_back),
        ON_DISK(while_the_fate_of_an_attempt_is_unknown_no_refusal_is_final),
        ON_DISK(a_commit_that_fails_refuses_all_that_stands_on_it_and_gives_the_ids_again),
        ON_DISK(a_commit_of_unknown_fate_is_told_as_that_and_its_ids_are_not_given_again),
        IN_MEMORY(in_memory_too_an_append_that_fails_is_refused_and_taken_back),
        ON_BOTH(a_delete_that_fails_leaves_the_channel_as_it_was),
        ON_DISK(readers_see_a_delete_only_once_it_is_safe),
        ON_DISK(on_a_full_disk_deletes_are_done_though_others_publish),
        ON_DISK(a_failed_commit_is_taken_back_in_slices),
        ON_DISK(deletes_are_made_visible_in_slices),
        ON_DISK(an_append_that_comes_while_others_are_taken_back_waits),
        ON_BOTH(a_first_event_that_fails_leaves_a_channel_that_never_had_one),
        ON_BOTH(pending_and_backlog_return_to_nothing),
        IN_MEMORY(a_port_at_leisure_is_called_for_much_and_is_not_behind_before),
        ON_DISK(closing_answers_what_is_pending),
        ON_DISK(a_folder_is_one_logs_only),
        ON_BOTH(channels_are_listed_by_name_after_the_last_one_seen),
        IN_MEMORY(a_list_of_many_channels_holds_the_lock_in_slices),
        ON_BOTH(beyond_channels_max_only_a_publish_to_a_new_channel_is_refused),
        IN_MEMORY(the_log_notes_for_how_long_its_lock_was_held),
        IN_MEMORY(waiting_for_work_does_not_count_as_holding_the_lock),
        ON_BOTH(a_large_batch_holds_the_lock_in_slices),
        ON_BOTH(threads_that_publish_all_see_one_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
