#include "presence/presence.h"

#include "base/folder_testing.h"
#include "base/say.h"
#include "net/loop.h"
#include "presence/bundle.h"
#include "presence/desk.h"
#include "presence/state.h"
#include "presence/telling.h"
#include "presence/reads.h"
#include "presence/saving.h"
#include "presence/turn.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* The host without its thread, on a clock that the test turns; a desk of one worker; and a log
 * whose port is the test. */
struct world {
    struct clock_fake clock;
    struct log *log;
    struct loop loop; /* of the worker */
    struct log_port port;
    struct presence *presence;
    const struct presence_settings *settings;
    struct presence_desk desk;
    struct buf told; /* events published since the last look, a line each */
    bool holds;      /* bundles stay on their way */
    bool loses;      /* the log takes nothing */
    struct presence_bundle *held;
    char dir[64];
    bool has_dir;
    struct presence_limits limits;
    const struct memory_mark *memory;
    unsigned list_max;
};

static const struct presence_limits limits = {1000, 1000, 1000, 1000, 0, 0};

/* ---- the log --------------------------------------------------------------------------------- */

static void on_batch(void *owner, struct batch *batch)
{
    (void)owner;
    (void)batch;
}

static void note_done(struct publish *publish, struct batch *batch)
{
    struct presence_note *note = container_of(publish, struct presence_note, publish);
    note->bundle->last_id = batch->events[publish->first].id;
    note->bundle->lost += publish->verdict != 0;
    note->bundle->open--;
}

static void submit(struct world *world, struct presence_note *note)
{
    struct append *append = append_new(world->log, &world->port);
    struct event *event = batch_add(append->batch);
    event->channel = batch_copy(append->batch, note->channel);
    event->type = batch_copy(append->batch, str_from(note->type));
    event->data = batch_copy(append->batch, note->data);
    note->publish.done = note_done;
    note->publish.count = 1;
    append_add(append, &note->publish);
    log_append(world->log, append);
}

static void publish_bundle(struct world *world, struct presence_bundle *bundle)
{
    for (struct presence_note *note = bundle->first; note; note = note->next) {
        bundle->open++;
        buf_addf(&world->told, "%.*s %s %.*s\n", STR_FMT(note->channel), note->type,
                 STR_FMT(note->data));
        submit(world, note);
    }
    while (bundle->open)
        mailbox_empty(&world->loop.mailbox);
    presence_bundle_return(bundle);
}

static void lose_bundle(struct world *world, struct presence_bundle *bundle)
{
    for (struct presence_note *note = bundle->first; note; note = note->next) {
        buf_addf(&world->told, "lost %.*s %s\n", STR_FMT(note->channel), note->type);
        note->is_lost = true;
        bundle->lost++;
    }
    presence_bundle_return(bundle);
}

static void publish(void *app, struct presence_bundle *bundle)
{
    struct world *world = app;
    if (world->holds)
        world->held = bundle;
    else if (world->loses)
        lose_bundle(world, bundle);
    else
        publish_bundle(world, bundle);
}

/* Publishes an ordinary event, and returns its id. */
static uint64_t publish_event(struct world *world, const char *channel)
{
    struct presence_bundle bundle = {.home = &world->loop.mailbox};
    struct presence_note *note = mem_alloc(sizeof(*note));
    *note = (struct presence_note){
        .bundle = &bundle, .channel = str_from(channel), .type = "message", .data = STR("1")};
    bundle.open = 1;
    submit(world, note);
    while (bundle.open)
        mailbox_empty(&world->loop.mailbox);
    free(note);
    return bundle.last_id;
}

/* ---- the world ------------------------------------------------------------------------------- */

static const struct presence_settings *settings_of(unsigned grace_ms, unsigned list_max)
{
    const struct presence_rule rule = {
        .prefix = STR("chat"), .on = true, .grace_ms = grace_ms, .list_max = list_max};
    return presence_settings_new(&rule, 1);
}

static void open_presence(struct world *world)
{
    world->settings = settings_of(10000, world->list_max);
    const struct presence_config config = {.log = world->log,
                                           .clock = &world->clock.clock,
                                           .data = world->has_dir ? world->dir : NULL,
                                           .limits = world->limits,
                                           .settings = world->settings,
                                           .memory = world->memory,
                                           .publish = publish,
                                           .app = world};
    assert_int_equal(presence_open(&config, &world->presence), 0);
    desk_init(&world->desk, presence_mailbox(world->presence), presence_open_sheet, 0);
    desk_switch(&world->desk, world->settings);
}

static void close_presence(struct world *world)
{
    desk_deinit(&world->desk);
    presence_free(world->presence);
    presence_settings_unref(world->settings);
}

static struct world *world_new(bool has_dir, const struct presence_limits *own)
{
    struct world *world = mem_alloc(sizeof(*world));
    struct log_config log = {.memory = true,
                             .store = {.clock = clock_system()},
                             .bytes_max = UINT64_C(16) << 20,
                             .channels_max = 10000,
                             .keys_max = 1000,
                             .key_life_us = 300000000,
                             .readers = 1};
    clock_fake_init(&world->clock, INT64_C(1795459080000000));
    assert_int_equal(log_open(&log, &world->log), 0);
    assert_int_equal(loop_init(&world->loop, &world->clock.clock, world), 0);
    world->port = (struct log_port){.mailbox = &world->loop.mailbox, .on_batch = on_batch};
    assert_int_equal(log_attach(world->log, &world->port), 0);
    world->limits = own ? *own : limits;
    world->list_max = 1000;
    world->has_dir = has_dir;
    snprintf(world->dir, sizeof(world->dir), "/tmp/presence_test.XXXXXX");
    if (has_dir)
        assert_non_null(mkdtemp(world->dir));
    open_presence(world);
    /* Holders are told apart by a hash. With its random seed two of a test could be one. */
    memset(world->presence->shares.seed, 0, sizeof(world->presence->shares.seed));
    return world;
}

static void world_free(struct world *world)
{
    close_presence(world);
    log_close(world->log);
    while (mailbox_empty(&world->loop.mailbox))
        ;
    loop_deinit(&world->loop);
    if (world->has_dir)
        folder_testing_remove(world->dir);
    buf_free(&world->told);
    free(world);
}

/* A turn of the worker and as many of the host as it takes. */
static void turn(struct world *world)
{
    desk_flush(&world->desk);
    for (int i = 0; i < 4; i++) {
        presence_turn(world->presence, 0);
        mailbox_empty(&world->loop.mailbox);
    }
}

/* Time passes: a loop rings its timers in slices of a tick. */
static void wait_ms(struct world *world, int64_t ms)
{
    turn(world);
    for (int64_t passed = 0; passed < ms + 128; passed += 64) {
        clock_fake_advance(&world->clock, 64000);
        turn(world);
    }
}

static void expect(struct world *world, const char *told)
{
    buf_add_char(&world->told, '\0');
    assert_string_equal(world->told.at, told);
    buf_clear(&world->told);
}

static void join_from(struct world *world, uint64_t address, const void *owner, const char *channel,
                      const char *name, bool verified, bool polls)
{
    struct str channels[] = {str_from(channel)};
    const struct presence_visitor visitor = {{str_from(name), verified}, address, polls};
    desk_join(&world->desk, owner, channels, 1, &visitor);
    turn(world);
}

static void join(struct world *world, const void *owner, const char *channel, const char *name,
                 bool verified, bool polls)
{
    join_from(world, 0, owner, channel, name, verified, polls);
}

static void leave(struct world *world, const void *owner)
{
    desk_leave(&world->desk, owner);
    turn(world);
}

/* The answer to a request, until the next one. */
static char answer_text[65536];
static struct presence_request request;
static unsigned answers;

static void answered(struct presence_request *asked, void *owner)
{
    (void)owner;
    answers++;
    snprintf(answer_text, sizeof(answer_text), "%.*s", STR_FMT(buf_str(&asked->answer)));
    buf_free(&asked->answer);
    buf_free(&asked->last_name);
    buf_free(&asked->last_mark_name);
}

static const char *ask(struct world *world, const struct presence_request *asked)
{
    unsigned before = answers;
    request = *asked;
    request.home = &world->loop.mailbox;
    request.answered = answered;
    answer_text[0] = '\0';
    presence_ask(world->presence, &request);
    turn(world);
    assert_int_equal(answers, before + 1);
    return answer_text;
}

static const char *who_is_there(struct world *world, const char *channel)
{
    static char list[65536];
    const char *answer = ask(
        world,
        &(struct presence_request){.op = PRESENCE_GET, .channel = str_from(channel), .limit = 100});
    const char *cursor = strstr(answer, ",\"cursor\"");
    snprintf(list, sizeof(list), "%.*s", (int)(cursor ? cursor - answer : 0), answer);
    return list;
}

static uint64_t stat_of(const _Atomic uint64_t *counter)
{
    return atomic_load(counter);
}

#define STAT(world, name) stat_of(&presence_stats((world)->presence)->name)

/* Owners of subscriptions. */
static char a, b, c;

#define JOINED_ALICE "$presence/chat/x joined {\"member\":\"alice\",\"verified\":true}\n"
#define LEFT_ALICE "$presence/chat/x left {\"member\":\"alice\",\"verified\":true}\n"
#define OCCUPIED "$occupied/chat/x occupied {\"channel\":\"chat/x\"}\n"
#define VACATED "$occupied/chat/x vacated {\"channel\":\"chat/x\"}\n"

/* ---- coming and going ------------------------------------------------------------------------ */

static void a_subscriber_joins_at_once_and_leaves_after_its_grace(void **state)
{
    struct world *world = world_new(false, NULL);
    (void)state;
    join(world, &a, "chat/x", "alice", true, false);
    expect(world, OCCUPIED JOINED_ALICE);
    leave(world, &a);
    wait_ms(world, 9000);
    expect(world, "");
    assert_int_equal(STAT(world, members), 1);
    wait_ms(world, 1000);
    expect(world, LEFT_ALICE VACATED);
    assert_int_equal(STAT(world, members), 0);
    assert_int_equal(STAT(world, channels), 0);
    world_free(world);
}

static void a_channel_without_presence_costs_and_tells_nothing(void **state)
{
    struct world *world = world_new(false, NULL);
    (void)state;
    join(world, &a, "other", "alice", true, false);
    expect(world, "");
    assert_int_equal(world->desk.seats.count, 0);
    world_free(world);
}

static void three_devices_are_one_member_with_three_connections(void **state)
{
    struct world *world = world_new(false, NULL);
    (void)state;
    join(world, &a, "chat/x", "alice", true, false);
    join(world, &b, "chat/x", "alice", true, false);
    join(world, &c, "chat/x", "alice", true, true);
    expect(world, OCCUPIED JOINED_ALICE);
    assert_non_null(strstr(who_is_there(world, "chat/x"),
                           "\"count\":1,\"anonymous\":0,\"members\":[{\"member\":\"alice\","
                           "\"verified\":true,\"connections\":3,\"since\":\""));
    leave(world, &a);
    leave(world, &b);
    wait_ms(world, 60000);
    expect(world, "");
    leave(world, &c);
    wait_ms(world, 30000);
    expect(world, LEFT_ALICE VACATED);
    world_free(world);
}

static void a_reconnect_within_the_grace_is_not_told(void **state)
{
    struct world *world = world_new(false, NULL);
    (void)state;
    join(world, &a, "chat/x", "alice", true, false);
    expect(world, OCCUPIED JOINED_ALICE);
    for (int i = 0; i < 3; i++) {
        leave(world, &a);
        wait_ms(world, 5000);
        join(world, &a, "chat/x", "alice", true, false);
        wait_ms(world, 20000);
    }
    expect(world, "");
    assert_int_equal(STAT(world, joins), 1);
    world_free(world);
}

static void a_poller_stays_a_member_between_polls(void **state)
{
    struct world *world = world_new(false, NULL);
    (void)state;
    join(world, &a, "chat/x", "alice", true, true);
    for (int i = 0; i < 3; i++) {
        leave(world, &a);
        wait_ms(world, 25000);
        join(world, &a, "chat/x", "alice", true, true);
    }
    expect(world, OCCUPIED JOINED_ALICE);
    leave(world, &a);
    wait_ms(world, 30000);
    expect(world, LEFT_ALICE VACATED);
    world_free(world);
}

static void a_name_of_ones_own_is_never_taken_for_a_subject(void **state)
{
    struct world *world = world_new(false, NULL);
    (void)state;
    join(world, &a, "chat/x", "alice", true, false);
    join(world, &b, "chat/x", "alice", false, false);
    expect(world, OCCUPIED JOINED_ALICE
           "$presence/chat/x joined {\"member\":\"alice\",\"verified\":false}\n");
    assert_int_equal(STAT(world, members), 2);
    world_free(world);
}

static void a_subscription_to_many_channels_is_a_member_of_each(void **state)
{
    struct world *world = world_new(false, NULL);
    const struct str channels[] = {STR("chat/a"), STR("chat/b"), STR("chat/c"),
                                   STR("chat/d"), STR("chat/e"), STR("other")};
    (void)state;
    desk_join(&world->desk, &a, channels, 6,
              &(struct presence_visitor){.who = {STR("alice"), true}});
    turn(world);
    assert_int_equal(STAT(world, members), 5);
    leave(world, &a);
    wait_ms(world, 10000);
    assert_int_equal(STAT(world, members), 0);
    assert_int_equal(STAT(world, leaves), 5);
    world_free(world);
}

/* ---- anonymous subscribers ------------------------------------------------------------------- */

#define COUNT(count, anonymous)                                                                    \
    "$presence/chat/x count {\"count\":" #count ",\"anonymous\":" #anonymous ",\"listed\":true}\n"

static void anonymous_subscribers_are_counted_once_a_second_and_not_listed(void **state)
{
    struct world *world = world_new(false, NULL);
    (void)state;
    join(world, &a, "chat/x", "", false, false);
    expect(world, OCCUPIED COUNT(0, 1));
    join(world, &b, "chat/x", "", false, false);
    join(world, &c, "chat/x", "", false, false);
    wait_ms(world, 500);
    expect(world, "");
    wait_ms(world, 500);
    expect(world, COUNT(0, 3));
    assert_non_null(strstr(who_is_there(world, "chat/x"),
                           "\"count\":0,\"anonymous\":3,\"members\":[],\"more\":false"));
    leave(world, &a);
    leave(world, &b);
    leave(world, &c);
    wait_ms(world, 9000);
    expect(world, "");
    wait_ms(world, 1000);
    expect(world, COUNT(0, 0) VACATED);
    world_free(world);
}

static void an_anonymous_poller_is_one_and_not_many(void **state)
{
    struct world *world = world_new(false, NULL);
    (void)state;
    for (int i = 0; i < 10; i++) {
        join(world, &a, "chat/x", "", false, true);
        leave(world, &a);
        wait_ms(world, 1000);
    }
    expect(world, OCCUPIED COUNT(0, 1));
    assert_int_equal(STAT(world, anonymous), 1);
    world_free(world);
}

/* ---- large channels and limits --------------------------------------------------------------- */

#define LISTED(count, listed)                                                                      \
    "$presence/chat/x count {\"count\":" #count ",\"anonymous\":0,\"listed\":" #listed "}\n"

/* Two members are told singly. */
static struct world *world_new_small(void)
{
    struct world *world = world_new(false, NULL);
    world->list_max = 2;
    close_presence(world);
    open_presence(world);
    return world;
}

static void a_large_channel_tells_its_count_alone(void **state)
{
    static char owners[8];
    struct world *world = world_new_small();
    (void)state;
    join(world, &owners[0], "chat/x", "m0", false, false);
    join(world, &owners[1], "chat/x", "m1", false, false);
    buf_clear(&world->told);
    join(world, &owners[2], "chat/x", "m2", false, false);
    expect(world, "$presence/chat/x count {\"count\":3,\"anonymous\":0,\"listed\":false}\n");
    leave(world, &owners[0]);
    wait_ms(world, 11000);
    expect(world, LISTED(2, false) LISTED(2, true));
    leave(world, &owners[1]);
    wait_ms(world, 11000);
    expect(world, "$presence/chat/x left {\"member\":\"m1\",\"verified\":false}\n");
    world_free(world);
}

static void a_list_is_read_anew_after_a_channel_was_large_for_a_moment(void **state)
{
    static char owners[8];
    struct world *world = world_new_small();
    (void)state;
    join(world, &a, "chat/x", "", false,
         false); /* its count is told, and the next a second later */
    join(world, &owners[0], "chat/x", "m0", false, false);
    leave(world, &owners[0]);
    wait_ms(world, 9500);
    join(world, &b, "chat/x", "", false, false);
    join(world, &owners[1], "chat/x", "m1", false, false);
    buf_clear(&world->told);
    join(world, &owners[2], "chat/x", "m2", false, false); /* the third: not told, and m0 goes */
    wait_ms(world, 1000);
    expect(world, "$presence/chat/x count {\"count\":2,\"anonymous\":2,\"listed\":false}\n");
    wait_ms(world, 1000);
    expect(world, "$presence/chat/x count {\"count\":2,\"anonymous\":2,\"listed\":true}\n");
    wait_ms(world, 5000);
    expect(world, "");
    world_free(world);
}

static void another_limit_of_a_large_channel_is_told(void **state)
{
    static char owners[3];
    struct world *world = world_new_small();
    (void)state;
    join(world, &owners[0], "chat/x", "m0", false, false);
    join(world, &owners[1], "chat/x", "m1", false, false);
    join(world, &owners[2], "chat/x", "m2", false, false);
    wait_ms(world, 2000);
    buf_clear(&world->told);
    const struct presence_settings *wide = settings_of(10000, 3), *narrow = settings_of(10000, 1);
    presence_switch(world->presence, wide, &limits);
    turn(world);
    expect(world, LISTED(3, true));
    presence_switch(world->presence, narrow, &limits);
    wait_ms(world, 1000);
    expect(world, LISTED(3, false));
    presence_settings_unref(wide);
    presence_settings_unref(narrow);
    world_free(world);
}

static void beyond_the_limit_of_members_a_subscriber_is_anonymous(void **state)
{
    struct world *world = world_new(false, &(struct presence_limits){1000, 1, 1000, 1000, 0, 0});
    (void)state;
    join(world, &a, "chat/x", "alice", true, false);
    join(world, &b, "chat/y", "bob", true, false);
    assert_int_equal(STAT(world, members), 1);
    assert_int_equal(STAT(world, anonymous), 1);
    assert_int_equal(STAT(world, refused), 1);
    leave(world, &b);
    wait_ms(world, 10000);
    assert_int_equal(STAT(world, anonymous), 0);
    world_free(world);
}

static void beyond_the_limit_of_channels_a_subscriber_is_not_counted(void **state)
{
    struct world *world = world_new(false, &(struct presence_limits){1, 1000, 1000, 1000, 0, 0});
    (void)state;
    join(world, &a, "chat/x", "alice", true, false);
    buf_clear(&world->told);
    join(world, &b, "chat/y", "", false, false);
    expect(world, "");
    assert_int_equal(STAT(world, channels), 1);
    assert_int_equal(STAT(world, anonymous), 0);
    assert_int_equal(STAT(world, refused), 1);
    join(world, &c, "chat/x", "carol", true, false);
    assert_int_equal(STAT(world, members), 2);
    leave(world, &a);
    leave(world, &b);
    leave(world, &c);
    wait_ms(world, 11000);
    join(world, &b, "chat/y", "", false, false);
    assert_int_equal(STAT(world, anonymous), 1);
    world_free(world);
}

static void anonymous_subscribers_beyond_the_limit_of_members_have_no_grace(void **state)
{
    struct world *world = world_new(false, &(struct presence_limits){1000, 1, 1000, 1000, 0, 0});
    (void)state;
    join(world, &a, "chat/x", "", false, false);
    join(world, &b, "chat/y", "", false, false);
    leave(world, &b);
    assert_int_equal(STAT(world, channels), 1);
    leave(world, &a);
    assert_int_equal(STAT(world, channels), 1);
    wait_ms(world, 11000);
    assert_int_equal(STAT(world, channels), 0);
    world_free(world);
}

static void a_subject_that_is_too_long_is_anonymous(void **state)
{
    static char name[PRESENCE_NAME_MAX + 2];
    struct world *world = world_new(false, NULL);
    (void)state;
    memset(name, 'a', PRESENCE_NAME_MAX + 1);
    join(world, &a, "chat/x", name, true, false);
    assert_int_equal(STAT(world, anonymous), 1);
    assert_int_equal(STAT(world, refused), 1);
    world_free(world);
}

static void a_list_is_told_by_pages_in_the_order_of_names(void **state)
{
    static char owners[25];
    struct world *world = world_new(false, NULL);
    char name[16], after[16] = "";
    unsigned seen = 0, pages = 0;
    (void)state;
    for (unsigned i = 0; i < 25; i++) {
        snprintf(name, sizeof(name), "m%02u", i * 7 % 25);
        join(world, &owners[i], "chat/x", name, false, false);
    }
    do {
        const char *answer =
            ask(world, &(struct presence_request){.op = PRESENCE_GET,
                                                  .channel = STR("chat/x"),
                                                  .limit = 10,
                                                  .after = {str_from(after), false}});
        for (const char *at = answer; (at = strstr(at, "\"member\":\"m")); at += 10) {
            snprintf(name, sizeof(name), "m%02u", seen++);
            assert_memory_equal(at + 10, name, 3);
            snprintf(after, sizeof(after), "%s", name);
        }
        pages++;
    } while (request.more);
    assert_int_equal(seen, 25);
    assert_int_equal(pages, 3);
    world_free(world);
}

/* ---- shares ---------------------------------------------------------------------------------- */

/* An address may have ten of a thousand, and a subject as many. */
static const struct presence_limits shared = {1000, 1000, 1000, 1000, 1, 1};
static char many[32];

static void join_many(struct world *world, uint64_t address, unsigned from, unsigned upto)
{
    char name[16];
    for (unsigned i = from; i < upto; i++) {
        snprintf(name, sizeof(name), "m%u", i);
        join_from(world, address, &many[i], "chat/x", name, false, false);
    }
}

static void beyond_the_share_of_its_address_a_subscriber_is_anonymous(void **state)
{
    struct world *world = world_new(false, &shared);
    (void)state;
    join_many(world, 1, 0, 12);
    assert_int_equal(STAT(world, members), 10);
    assert_int_equal(STAT(world, anonymous), 2);
    assert_int_equal(STAT(world, address_refused), 2);
    assert_int_equal(STAT(world, refused), 2);
    join_many(world, 2, 12, 14); /* others have their places */
    assert_int_equal(STAT(world, members), 12);
    leave(world, &many[0]);
    wait_ms(world, 11000);
    join_many(world, 1, 14, 15); /* and a place that is free is given again */
    assert_int_equal(STAT(world, members), 12);
    world_free(world);
}

static void a_member_that_comes_back_has_its_seat_though_its_share_is_used_up(void **state)
{
    struct world *world = world_new(false, &shared);
    (void)state;
    join_many(world, 1, 0, 10);
    leave(world, &many[3]);
    wait_ms(world, 5000);
    join_many(world, 1, 20, 22); /* strangers do not get it meanwhile */
    assert_int_equal(STAT(world, members), 10);
    join_from(world, 1, &many[3], "chat/x", "m3", false, false);
    wait_ms(world, 20000);
    assert_int_equal(STAT(world, members), 10);
    assert_int_equal(STAT(world, leaves), 0);
    world_free(world);
}

static void a_member_that_moves_counts_for_the_address_it_comes_from(void **state)
{
    struct world *world = world_new(false, &shared);
    (void)state;
    join_many(world, 1, 0, 10);
    leave(world, &many[3]);
    join_from(world, 2, &many[3], "chat/x", "m3", false, false);
    join_many(world, 1, 20, 21);
    assert_int_equal(STAT(world, members), 11);
    assert_int_equal(STAT(world, address_refused), 0);
    world_free(world);
}

static void a_member_that_moves_to_a_full_address_keeps_its_seat(void **state)
{
    struct world *world = world_new(false, &shared);
    (void)state;
    join_many(world, 1, 0, 10);
    join_from(world, 2, &a, "chat/x", "alice", false, false);
    leave(world, &a);
    join_from(world, 1, &a, "chat/x", "alice", false, false);
    wait_ms(world, 20000);
    assert_int_equal(STAT(world, members), 11);
    world_free(world);
}

static void beyond_the_share_of_its_subject_a_subscriber_is_anonymous(void **state)
{
    struct world *world = world_new(false, &shared);
    char channel[16];
    (void)state;
    for (unsigned i = 0; i < 12; i++) {
        snprintf(channel, sizeof(channel), "chat/%u", i);
        join_from(world, 100 + i, &many[i], channel, "alice", true, false);
    }
    assert_int_equal(STAT(world, members), 10);
    assert_int_equal(STAT(world, subject_refused), 2);
    join_from(world, 200, &a, "chat/0", "bob", true, false);
    assert_int_equal(STAT(world, members), 11);
    world_free(world);
}

static void an_address_has_a_share_of_channels(void **state)
{
    struct world *world = world_new(false, &shared);
    char channel[16];
    (void)state;
    for (unsigned i = 0; i < 12; i++) {
        snprintf(channel, sizeof(channel), "chat/%u", i);
        join_from(world, 1, &many[i], channel, "", false, false);
    }
    assert_int_equal(STAT(world, channels), 10);
    assert_int_equal(STAT(world, address_refused), 2);
    join_from(world, 2, &a, "chat/other", "", false, false);
    assert_int_equal(STAT(world, channels), 11);
    for (unsigned i = 0; i < 12; i++)
        leave(world, &many[i]);
    wait_ms(world, 11000);
    join_from(world, 1, &b, "chat/again", "", false, false);
    assert_int_equal(STAT(world, channels), 2);
    world_free(world);
}

static void nobody_joins_while_memory_is_full_and_members_stay(void **state)
{
    struct world *world = world_new(false, NULL);
    struct memory_mark mark = {.times = 0};
    (void)state;
    world->memory = &mark;
    close_presence(world);
    open_presence(world);
    join(world, &a, "chat/x", "alice", true, false);
    assert_true(memory_mark_look(&mark, 2, 1));
    join(world, &b, "chat/x", "bob", true, false);
    leave(world, &a);
    join(world, &a, "chat/x", "alice", true, false);
    wait_ms(world, 20000);
    assert_int_equal(STAT(world, members), 1);
    assert_int_equal(STAT(world, anonymous), 1);
    world_free(world);
}

/* ---- states ---------------------------------------------------------------------------------- */

static struct presence_request put_state(const char *name, const char *state)
{
    return (struct presence_request){.op = PRESENCE_PUT,
                                     .channel = STR("chat/x"),
                                     .me = {str_from(name), true},
                                     .has_state = true,
                                     .state = str_from(state)};
}

static void a_state_is_told_once_and_goes_with_null(void **state)
{
    struct world *world = world_new(false, NULL);
    (void)state;
    join(world, &a, "chat/x", "alice", true, false);
    buf_clear(&world->told);
    struct presence_request put = put_state("alice", "{\"typing\":true}");
    assert_non_null(strstr(ask(world, &put), "\"state\":{\"typing\":true}"));
    ask(world, &put);
    expect(world, "$presence/chat/x updated {\"member\":\"alice\",\"verified\":true,"
                  "\"state\":{\"typing\":true}}\n");
    put = put_state("alice", "null");
    assert_null(strstr(ask(world, &put), "state"));
    expect(world, "$presence/chat/x updated {\"member\":\"alice\",\"verified\":true,"
                  "\"state\":null}\n");
    world_free(world);
}

static void only_a_member_has_a_state(void **state)
{
    struct world *world = world_new(false, NULL);
    (void)state;
    struct presence_request put = put_state("alice", "1");
    ask(world, &put);
    assert_int_equal(request.fault, PRESENCE_E_AWAY);
    put.channel = STR("other");
    ask(world, &put);
    assert_int_equal(request.fault, PRESENCE_E_OFF);
    world_free(world);
}

static void a_state_of_a_subscriber_over_its_share_is_refused_with_the_key_to_raise(void **state)
{
    struct world *world = world_new(false, &shared);
    (void)state;
    join_many(world, 1, 0, 11);
    struct presence_request put = put_state("m10", "1");
    put.me.verified = false;
    put.address = 1;
    ask(world, &put);
    assert_int_equal(request.fault, PRESENCE_E_SHARE);
    assert_non_null(strstr(request.detail, "presence_address_percent"));
    put.address = 2;
    ask(world, &put);
    assert_int_equal(request.fault, PRESENCE_E_AWAY);
    world_free(world);
}

/* ---- read marks ------------------------------------------------------------------------------ */

static struct presence_request put_read(const char *name, uint64_t read)
{
    return (struct presence_request){
        .op = PRESENCE_PUT, .channel = STR("chat/x"), .me = {str_from(name), true}, .read = read};
}

static void a_read_mark_never_goes_back(void **state)
{
    struct world *world = world_new(false, NULL);
    char told[200];
    (void)state;
    uint64_t first = publish_event(world, "chat/x"), second = publish_event(world, "chat/x");
    struct presence_request put = put_read("alice", second);
    ask(world, &put);
    assert_int_equal(request.fault, PRESENCE_FINE);
    snprintf(
        told, sizeof(told),
        "$presence/chat/x read {\"member\":\"alice\",\"verified\":true,\"read\":\"%016llu\"}\n",
        (unsigned long long)second);
    expect(world, told);
    put = put_read("alice", first);
    snprintf(told, sizeof(told), "\"connections\":0,\"read\":\"%016llu\"",
             (unsigned long long)second);
    assert_non_null(strstr(ask(world, &put), told));
    expect(world, "");
    put = put_read("alice", second + 1);
    ask(world, &put);
    assert_int_equal(request.fault, PRESENCE_E_BEYOND);
    world_free(world);
}

static void read_marks_are_bounded_and_go_with_the_channel(void **state)
{
    struct world *world = world_new(false, &(struct presence_limits){10, 10, 10, 1, 0, 0});
    (void)state;
    uint64_t id = publish_event(world, "chat/x");
    struct presence_request put = put_read("alice", id);
    ask(world, &put);
    put = put_read("bob", id);
    ask(world, &put);
    assert_int_equal(request.fault, PRESENCE_E_FULL);
    presence_forget(world->presence, STR("chat/x"));
    turn(world);
    assert_int_equal(STAT(world, marks), 0);
    ask(world, &put);
    assert_int_equal(request.fault, PRESENCE_FINE);
    world_free(world);
}

static void an_address_and_a_subject_have_a_share_of_read_marks(void **state)
{
    struct world *world = world_new(false, &shared);
    char name[16];
    (void)state;
    uint64_t id = publish_event(world, "chat/x");
    for (unsigned i = 0; i < 11; i++) {
        snprintf(name, sizeof(name), "m%u", i);
        struct presence_request put = put_read(name, id);
        put.address = 1;
        ask(world, &put);
        assert_int_equal(request.fault, i < 10 ? PRESENCE_FINE : PRESENCE_E_SHARE);
    }
    assert_non_null(strstr(request.detail, "presence_address_percent"));
    assert_int_equal(STAT(world, marks_refused), 1);
    assert_int_equal(STAT(world, address_refused), 1);
    struct presence_request moved = put_read("m3", publish_event(world, "chat/x"));
    moved.address = 1; /* a mark that is there moves on */
    ask(world, &moved);
    assert_int_equal(request.fault, PRESENCE_FINE);
    struct presence_request other = put_read("bob", id);
    other.address = 2;
    ask(world, &other);
    assert_int_equal(request.fault, PRESENCE_FINE);
    presence_forget(world->presence, STR("chat/x"));
    turn(world);
    other.address = 1;
    ask(world, &other);
    assert_int_equal(request.fault, PRESENCE_FINE);
    world_free(world);
}

static unsigned times_told(const struct world *world, const char *what)
{
    struct str rest = buf_str(&world->told);
    unsigned times = 0;
    for (const char *at; rest.len && (at = memmem(rest.at, rest.len, what, strlen(what))); times++)
        rest = str_skip(rest, (size_t)(at - rest.at) + 1);
    return times;
}

static void a_mark_that_moves_often_is_told_once_a_second_and_then_where_it_is(void **state)
{
    struct world *world = world_new(false, NULL);
    char newest[32];
    (void)state;
    uint64_t id = 0;
    for (int i = 0; i < 20; i++) {
        id = publish_event(world, "chat/x");
        struct presence_request put = put_read("alice", id);
        ask(world, &put);
        assert_int_equal(request.fault, PRESENCE_FINE);
    }
    assert_int_equal(times_told(world, " read "), 1);
    snprintf(newest, sizeof(newest), "\"%016llu\"", (unsigned long long)id);
    assert_int_equal(times_told(world, newest), 0);
    wait_ms(world, 1000);
    assert_int_equal(times_told(world, " read "), 2);
    assert_int_equal(times_told(world, newest), 1);
    wait_ms(world, 5000);
    assert_int_equal(times_told(world, " read "), 2);
    world_free(world);
}

/* Moves the marks of so many persons. */
static uint64_t move_marks(struct world *world, unsigned count)
{
    char name[16];
    uint64_t id = publish_event(world, "chat/x");
    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "m%u", i);
        struct presence_request put = put_read(name, id);
        ask(world, &put);
    }
    return id;
}

static void the_marks_of_a_busy_channel_leave_room_for_other_events(void **state)
{
    struct world *world = world_new(false, NULL);
    char newest[32];
    uint64_t id = 0;
    (void)state;
    for (int i = 0; i < 10; i++) {
        id = move_marks(world, 80);
        wait_ms(world, 1000);
    }
    assert_in_range(times_told(world, " read "), READS_AT_ONCE,
                    READS_AT_ONCE + 12 * READS_A_SECOND);
    wait_ms(world, 60000);
    snprintf(newest, sizeof(newest), "\"%016llu\"", (unsigned long long)id);
    assert_int_equal(times_told(world, newest), 80);
    world_free(world);
}

static void marks_that_wait_are_told_before_the_server_stops(void **state)
{
    struct world *world = world_new(false, NULL);
    (void)state;
    (void)move_marks(world, 1);
    (void)move_marks(world, 1);
    assert_int_equal(times_told(world, " read "), 1);
    assert_int_equal(presence_start(world->presence), 0);
    presence_pause(world->presence);
    presence_stop(world->presence);
    mailbox_empty(&world->loop.mailbox);
    assert_int_equal(times_told(world, " read "), 2);
    world_free(world);
}

static void an_event_lost_as_the_server_stops_is_followed_by_a_reset_after_the_restart(void **state)
{
    struct world *world = world_new(true, NULL);
    (void)state;
    (void)move_marks(world, 1);
    (void)move_marks(world, 1);
    world->loses = true;
    assert_int_equal(presence_start(world->presence), 0);
    presence_pause(world->presence);
    presence_stop(world->presence);
    mailbox_empty(&world->loop.mailbox);
    assert_int_equal(times_told(world, "lost $presence/chat/x read"), 1);
    world->loses = false;
    close_presence(world);
    buf_clear(&world->told);
    open_presence(world);
    assert_int_equal(presence_start(world->presence), 0);
    presence_stop(world->presence);
    mailbox_empty(&world->loop.mailbox);
    assert_int_equal(times_told(world, "$presence/chat/x reset"), 1);
    world_free(world);
}

static void marks_that_wait_go_with_their_channel(void **state)
{
    struct world *world = world_new(false, NULL);
    (void)state;
    (void)move_marks(world, 5);
    (void)move_marks(world, 5);
    presence_forget(world->presence, STR("chat/x"));
    wait_ms(world, 5000);
    assert_int_equal(times_told(world, " read "), 5);
    assert_int_equal(STAT(world, bytes[PRESENCE_MEMORY_MARKS]), 0);
    world_free(world);
}

/* ---- events that the log does not take ------------------------------------------------------- */

#define RESET(count, anonymous)                                                                    \
    "$presence/chat/x reset {\"count\":" #count ",\"anonymous\":" #anonymous ",\"listed\":true}\n"

static void a_lost_event_is_followed_by_a_reset_as_soon_as_the_log_takes_one(void **state)
{
    struct world *world = world_new(false, NULL);
    (void)state;
    join(world, &a, "chat/x", "alice", true, false);
    buf_clear(&world->told);
    world->loses = true;
    join(world, &b, "chat/x", "bob", true, false);
    expect(world, "lost $presence/chat/x joined\nlost $presence/chat/x reset\n");
    assert_int_equal(STAT(world, events_lost), 2);
    wait_ms(world, 2000);
    expect(world, "lost $presence/chat/x reset\n");
    world->loses = false;
    wait_ms(world, 8000);
    expect(world, RESET(2, 0));
    wait_ms(world, 60000);
    expect(world, "");
    world_free(world);
}

static void a_lost_word_about_an_occupied_channel_is_said_again(void **state)
{
    struct world *world = world_new(false, NULL);
    (void)state;
    world->loses = true;
    join(world, &a, "chat/x", "alice", true, false);
    buf_clear(&world->told);
    world->loses = false;
    wait_ms(world, 4000);
    expect(world, OCCUPIED RESET(1, 0));
    world_free(world);
}

static void a_room_that_everybody_has_left_unheard_says_so_and_is_forgotten_in_the_end(void **state)
{
    struct world *world = world_new(false, NULL);
    (void)state;
    join(world, &a, "chat/x", "alice", true, false);
    leave(world, &a);
    world->loses = true;
    buf_clear(&world->told);
    wait_ms(world, 11000);
    world->loses = false;
    buf_clear(&world->told);
    wait_ms(world, 8000);
    expect(world, VACATED RESET(0, 0));
    wait_ms(world, 60000);
    join(world, &a, "chat/x", "alice", true, false);
    leave(world, &a);
    wait_ms(world, 9000);
    world->loses = true;
    wait_ms(world, 300000);
    buf_clear(&world->told);
    world->loses = false;
    wait_ms(world, 30000);
    expect(world, "");
    assert_true(STAT(world, bytes[PRESENCE_MEMORY_CHANNELS]) < 2000);
    world_free(world);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void the_memory_of_the_table_is_counted_and_comes_back(void **state)
{
    struct world *world = world_new(false, NULL);
    (void)state;
    join_many(world, 1, 0, 32);
    struct presence_request put = put_state("m3", "{\"a\":\"0123456789012345678901234567890\"}");
    put.me.verified = false;
    uint64_t before = STAT(world, bytes[PRESENCE_MEMORY_MEMBERS]);
    assert_in_range(before, 32 * (32 + 8), 32 * 128);
    ask(world, &put);
    assert_true(STAT(world, bytes[PRESENCE_MEMORY_MEMBERS]) > before + 32);
    assert_true(STAT(world, bytes[PRESENCE_MEMORY_CHANNELS]) > 0);
    assert_int_equal(STAT(world, bytes[PRESENCE_MEMORY_GRACES]), 0);
    (void)move_marks(world, 60);
    assert_true(STAT(world, bytes[PRESENCE_MEMORY_MARKS]) > 60UL * 32);
    for (unsigned i = 0; i < 32; i++)
        leave(world, &many[i]);
    assert_true(STAT(world, bytes[PRESENCE_MEMORY_GRACES]) > 32UL * 32);
    wait_ms(world, 60000);
    presence_forget(world->presence, STR("chat/x"));
    turn(world);
    assert_int_equal(STAT(world, bytes[PRESENCE_MEMORY_MEMBERS]), 0);
    assert_int_equal(STAT(world, bytes[PRESENCE_MEMORY_GRACES]), 0);
    assert_int_equal(STAT(world, bytes[PRESENCE_MEMORY_MARKS]), 0);
    world_free(world);
}

static void switch_to(struct world *world, const struct presence_settings *settings)
{
    presence_switch(world->presence, settings, &world->limits);
    desk_switch(&world->desk, settings);
    turn(world);
}

/* A reload has the workers report each subscription again, without its name. */
static void notes_that_the_log_does_not_take_are_bounded_and_made_up_for(void **state)
{
    static char name[PRESENCE_NAME_MAX - 5];
    struct world *world = world_new(false, NULL);
    const struct presence_settings *settings = settings_of(0, 1000);
    const struct str channel = STR("chat/x");
    const struct presence_visitor visitor = {.who = {{name, sizeof(name)}, true}};
    (void)state;
    memset(name, 'n', sizeof(name));
    switch_to(world, settings);
    join(world, &a, "chat/x", "alice", true, false);
    world->holds = true;
    for (unsigned i = 0; i < 80000; i++) {
        desk_join(&world->desk, &b, &channel, 1, &visitor);
        desk_leave(&world->desk, &b);
    }
    turn(world);
    assert_true(STAT(world, events_lost) > 0);
    assert_true(world->presence->told_bytes >= TELLING_BYTES_MAX);
    assert_true(world->presence->told_bytes < TELLING_BYTES_MAX + 4096);
    buf_clear(&world->told);
    world->holds = false;
    presence_bundle_return(world->held); /* the log has taken all of it */
    wait_ms(world, 3000);
    assert_int_equal(world->presence->told_bytes, 0);
    expect(world, "$presence/chat/x reset {\"count\":1,\"anonymous\":0,\"listed\":true}\n");
    world_free(world);
    presence_settings_unref(settings);
}

/* ---- restarts -------------------------------------------------------------------------------- */

static void restart(struct world *world)
{
    close_presence(world);
    buf_clear(&world->told);
    open_presence(world);
    turn(world);
}

static void a_read_mark_survives_a_restart(void **state)
{
    struct world *world = world_new(true, NULL);
    char mark[64];
    (void)state;
    uint64_t id = publish_event(world, "chat/x");
    struct presence_request put = put_read("alice", id);
    ask(world, &put);
    assert_int_equal(request.fault, PRESENCE_FINE);
    restart(world);
    ask(world, &(struct presence_request){
                   .op = PRESENCE_GET, .channel = STR("chat/x"), .limit = 10, .wants_marks = true});
    snprintf(mark, sizeof(mark), "\"read\":\"%016llu\"", (unsigned long long)id);
    assert_non_null(strstr(answer_text, mark));
    presence_forget(world->presence, STR("chat/x"));
    turn(world);
    restart(world);
    assert_int_equal(STAT(world, marks), 0);
    world_free(world);
}

static void trim_done(struct publish *publish, struct batch *batch)
{
    (void)batch;
    assert_int_equal(publish->verdict, 0);
    publish->done = NULL;
}

/* Deletes the channel like DELETE, without presence_forget(). */
static void delete_channel(struct world *world, const char *channel)
{
    struct publish publish = {.done = trim_done, .count = 1};
    struct append *append = append_new(world->log, &world->port);
    struct event *event = batch_add(append->batch);
    event->channel = batch_copy(append->batch, str_from(channel));
    event->state = EVENT_TRIM;
    append_add(append, &publish);
    log_append(world->log, append);
    while (publish.done)
        mailbox_empty(&world->loop.mailbox);
}

static void the_marks_of_a_channel_that_was_deleted_just_before_a_crash_are_gone(void **state)
{
    struct world *world = world_new(true, NULL);
    (void)state;
    struct presence_request put = put_read("alice", publish_event(world, "chat/x"));
    ask(world, &put);
    assert_int_equal(STAT(world, marks), 1);
    delete_channel(world, "chat/x");
    restart(world);
    assert_int_equal(STAT(world, marks), 0);
    publish_event(world, "chat/x");
    restart(world);
    assert_int_equal(STAT(world, marks), 0);
    world_free(world);
}

/* The file has nothing yet, or everything: the events say the rest. */
static void members_of_before_a_restart_leave_if_they_do_not_come_back(int64_t saved_ms)
{
    struct world *world = world_new(true, NULL);
    join(world, &a, "chat/x", "alice", true, false);
    join(world, &b, "chat/x", "bob", true, false);
    join(world, &c, "chat/y", "carol", true, false);
    struct presence_request put = put_state("alice", "{\"a\":1}");
    ask(world, &put);
    wait_ms(world, saved_ms);
    restart(world);
    assert_int_equal(STAT(world, members), 3);
    assert_int_equal(STAT(world, channels), 2);
    assert_non_null(strstr(who_is_there(world, "chat/x"), "\"state\":{\"a\":1}"));
    join(world, &a, "chat/x", "alice", true, false);
    wait_ms(world, 29000);
    expect(world, "");
    wait_ms(world, 1000);
    buf_add_char(&world->told, '\0');
    assert_non_null(strstr(world->told.at, "$presence/chat/x left {\"member\":\"bob\""));
    assert_non_null(strstr(world->told.at, "$presence/chat/y left {\"member\":\"carol\""));
    assert_non_null(strstr(world->told.at, "$occupied/chat/y vacated"));
    assert_null(strstr(world->told.at, "alice"));
    assert_null(strstr(world->told.at, "$occupied/chat/x"));
    buf_clear(&world->told);
    restart(world);
    assert_int_equal(STAT(world, members), 1);
    world_free(world);
}

static void a_restart_reads_members_from_the_events_that_the_file_lacks(void **state)
{
    (void)state;
    members_of_before_a_restart_leave_if_they_do_not_come_back(0);
}

static void a_restart_reads_members_from_the_file(void **state)
{
    (void)state;
    members_of_before_a_restart_leave_if_they_do_not_come_back(3000);
}

static void anonymous_subscribers_who_do_not_come_back_after_a_restart_are_told(void **state)
{
    struct world *world = world_new(true, NULL);
    (void)state;
    join(world, &a, "chat/x", "alice", true, false);
    join(world, &b, "chat/x", "", false, false);
    restart(world);
    join(world, &a, "chat/x", "alice", true, false);
    wait_ms(world, 29000);
    expect(world, "");
    wait_ms(world, 1000);
    expect(world, COUNT(1, 0));
    world_free(world);
}

static void
the_last_anonymous_subscriber_who_does_not_come_back_after_a_restart_is_told(void **state)
{
    struct world *world = world_new(true, NULL);
    (void)state;
    join(world, &a, "chat/x", "", false, false);
    restart(world);
    wait_ms(world, 30000);
    expect(world, COUNT(0, 0) VACATED);
    world_free(world);
}

/* A crash within the second for which counts wait would lose the last one. */
static void a_count_that_waits_is_told_when_the_last_has_gone(void **state)
{
    struct world *world = world_new(true, NULL);
    (void)state;
    join(world, &a, "chat/x", "", false, false);
    leave(world, &a);
    wait_ms(world, 9500);
    join(world, &b, "chat/x", "", false, false);
    join(world, &c, "chat/x", "", false, false);
    buf_clear(&world->told);
    const struct presence_settings *hasty = settings_of(0, 1000);
    presence_switch(world->presence, hasty, &world->limits);
    leave(world, &b);
    leave(world, &c);
    expect(world, COUNT(0, 0) VACATED);
    wait_ms(world, 5000);
    expect(world, "");
    presence_settings_unref(hasty);
    world_free(world);
}

/* Followers read the list anew when "listed" becomes true, which a restart must not keep back. */
static void a_restart_tells_whether_members_are_told_singly(void **state)
{
    static char owners[3];
    struct world *world = world_new(true, NULL);
    (void)state;
    world->list_max = 2;
    restart(world);
    join(world, &owners[0], "chat/x", "m0", false, false);
    join(world, &owners[1], "chat/x", "m1", false, false);
    join(world, &owners[2], "chat/x", "m2", false, false);
    wait_ms(world, 3000);
    world->list_max = 3;
    restart(world);
    for (int i = 0; i < 3; i++) {
        char name[] = {'m', (char)('0' + i), '\0'};
        join(world, &owners[i], "chat/x", name, false, false);
    }
    wait_ms(world, 31000);
    expect(world, LISTED(3, true));
    world_free(world);
}

static void a_large_channel_that_all_leave_at_once_has_its_list_read_anew(void **state)
{
    static char owners[3];
    struct world *world = world_new_small();
    (void)state;
    for (int i = 0; i < 3; i++) {
        char name[] = {'m', (char)('0' + i), '\0'};
        join(world, &owners[i], "chat/x", name, false, false);
    }
    wait_ms(world, 3000);
    buf_clear(&world->told);
    for (int i = 0; i < 3; i++)
        desk_leave(&world->desk, &owners[i]);
    wait_ms(world, 12000);
    expect(world, "$presence/chat/x left {\"member\":\"m1\",\"verified\":false}\n"
                  "$presence/chat/x left {\"member\":\"m2\",\"verified\":false}\n" LISTED(0, false)
                      LISTED(0, true) VACATED);
    world_free(world);
}

static void members_of_before_a_restart_with_lower_limits_leave_as_all_others(void **state)
{
    struct world *world = world_new(true, NULL);
    (void)state;
    join(world, &a, "chat/x", "alice", true, false);
    join(world, &b, "chat/x", "bob", true, false);
    wait_ms(world, 3000);
    world->limits.members_max = 1;
    restart(world);
    assert_int_equal(STAT(world, members), 2);
    join(world, &b, "chat/x", "bob", true, false);
    wait_ms(world, 31000);
    buf_add_char(&world->told, '\0');
    assert_non_null(strstr(world->told.at, LEFT_ALICE));
    assert_null(strstr(world->told.at, "bob"));
    world_free(world);
}

/* The first world loses an event, and the second one, after the restart, tells it. */
static void an_event_that_was_lost_before_a_restart_is_made_up_for_after_it(void **state)
{
    struct world *world = world_new(true, NULL);
    (void)state;
    join(world, &a, "chat/x", "alice", true, false);
    wait_ms(world, 3000);
    world->loses = true;
    leave(world, &a);
    wait_ms(world, 14000);
    assert_int_equal(STAT(world, members), 0);
    restart(world);
    assert_int_equal(STAT(world, events_lost), 2); /* tried at once */
    world->loses = false;
    buf_clear(&world->told);
    wait_ms(world, 3000);
    expect(world, VACATED RESET(0, 0));
    wait_ms(world, 3000);
    restart(world);
    wait_ms(world, 3000);
    expect(world, "");
    world_free(world);
}

static void a_channel_that_was_occupied_unheard_before_a_restart_says_so_after_it(void **state)
{
    struct world *world = world_new(true, NULL);
    (void)state;
    join(world, &a, "chat/x", "alice", true, false);
    leave(world, &a);
    wait_ms(world, 12000);
    world->loses = true;
    join(world, &a, "chat/x", "alice", true, false);
    wait_ms(world, 3000);
    world->loses = false;
    restart(world);
    expect(world, OCCUPIED RESET(1, 0));
    world_free(world);
}

/* A change is saved only behind its event: otherwise nobody would tell it after a crash. */
static void a_change_whose_event_is_not_in_the_log_is_not_saved(void **state)
{
    struct world *world = world_new(true, NULL);
    (void)state;
    world->holds = true;
    join(world, &a, "chat/x", "alice", true, false);
    wait_ms(world, 5000);
    struct presence_bundle *held = world->held;
    assert_non_null(held);
    presence_bundle_return(held);
    held->told = 0; /* the process ends before the log has taken it */
    restart(world);
    assert_int_equal(STAT(world, members), 0);
    world_free(world);
}

/* ---- other settings -------------------------------------------------------------------------- */

static void everybody_leaves_a_namespace_that_loses_its_presence(void **state)
{
    struct world *world = world_new(false, NULL);
    (void)state;
    join(world, &a, "chat/x", "alice", true, false);
    join(world, &b, "chat/x", "", false, false);
    buf_clear(&world->told);
    const struct presence_settings *off = presence_settings_new(NULL, 0);
    presence_switch(world->presence, off, &limits);
    assert_false(presence_is_on(world->presence, STR("chat/x")));
    desk_switch(&world->desk, off);
    turn(world);
    expect(world, LEFT_ALICE COUNT(0, 0) VACATED);
    leave(world, &a);
    leave(world, &b);
    assert_int_equal(STAT(world, members), 0);
    assert_int_equal(STAT(world, anonymous), 0);
    /* On again, subscriptions that are there already are counted. */
    join(world, &c, "chat/x", "carol", true, false);
    presence_switch(world->presence, world->settings, &limits);
    desk_switch(&world->desk, world->settings);
    join(world, &c, "chat/x", "carol", true, false);
    join(world, &c, "chat/x", "carol", true, false);
    assert_int_equal(STAT(world, members), 1);
    assert_non_null(strstr(who_is_there(world, "chat/x"), "\"connections\":1"));
    presence_settings_unref(off);
    world_free(world);
}

static void report_again(struct world *world, const void *owner, const char *channel)
{
    join(world, owner, channel, "", false, false);
}

static void members_have_their_own_names_again_when_presence_is_back(void **state)
{
    struct world *world = world_new(false, NULL);
    const struct presence_settings *off = presence_settings_new(NULL, 0);
    (void)state;
    join(world, &a, "chat/x", "ann", false, false);
    join(world, &b, "chat/x", "ann", false, false);
    join(world, &c, "chat/x", "", false, false);
    for (int i = 0; i < 2; i++) {
        switch_to(world, off);
        assert_int_equal(STAT(world, members), 0);
        switch_to(world, world->settings);
        report_again(world, &a, "chat/x");
        report_again(world, &b, "chat/x");
        report_again(world, &c, "chat/x");
        assert_non_null(strstr(who_is_there(world, "chat/x"),
                               "\"count\":1,\"anonymous\":1,\"members\":[{\"member\":\"ann\","
                               "\"verified\":false,\"connections\":2"));
    }
    leave(world, &a);
    switch_to(world, off);
    leave(world, &b);
    switch_to(world, world->settings);
    join(world, &b, "chat/x", "", false, false); /* another connection */
    assert_int_equal(STAT(world, members), 0);
    presence_settings_unref(off);
    world_free(world);
}

static void a_subscription_to_many_channels_has_its_name_again_in_each(void **state)
{
    struct world *world = world_new(false, NULL);
    const struct presence_settings *off = presence_settings_new(NULL, 0);
    const struct str channels[] = {STR("chat/a"), STR("chat/b"), STR("chat/c")};
    (void)state;
    desk_join(&world->desk, &a, channels, 3,
              &(struct presence_visitor){.who = {STR("ann"), false}});
    turn(world);
    switch_to(world, off);
    switch_to(world, world->settings);
    desk_join(&world->desk, &a, channels, 3, &(struct presence_visitor){.address = 1});
    turn(world);
    assert_int_equal(STAT(world, members), 3);
    assert_int_equal(STAT(world, anonymous), 0);
    presence_settings_unref(off);
    world_free(world);
}

static void a_lowered_grace_shortens_those_that_run(void **state)
{
    struct world *world = world_new(false, NULL);
    const struct presence_settings *brief = settings_of(3000, 1000);
    (void)state;
    join(world, &a, "chat/x", "alice", true, false);
    join(world, &b, "chat/x", "", false, false);
    leave(world, &a);
    leave(world, &b);
    wait_ms(world, 1000);
    buf_clear(&world->told);
    switch_to(world, brief);
    wait_ms(world, 1000);
    expect(world, "");
    wait_ms(world, 1000);
    expect(world, LEFT_ALICE COUNT(0, 0) VACATED);
    presence_settings_unref(brief);
    world_free(world);
}

static void a_grace_that_is_longer_than_the_new_one_ends_at_once(void **state)
{
    struct world *world = world_new(false, NULL);
    const struct presence_settings *brief = settings_of(0, 1000);
    (void)state;
    join(world, &a, "chat/x", "alice", true, false);
    leave(world, &a);
    wait_ms(world, 1000);
    buf_clear(&world->told);
    switch_to(world, brief);
    wait_ms(world, 0);
    expect(world, LEFT_ALICE VACATED);
    presence_settings_unref(brief);
    world_free(world);
}

static void a_raised_grace_holds_for_those_who_are_away(void **state)
{
    struct world *world = world_new(false, NULL);
    const struct presence_settings *ample = settings_of(20000, 1000);
    (void)state;
    join(world, &a, "chat/x", "alice", true, false);
    leave(world, &a);
    wait_ms(world, 1000);
    switch_to(world, ample);
    wait_ms(world, 15000);
    assert_int_equal(STAT(world, members), 1);
    wait_ms(world, 5000);
    assert_int_equal(STAT(world, members), 0);
    presence_settings_unref(ample);
    world_free(world);
}

static void a_thread_answers_what_it_was_asked_before_it_ends(void **state)
{
    struct world *world = world_new(true, NULL);
    (void)state;
    join(world, &a, "chat/x", "alice", true, false);
    assert_int_equal(presence_start(world->presence), 0);
    presence_pause(world->presence);
    unsigned before = answers;
    request = (struct presence_request){.op = PRESENCE_GET,
                                        .channel = STR("chat/x"),
                                        .limit = 1,
                                        .home = &world->loop.mailbox,
                                        .answered = answered};
    presence_ask(world->presence, &request);
    presence_stop(world->presence);
    mailbox_empty(&world->loop.mailbox);
    assert_int_equal(answers, before + 1);
    restart(world);
    assert_int_equal(STAT(world, members), 1);
    world_free(world);
}

/* ---- a file that cannot be written ------------------------------------------------------------
 */

/* Runs a statement beside the host, in the file. */
static void run_sql(const struct world *world, const char *sql)
{
    char path[128];
    sqlite3 *db;
    snprintf(path, sizeof(path), "%s/presence.db", world->dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* From now on no save succeeds, as on a disk that is full. */
static void block_saves(const struct world *world)
{
    run_sql(world, "CREATE TRIGGER full BEFORE INSERT ON position"
                   " BEGIN SELECT RAISE(ABORT, 'full'); END");
}

static void allow_saves(const struct world *world)
{
    run_sql(world, "DROP TRIGGER full");
}

static size_t count_rows(const struct save_queue *queue)
{
    size_t count = 0;
    for (const struct save_row *row = queue->first; row; row = row->next)
        count++;
    return count;
}

/* The rows that wait for the file, or to be freed. */
static size_t count_waiting(const struct presence *presence)
{
    return count_rows(&presence->oldest) + count_rows(&presence->walk.replaced) +
           count_rows(&presence->walk.rows) + count_rows(&presence->changes) +
           count_rows(&presence->garbage);
}

/* A namespace without a grace, so that those who go have left at once. */
static const struct presence_settings *switch_to_no_grace(struct world *world)
{
    const struct presence_settings *settings = settings_of(0, 1000);
    switch_to(world, settings);
    return settings;
}

static void change_much(struct world *world)
{
    char name[16];
    for (unsigned i = 0; i < 1500; i++) {
        snprintf(name, sizeof(name), "m%u", i);
        join(world, &b, "chat/y", name, true, false);
        leave(world, &b);
    }
}

static const char *put_mark(struct world *world, uint64_t id)
{
    return ask(world, &(struct presence_request){.op = PRESENCE_PUT,
                                                 .channel = STR("chat/x"),
                                                 .me = {STR("alice"), true},
                                                 .read = id});
}

static void changes_that_cannot_be_saved_take_a_bounded_part_of_memory(void **state)
{
    struct world *world = world_new(true, NULL);
    const struct presence_settings *settings = switch_to_no_grace(world);
    (void)state;
    join(world, &a, "chat/x", "alice", true, false);
    join(world, &c, "chat/y", "carol", true, false);
    wait_ms(world, 3000); /* both are in the file */
    block_saves(world);
    leave(world, &c);
    change_much(world);
    wait_ms(world, 3000);
    assert_true(count_waiting(world->presence) < 2000);
    allow_saves(world);
    wait_ms(world, 3000);
    assert_int_equal(count_waiting(world->presence), 0);
    restart(world);
    assert_int_equal(STAT(world, members), 1);
    assert_non_null(strstr(who_is_there(world, "chat/x"), "alice"));
    world_free(world);
    presence_settings_unref(settings);
}

static int take_number(void *number, int columns, char **values, char **names)
{
    (void)columns;
    (void)names;
    *(unsigned *)number = (unsigned)strtoul(values[0], NULL, 10);
    return 0;
}

/* The members of a channel in the file. */
static unsigned count_in_file(const struct world *world, const char *channel)
{
    char path[128], sql[128];
    unsigned count = 0;
    sqlite3 *db;
    snprintf(path, sizeof(path), "%s/presence.db", world->dir);
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM member WHERE channel = '%s'", channel);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, take_number, &count, NULL), SQLITE_OK);
    sqlite3_close(db);
    return count;
}

/* More members of chat/z come and go in a turn than changes may wait. Returns the bundle of their
 * notes, which the log has not taken yet. */
static struct presence_bundle *change_much_in_a_turn(struct world *world)
{
    struct str channel = STR("chat/z");
    world->holds = true;
    for (unsigned i = 0; i < 1500; i++) {
        desk_join(&world->desk, &b, &channel, 1,
                  &(struct presence_visitor){.who = {STR("bob"), true}});
        desk_leave(&world->desk, &b);
    }
    turn(world);
    world->holds = false;
    return world->held;
}

/* The log takes the notes of a turn only once those of the next are told. */
static void changes_are_saved_while_the_log_lags_and_more_changes_come(void **state)
{
    enum { ROUNDS = 8 };
    struct world *world = world_new(true, NULL);
    const struct presence_settings *settings = switch_to_no_grace(world);
    (void)state;
    join(world, &c, "chat/y", "carol", true, false);
    wait_ms(world, 3000);
    assert_int_equal(count_in_file(world, "chat/y"), 1);
    leave(world, &c);
    struct presence_bundle *before = change_much_in_a_turn(world);
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct presence_bundle *next = change_much_in_a_turn(world);
        publish_bundle(world, before);
        wait_ms(world, 2000);
        before = next;
        assert_true(count_waiting(world->presence) < 15000);
    }
    assert_int_equal(count_in_file(world, "chat/y"), 0);
    publish_bundle(world, before);
    wait_ms(world, 3000);
    restart(world);
    assert_int_equal(STAT(world, members), 0);
    world_free(world);
    presence_settings_unref(settings);
}

static void rows_that_nobody_needs_do_not_pile_up_behind_a_save_that_hangs(void **state)
{
    enum { ROUNDS = 20 };
    struct world *world = world_new(true, NULL);
    const struct presence_settings *settings = switch_to_no_grace(world);
    (void)state;
    join(world, &c, "chat/y", "carol", true, false);
    wait_ms(world, 3000);
    world->presence->has_save = true;
    for (unsigned i = 0; i < ROUNDS; i++) {
        publish_bundle(world, change_much_in_a_turn(world));
        wait_ms(world, 1000);
        assert_true(count_waiting(world->presence) < 25000);
    }
    world->presence->has_save = false;
    wait_ms(world, 3000);
    assert_int_equal(count_waiting(world->presence), 0);
    assert_int_equal(count_in_file(world, "chat/y"), 1);
    world_free(world);
    presence_settings_unref(settings);
}

/* Members of chat/r0 to chat/r49; `owners` has a place for each. */
static void fill_rooms(struct world *world, char *owners, unsigned count)
{
    char name[16], text[16];
    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "m%u", i);
        snprintf(text, sizeof(text), "chat/r%u", i % 50);
        struct str channel = str_from(text);
        desk_join(&world->desk, &owners[i], &channel, 1,
                  &(struct presence_visitor){.who = {str_from(name), true}});
    }
    wait_ms(world, 3000);
}

static void members_who_come_and_go_while_all_are_queued_anew_are_saved_as_they_are(void **state)
{
    enum { MEMBERS = 5000, EACH = MEMBERS / 50 };
    static char owners[MEMBERS];
    struct presence_limits wide = {10000, 10000, 10000, 1000, 0, 0};
    struct world *world = world_new(true, &wide);
    const struct presence_settings *settings = switch_to_no_grace(world);
    struct str channel = STR("chat/z");
    (void)state;
    fill_rooms(world, owners, MEMBERS);
    for (unsigned i = 0; i < 2 * MEMBERS; i++) {
        desk_join(&world->desk, &b, &channel, 1,
                  &(struct presence_visitor){.who = {STR("bob"), true}});
        desk_leave(&world->desk, &b);
    }
    desk_flush(&world->desk);
    presence_turn(world->presence, 0);
    assert_true(saving_has_more(world->presence));
    desk_leave(&world->desk, &owners[0]);
    desk_leave(&world->desk, &owners[49]);
    for (unsigned i = 0; i < EACH; i++)
        desk_leave(&world->desk, &owners[25 + 50 * i]); /* the whole of a room */
    join(world, &c, "chat/new", "carol", true, false);
    while (saving_has_more(world->presence))
        turn(world);
    wait_ms(world, 3000);
    assert_int_equal(count_waiting(world->presence), 0);
    assert_int_equal(count_in_file(world, "chat/r0"), EACH - 1);
    assert_int_equal(count_in_file(world, "chat/r10"), EACH);
    assert_int_equal(count_in_file(world, "chat/r25"), 0);
    assert_int_equal(count_in_file(world, "chat/r49"), EACH - 1);
    assert_int_equal(count_in_file(world, "chat/new"), 1);
    restart(world);
    assert_int_equal(STAT(world, members), MEMBERS - EACH - 2 + 1);
    world_free(world);
    presence_settings_unref(settings);
}

static void changes_that_were_queued_anew_and_not_saved_are_read_from_the_log(void **state)
{
    struct world *world = world_new(true, NULL);
    const struct presence_settings *settings = switch_to_no_grace(world);
    (void)state;
    join(world, &c, "chat/y", "carol", true, false);
    wait_ms(world, 3000);
    block_saves(world);
    leave(world, &c);
    join(world, &a, "chat/x", "alice", true, false);
    change_much(world);
    allow_saves(world);
    restart(world); /* before anything more is saved, as after a crash */
    assert_int_equal(STAT(world, members), 1);
    assert_non_null(strstr(who_is_there(world, "chat/x"), "alice"));
    world_free(world);
    presence_settings_unref(settings);
}

static void a_mark_that_is_saved_meanwhile_hides_no_change_that_was_queued_anew(void **state)
{
    struct world *world = world_new(true, NULL);
    const struct presence_settings *settings = switch_to_no_grace(world);
    struct str channel = STR("chat/y");
    (void)state;
    join(world, &c, "chat/y", "carol", true, false);
    wait_ms(world, 3000);
    block_saves(world);
    leave(world, &c); /* the log has it, and the file has not */
    uint64_t id = publish_event(world, "chat/x");
    world->holds = true;
    for (unsigned i = 0; i < 1500; i++) {
        desk_join(&world->desk, &b, &channel, 1,
                  &(struct presence_visitor){.who = {STR("bob"), true}});
        desk_leave(&world->desk, &b);
    }
    turn(world);
    assert_true(world->presence->anew > world->presence->taken);
    presence_bundle_free(world->held); /* it never comes back */
    world->holds = false;
    allow_saves(world);
    put_mark(world, id);
    assert_int_equal(request.fault, PRESENCE_FINE);
    restart(world);
    assert_int_equal(STAT(world, members), 0);
    world_free(world);
    presence_settings_unref(settings);
}

static void a_mark_that_comes_behind_a_deletion_that_could_not_be_saved_stays(void **state)
{
    struct world *world = world_new(true, NULL);
    char *text = NULL;
    (void)state;
    put_mark(world, publish_event(world, "chat/x"));
    assert_int_equal(request.fault, PRESENCE_FINE);
    block_saves(world);
    presence_forget(world->presence, STR("chat/x"));
    turn(world);
    allow_saves(world);
    uint64_t id = publish_event(world, "chat/x");
    put_mark(world, id);
    assert_int_equal(request.fault, PRESENCE_FINE);
    wait_ms(world, 3000);
    restart(world);
    assert_true(asprintf(&text, "\"read\":\"%016llu\"", (unsigned long long)id) > 0);
    assert_non_null(strstr(put_mark(world, 1), text)); /* a lower one changes nothing */
    free(text);
    world_free(world);
}

static void rows_of_a_damaged_file_are_left_out_and_bad_states_too(void **state)
{
    struct world *world = world_new(true, NULL);
    (void)state;
    run_sql(world, "INSERT INTO occupied VALUES('chat/x');"
                   "INSERT INTO member VALUES('chat/x', 0, 'good', 1, '{\"a\":1}');"
                   "INSERT INTO member VALUES('chat/x', 0, 'cut', 2, '{\"a\":');"
                   "INSERT INTO member VALUES('chat/x', 0, 'lines', 3, '[1,' || char(10) || '2]');"
                   "INSERT INTO member VALUES('chat/x', 0, 'long', 4, '\"' || hex(zeroblob(600)) "
                   "|| '\"');"
                   "INSERT INTO member VALUES('chat/x', 0, '', 5, '');"
                   "INSERT INTO member VALUES('chat/x', 0, CAST(x'ff' AS TEXT), 6, '');"
                   "INSERT INTO member VALUES('chat/x', 0, hex(zeroblob(128)), 7, '');"
                   "INSERT INTO member VALUES('', 0, 'nowhere', 8, '');"
                   "INSERT INTO mark VALUES('chat/x', 0, CAST(x'ff' AS TEXT), 9);");
    restart(world);
    assert_int_equal(STAT(world, members), 4);
    assert_int_equal(STAT(world, marks), 0);
    const char *list = who_is_there(world, "chat/x");
    assert_non_null(strstr(list, "\"good\""));
    assert_non_null(strstr(list, "\"state\":{\"a\":1}}"));
    const char *first = strstr(list, "\"state\"");
    assert_null(strstr(first + 1, "\"state\""));
    world_free(world);
}

/* ---- large lists ----------------------------------------------------------------------------- */

enum { TALKERS = 300, QUESTIONS = 40 };

/* Many members of chat/x, each of whom has a state of the largest size. */
static void fill_room(struct world *world)
{
    static char owners[TALKERS], state[PRESENCE_STATE_MAX];
    char name[16];
    memset(state, 'x', sizeof(state));
    state[0] = state[sizeof(state) - 1] = '"';
    for (unsigned i = 0; i < TALKERS; i++) {
        snprintf(name, sizeof(name), "m%03u", i);
        join(world, &owners[i], "chat/x", name, false, false);
        ask(world, &(struct presence_request){.op = PRESENCE_PUT,
                                              .channel = STR("chat/x"),
                                              .me = {str_from(name), false},
                                              .has_state = true,
                                              .state = {state, sizeof(state)}});
        assert_int_equal(request.fault, PRESENCE_FINE);
    }
}

struct question {
    struct presence_request request;
    size_t bytes;
    bool answered;
};

static void note_answer(struct presence_request *asked, void *owner)
{
    struct question *question = container_of(asked, struct question, request);
    (void)owner;
    assert_int_equal(asked->fault, PRESENCE_FINE);
    question->answered = true;
    question->bytes = asked->answer.len;
    buf_free(&asked->answer);
    buf_free(&asked->last_name);
}

static void ask_all(struct world *world, struct question *questions)
{
    for (unsigned i = 0; i < QUESTIONS; i++) {
        questions[i] = (struct question){.request = {.op = PRESENCE_GET,
                                                     .channel = STR("chat/x"),
                                                     .limit = PRESENCE_LIMIT_MAX,
                                                     .home = &world->loop.mailbox,
                                                     .answered = note_answer}};
        presence_ask(world->presence, &questions[i].request);
    }
}

static unsigned count_answered(const struct question *questions)
{
    unsigned count = 0;
    for (unsigned i = 0; i < QUESTIONS; i++)
        count += questions[i].answered;
    return count;
}

static void a_page_of_large_states_ends_early_and_the_next_goes_on(void **state)
{
    struct world *world = world_new(false, NULL);
    struct presence_who last = {STR_NONE, false};
    char name[16];
    unsigned pages = 0, seen = 0;
    (void)state;
    fill_room(world);
    for (bool more = true; more; pages++) {
        struct question question = {.request = {.op = PRESENCE_GET,
                                                .channel = STR("chat/x"),
                                                .limit = PRESENCE_LIMIT_MAX,
                                                .after = last,
                                                .home = &world->loop.mailbox,
                                                .answered = note_answer}};
        presence_ask(world->presence, &question.request);
        presence_turn(world->presence, 0);
        struct buf *text = &question.request.answer;
        buf_add_char(text, '\0');
        for (const char *at = text->at; (at = strstr(at, "\"member\":")); at++)
            seen++;
        snprintf(name, sizeof(name), "%.*s", STR_FMT(buf_str(&question.request.last_name)));
        last.name = str_from(name);
        more = question.request.more;
        turn(world);
        assert_true(question.answered);
        assert_true(question.bytes < PRESENCE_LIST_BYTES + 2 * PRESENCE_STATE_MAX);
    }
    assert_int_equal(pages, 2);
    assert_int_equal(seen, TALKERS);
    world_free(world);
}

static void answers_that_nobody_opens_yet_take_a_bounded_part_of_memory(void **state)
{
    static struct question questions[QUESTIONS];
    struct world *world = world_new(false, NULL);
    size_t bytes = 0;
    (void)state;
    fill_room(world);
    ask_all(world, questions);
    for (unsigned i = 0; i < QUESTIONS; i++)
        presence_turn(world->presence, 0);
    for (unsigned i = 0; i < QUESTIONS; i++)
        bytes += questions[i].request.answer.len;
    assert_true(bytes >= QUESTIONS_ANSWERED_MAX);
    assert_true(bytes < QUESTIONS_ANSWERED_MAX + 2 * PRESENCE_LIST_BYTES);
    while (count_answered(questions) < QUESTIONS)
        turn(world); /* each question is answered in the end */
    world_free(world);
}

static void a_change_does_not_wait_for_lists_that_were_asked_for_before(void **state)
{
    static struct question questions[QUESTIONS];
    struct world *world = world_new(false, NULL);
    (void)state;
    fill_room(world);
    ask_all(world, questions);
    struct question change = {.request = {.op = PRESENCE_PUT,
                                          .channel = STR("chat/x"),
                                          .me = {STR("m001"), false},
                                          .has_state = true,
                                          .state = STR("null"),
                                          .home = &world->loop.mailbox,
                                          .answered = note_answer}};
    presence_ask(world->presence, &change.request);
    presence_turn(world->presence, 0);
    mailbox_empty(&world->loop.mailbox);
    assert_true(change.answered);
    assert_true(count_answered(questions) < QUESTIONS);
    while (count_answered(questions) < QUESTIONS)
        turn(world);
    world_free(world);
}

static void a_client_that_asks_much_delays_another_by_a_list_at_most(void **state)
{
    static struct question questions[QUESTIONS];
    struct world *world = world_new(false, NULL);
    uint64_t other = 1;
    (void)state;
    fill_room(world);
    while (shares_address(&world->presence->shares, other) ==
           shares_address(&world->presence->shares, 0))
        other++;
    ask_all(world, questions);
    struct question small = {.request = {.op = PRESENCE_GET,
                                         .channel = STR("chat/x"),
                                         .address = other,
                                         .home = &world->loop.mailbox,
                                         .answered = note_answer}};
    presence_ask(world->presence, &small.request);
    presence_turn(world->presence, 0);
    mailbox_empty(&world->loop.mailbox);
    assert_true(small.answered);
    assert_true(count_answered(questions) < QUESTIONS);
    while (count_answered(questions) < QUESTIONS)
        turn(world);
    world_free(world);
}

static void note_end(struct presence_request *asked, void *owner)
{
    (void)owner;
    container_of(asked, struct question, request)->answered = true;
    buf_free(&asked->answer);
    buf_free(&asked->last_name);
}

static void ask_small(struct world *world, struct question *question, uint64_t address)
{
    *question = (struct question){.request = {.op = PRESENCE_GET,
                                              .channel = STR("chat/x"),
                                              .limit = 1,
                                              .address = address,
                                              .home = &world->loop.mailbox,
                                              .answered = note_end}};
    presence_ask(world->presence, &question->request);
}

/* Asks more questions than may wait, of as many addresses as `at` says. Returns how many of an
 * address that comes last were let in. */
static unsigned flood(struct world *world, unsigned addresses)
{
    enum { LATE = 10 };
    struct question *questions = calloc(QUESTIONS_MAX + LATE, sizeof(*questions));
    unsigned fine = 0;
    for (unsigned i = 0; i < QUESTIONS_MAX; i++)
        ask_small(world, &questions[i], 1 + i % addresses);
    for (unsigned i = QUESTIONS_MAX; i < QUESTIONS_MAX + LATE; i++)
        ask_small(world, &questions[i], 1 + addresses);
    for (unsigned i = 0; i < QUESTIONS_MAX + LATE; i++)
        while (!questions[i].answered)
            turn(world);
    for (unsigned i = QUESTIONS_MAX; i < QUESTIONS_MAX + LATE; i++)
        fine += questions[i].request.fault == PRESENCE_FINE;
    free(questions);
    return fine;
}

static void questions_beyond_those_that_may_wait_are_refused(void **state)
{
    struct world *world = world_new(false, NULL);
    (void)state;
    assert_int_equal(flood(world, 1), 0); /* here an address may have all places */
    world_free(world);
}

static void a_few_addresses_cannot_take_all_places_of_questions_that_wait(void **state)
{
    struct presence_limits half = limits;
    half.address_percent = 50;
    struct world *world = world_new(false, &half);
    (void)state;
    assert_int_equal(flood(world, 4), 10);
    world_free(world);
}

static void a_question_of_a_client_that_has_gone_costs_no_list(void **state)
{
    struct question questions[2];
    atomic_bool gone = false;
    struct world *world = world_new(false, NULL);
    (void)state;
    fill_room(world);
    for (unsigned i = 0; i < 2; i++) {
        questions[i] = (struct question){.request = {.op = PRESENCE_GET,
                                                     .channel = STR("chat/x"),
                                                     .limit = PRESENCE_LIMIT_MAX,
                                                     .gone = i ? NULL : &gone,
                                                     .home = &world->loop.mailbox,
                                                     .answered = note_end}};
        presence_ask(world->presence, &questions[i].request);
    }
    atomic_store(&gone, true);
    presence_turn(world->presence, 0);
    assert_int_equal(questions[0].request.answer.len, 0);
    assert_true(questions[1].request.answer.len > 0);
    mailbox_empty(&world->loop.mailbox);
    assert_true(questions[0].answered && questions[1].answered);
    world_free(world);
}

static void a_host_that_waits_for_room_goes_on_once_answers_are_opened(void **state)
{
    static struct question questions[QUESTIONS];
    struct world *world = world_new(false, NULL);
    (void)state;
    fill_room(world);
    assert_int_equal(presence_start(world->presence), 0);
    ask_all(world, questions);
    while (count_answered(questions) < QUESTIONS)
        mailbox_empty(&world->loop.mailbox);
    presence_stop(world->presence);
    world_free(world);
}

static void questions_that_wait_are_answered_when_the_server_stops(void **state)
{
    static struct question questions[QUESTIONS];
    struct world *world = world_new(false, NULL);
    (void)state;
    fill_room(world);
    ask_all(world, questions);
    presence_turn(world->presence, 0); /* the first lists are on their way */
    for (unsigned i = 0; i < QUESTIONS; i++)
        questions[i].request.answered = answered;
    unsigned before = answers;
    assert_int_equal(presence_start(world->presence), 0);
    presence_pause(world->presence);
    presence_stop(world->presence);
    mailbox_empty(&world->loop.mailbox);
    assert_int_equal(answers, before + QUESTIONS);
    world_free(world);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_subscriber_joins_at_once_and_leaves_after_its_grace),
    cmocka_unit_test(a_channel_without_presence_costs_and_tells_nothing),
    cmocka_unit_test(three_devices_are_one_member_with_three_connections),
    cmocka_unit_test(a_reconnect_within_the_grace_is_not_told),
    cmocka_unit_test(a_poller_stays_a_member_between_polls),
    cmocka_unit_test(a_name_of_ones_own_is_never_taken_for_a_subject),
    cmocka_unit_test(a_subscription_to_many_channels_is_a_member_of_each),
    cmocka_unit_test(anonymous_subscribers_are_counted_once_a_second_and_not_listed),
    cmocka_unit_test(an_anonymous_poller_is_one_and_not_many),
    cmocka_unit_test(a_large_channel_tells_its_count_alone),
    cmocka_unit_test(a_list_is_read_anew_after_a_channel_was_large_for_a_moment),
    cmocka_unit_test(another_limit_of_a_large_channel_is_told),
    cmocka_unit_test(beyond_the_limit_of_members_a_subscriber_is_anonymous),
    cmocka_unit_test(beyond_the_limit_of_channels_a_subscriber_is_not_counted),
    cmocka_unit_test(anonymous_subscribers_beyond_the_limit_of_members_have_no_grace),
    cmocka_unit_test(a_subject_that_is_too_long_is_anonymous),
    cmocka_unit_test(beyond_the_share_of_its_address_a_subscriber_is_anonymous),
    cmocka_unit_test(a_member_that_comes_back_has_its_seat_though_its_share_is_used_up),
    cmocka_unit_test(a_member_that_moves_counts_for_the_address_it_comes_from),
    cmocka_unit_test(a_member_that_moves_to_a_full_address_keeps_its_seat),
    cmocka_unit_test(beyond_the_share_of_its_subject_a_subscriber_is_anonymous),
    cmocka_unit_test(an_address_has_a_share_of_channels),
    cmocka_unit_test(nobody_joins_while_memory_is_full_and_members_stay),
    cmocka_unit_test(a_list_is_told_by_pages_in_the_order_of_names),
    cmocka_unit_test(a_state_is_told_once_and_goes_with_null),
    cmocka_unit_test(only_a_member_has_a_state),
    cmocka_unit_test(a_state_of_a_subscriber_over_its_share_is_refused_with_the_key_to_raise),
    cmocka_unit_test(a_read_mark_never_goes_back),
    cmocka_unit_test(read_marks_are_bounded_and_go_with_the_channel),
    cmocka_unit_test(an_address_and_a_subject_have_a_share_of_read_marks),
    cmocka_unit_test(a_mark_that_moves_often_is_told_once_a_second_and_then_where_it_is),
    cmocka_unit_test(the_marks_of_a_busy_channel_leave_room_for_other_events),
    cmocka_unit_test(marks_that_wait_are_told_before_the_server_stops),
    cmocka_unit_test(an_event_lost_as_the_server_stops_is_followed_by_a_reset_after_the_restart),
    cmocka_unit_test(marks_that_wait_go_with_their_channel),
    cmocka_unit_test(a_lost_event_is_followed_by_a_reset_as_soon_as_the_log_takes_one),
    cmocka_unit_test(a_lost_word_about_an_occupied_channel_is_said_again),
    cmocka_unit_test(a_room_that_everybody_has_left_unheard_says_so_and_is_forgotten_in_the_end),
    cmocka_unit_test(notes_that_the_log_does_not_take_are_bounded_and_made_up_for),
    cmocka_unit_test(the_memory_of_the_table_is_counted_and_comes_back),
    cmocka_unit_test(a_read_mark_survives_a_restart),
    cmocka_unit_test(the_marks_of_a_channel_that_was_deleted_just_before_a_crash_are_gone),
    cmocka_unit_test(a_restart_reads_members_from_the_events_that_the_file_lacks),
    cmocka_unit_test(a_restart_reads_members_from_the_file),
    cmocka_unit_test(anonymous_subscribers_who_do_not_come_back_after_a_restart_are_told),
    cmocka_unit_test(the_last_anonymous_subscriber_who_does_not_come_back_after_a_restart_is_told),
    cmocka_unit_test(a_count_that_waits_is_told_when_the_last_has_gone),
    cmocka_unit_test(a_restart_tells_whether_members_are_told_singly),
    cmocka_unit_test(a_large_channel_that_all_leave_at_once_has_its_list_read_anew),
    cmocka_unit_test(members_of_before_a_restart_with_lower_limits_leave_as_all_others),
    cmocka_unit_test(an_event_that_was_lost_before_a_restart_is_made_up_for_after_it),
    cmocka_unit_test(a_channel_that_was_occupied_unheard_before_a_restart_says_so_after_it),
    cmocka_unit_test(a_change_whose_event_is_not_in_the_log_is_not_saved),
    cmocka_unit_test(everybody_leaves_a_namespace_that_loses_its_presence),
    cmocka_unit_test(members_have_their_own_names_again_when_presence_is_back),
    cmocka_unit_test(a_subscription_to_many_channels_has_its_name_again_in_each),
    cmocka_unit_test(a_lowered_grace_shortens_those_that_run),
    cmocka_unit_test(a_grace_that_is_longer_than_the_new_one_ends_at_once),
    cmocka_unit_test(a_raised_grace_holds_for_those_who_are_away),
    cmocka_unit_test(a_thread_answers_what_it_was_asked_before_it_ends),
    cmocka_unit_test(changes_that_cannot_be_saved_take_a_bounded_part_of_memory),
    cmocka_unit_test(changes_are_saved_while_the_log_lags_and_more_changes_come),
    cmocka_unit_test(rows_that_nobody_needs_do_not_pile_up_behind_a_save_that_hangs),
    cmocka_unit_test(members_who_come_and_go_while_all_are_queued_anew_are_saved_as_they_are),
    cmocka_unit_test(changes_that_were_queued_anew_and_not_saved_are_read_from_the_log),
    cmocka_unit_test(a_mark_that_is_saved_meanwhile_hides_no_change_that_was_queued_anew),
    cmocka_unit_test(a_mark_that_comes_behind_a_deletion_that_could_not_be_saved_stays),
    cmocka_unit_test(rows_of_a_damaged_file_are_left_out_and_bad_states_too),
    cmocka_unit_test(a_page_of_large_states_ends_early_and_the_next_goes_on),
    cmocka_unit_test(answers_that_nobody_opens_yet_take_a_bounded_part_of_memory),
    cmocka_unit_test(a_change_does_not_wait_for_lists_that_were_asked_for_before),
    cmocka_unit_test(a_client_that_asks_much_delays_another_by_a_list_at_most),
    cmocka_unit_test(questions_beyond_those_that_may_wait_are_refused),
    cmocka_unit_test(a_few_addresses_cannot_take_all_places_of_questions_that_wait),
    cmocka_unit_test(a_question_of_a_client_that_has_gone_costs_no_list),
    cmocka_unit_test(a_host_that_waits_for_room_goes_on_once_answers_are_opened),
    cmocka_unit_test(questions_that_wait_are_answered_when_the_server_stops),
};

int main(void)
{
    say_set_level(SAY_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
