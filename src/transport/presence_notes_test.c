/* A worker with presence: its subscriptions by every mechanism, and what it publishes of them. */
#include "transport/presence_notes.h"

#include "presence/turn.h"
#include "transport/presence_asking.h"
#include "transport/testing.h"

#define AS(path, name) "GET " path " HTTP/1.1\r\nHost: x\r\nAs: " name "\r\n\r\n"
#define UPGRADE_AS(path, name)                                                                     \
    "GET " path " HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"            \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAs: " name        \
    "\r\n\r\n"

struct world {
    struct bench *bench;
    struct presence *presence;
    const struct presence_settings *settings;
};

/* The header As names the caller. */
static void handle(struct exchange *exchange)
{
    struct str name = http_header(exchange->head, STR("as"));
    const struct caller_facts facts = {.kind = CALLER_TOKEN, .subject = name};
    if (name.len)
        exchange->caller = caller_new(&facts);
    bench_handle(exchange);
}

static void open_presence(struct world *world)
{
    struct bench *bench = world->bench;
    const struct presence_rule rule = {.prefix = STR("a"), .on = true, .list_max = 100};
    world->settings = presence_settings_new(&rule, 1);
    const struct presence_config config = {.log = bench->log,
                                           .clock = &bench->clock.clock,
                                           .limits = {100, 100, 100, 100, 0, 0},
                                           .settings = world->settings,
                                           .publish = presence_notes_publish,
                                           .app = &bench->worker};
    assert_int_equal(presence_open(&config, &world->presence), 0);
    desk_deinit(&bench->worker.desk);
    desk_init(&bench->worker.desk, presence_mailbox(world->presence), presence_open_sheet, 0);
    desk_switch(&bench->worker.desk, world->settings);
}

static int begin(void **state)
{
    struct world *world = mem_alloc(sizeof(*world));
    world->bench = bench_new();
    bench_begin(world->bench);
    world->bench->worker.config.handle = handle;
    world->bench->reading.from.kind = POSITION_NOW;
    world->bench->reading.wait_s = 300;
    open_presence(world);
    *state = world;
    return 0;
}

static int end(void **state)
{
    struct world *world = *state;
    bench_settle(world->bench);
    bench_free(world->bench);
    presence_free(world->presence);
    presence_settings_unref(world->settings);
    free(world);
    return 0;
}

/* Turns of both threads, until neither has anything to do. */
static void settle(struct world *world)
{
    for (int i = 0; i < 4; i++) {
        bench_settle(world->bench);
        presence_turn(world->presence, 0);
    }
}

static void join(struct world *world, struct peer *peer, const char *request)
{
    peer_join(world->bench, peer);
    peer_say(world->bench, peer, request);
    settle(world);
}

static uint64_t members(const struct world *world)
{
    return atomic_load(&presence_stats(world->presence)->members);
}

static uint64_t events_of(struct world *world, struct str name)
{
    struct log_channel channel;
    return log_channel(world->bench->log, name, &channel) ? channel.count : 0;
}

static void subscribers_of_all_mechanisms_are_members_and_their_events_are_in_the_log(void **state)
{
    struct world *world = *state;
    struct peer stream, poll, socket, v1;
    join(world, &stream, AS("/stream", "stream"));
    assert_int_equal(members(world), 1);
    join(world, &poll, AS("/page", "poll"));
    assert_int_equal(members(world), 2);
    peer_join(world->bench, &socket);
    peer_upgrade(world->bench, &socket, UPGRADE_AS("/socket", "socket"));
    settle(world);
    assert_int_equal(members(world), 3);
    peer_join(world->bench, &v1);
    peer_upgrade(world->bench, &v1, UPGRADE_AS("/v1", "v1"));
    peer_text(world->bench, &v1, "{\"op\":\"subscribe\",\"channels\":[\"a\",\"other\"]}");
    settle(world);
    assert_int_equal(members(world), 4);
    assert_int_equal(events_of(world, STR("$presence/a")), 4);
    assert_int_equal(events_of(world, STR("$occupied/a")), 1);
    peer_text(world->bench, &v1, "{\"op\":\"unsubscribe\",\"channels\":[\"a\"]}");
    settle(world);
    assert_int_equal(members(world), 3);
    peer_leave(world->bench, &stream);
    peer_leave(world->bench, &socket);
    settle(world);
    assert_int_equal(members(world), 1); /* the poller has its grace */
    assert_int_equal(events_of(world, STR("$presence/a")), 7);
    peer_leave(world->bench, &poll);
    peer_leave(world->bench, &v1);
    settle(world);
    assert_int_equal(atomic_load(&presence_stats(world->presence)->events_lost), 0);
}

static void a_subscriber_that_falls_behind_stays_a_member(void **state)
{
    static char data[20000];
    struct world *world = *state;
    struct peer peer;
    memset(data, 'x', sizeof(data));
    peer_join_narrow(world->bench, &peer);
    peer_say(world->bench, &peer, AS("/stream", "alice"));
    settle(world);
    for (int i = 0; i < 20; i++)
        bench_append(world->bench, (struct str){data, sizeof(data)});
    settle(world);
    assert_int_equal(members(world), 1);
    assert_int_equal(events_of(world, STR("$presence/a")), 1);
    peer_leave(world->bench, &peer);
    settle(world);
    assert_int_equal(members(world), 0);
}

static void a_pattern_makes_no_member(void **state)
{
    struct world *world = *state;
    struct peer peer;
    world->bench->pattern = "*";
    join(world, &peer, AS("/stream", "alice"));
    assert_int_equal(members(world), 0);
    assert_int_equal(world->bench->worker.desk.seats.count, 0);
    peer_leave(world->bench, &peer);
}

static void a_stream_that_is_refused_makes_no_member(void **state)
{
    struct world *world = *state;
    struct worker *worker = &world->bench->worker;
    const char *pattern = world->bench->pattern;
    struct quota subjects;
    struct peer first, second;
    assert_int_equal(quota_init(&subjects, 100), 0);
    worker->config.subjects = &subjects;
    worker->config.limits.subject_connections_max = 1;
    world->bench->pattern = "*";
    join(world, &first, AS("/stream", "alice"));
    world->bench->pattern = pattern;
    join(world, &second, AS("/stream", "alice"));
    peer_hear(world->bench, &second);
    assert_true(peer_has(&second, "HTTP/1.1 429 "));
    assert_int_equal(atomic_load(&presence_stats(world->presence)->joins), 0);
    peer_leave(world->bench, &first);
    peer_leave(world->bench, &second);
    settle(world);
    worker->config.subjects = NULL;
    quota_deinit(&subjects);
}

/* ---- who hears of a subscription is a member ------------------------------------------------- */

static void a_state_that_comes_with_the_subscription_is_the_members(void **state)
{
    struct world *world = *state;
    struct bench *bench = world->bench;
    struct peer v1;
    bench->worker.config.presence = world->presence;
    peer_join(bench, &v1);
    peer_upgrade(bench, &v1, UPGRADE_AS("/v1", "alice"));
    peer_frame(NULL, &v1, WS_TEXT, STR("{\"op\":\"subscribe\",\"channels\":[\"a\"]}"));
    peer_text(bench, &v1, "{\"op\":\"presence\",\"channel\":\"a\",\"state\":7}");
    settle(world);
    peer_hear(bench, &v1);
    assert_true(peer_has(&v1, "\"member\":\"alice\""));
    assert_true(peer_has(&v1, "\"state\":7"));
    assert_false(peer_has(&v1, "not-a-member"));
    peer_leave(bench, &v1);
    settle(world);
}

static void a_question_leaves_half_of_the_room_for_held_bytes_to_others(void **state)
{
    struct world *world = *state;
    struct bench *bench = world->bench;
    struct account *account = &bench->worker.account;
    uint64_t limit = account->limit;
    struct peer v1;
    bench->worker.config.presence = world->presence;
    peer_join(bench, &v1);
    peer_upgrade(bench, &v1, UPGRADE_AS("/v1", "alice"));
    peer_frame(NULL, &v1, WS_TEXT, STR("{\"op\":\"subscribe\",\"channels\":[\"a\"]}"));
    account->limit = 2 * sizeof(struct presence_asking);
    peer_text(bench, &v1, "{\"op\":\"presence\",\"channel\":\"a\",\"state\":7}");
    settle(world);
    peer_hear(bench, &v1);
    assert_true(peer_has(&v1, "\"status\":503"));
    account->limit = limit;
    peer_text(bench, &v1, "{\"op\":\"presence\",\"channel\":\"a\",\"state\":8}");
    settle(world);
    peer_hear(bench, &v1);
    assert_true(peer_has(&v1, "\"state\":8"));
    peer_leave(bench, &v1);
    settle(world);
}

/* A connection whose sends look whether the host has been told of its member. */
struct watched {
    struct conn_ops ops;
    const struct conn_ops *usual;
    struct mailbox *host;
    unsigned sends, early; /* early: before the host was told of anything */
};

static struct watched watched;

static bool sent(struct conn *conn, size_t n)
{
    watched.sends += n > 0;
    watched.early += n > 0 && !atomic_load(&watched.host->newest);
    return watched.usual->sent(conn, n);
}

/* Replaces the functions of the only connection. */
static void watch(struct world *world)
{
    struct list *node = world->bench->worker.connections.next;
    struct conn *conn = container_of(node, struct conn, node);
    assert_false(list_empty(&world->bench->worker.connections));
    watched = (struct watched){
        .ops = *conn->ops, .usual = conn->ops, .host = presence_mailbox(world->presence)};
    watched.ops.sent = sent;
    conn->ops = &watched.ops;
}

static void expect_no_early_send(struct world *world, struct peer *peer)
{
    bench_settle(world->bench);
    assert_true(watched.sends > 0);
    assert_int_equal(watched.early, 0);
    peer_leave(world->bench, peer);
    settle(world);
}

static void nobody_hears_of_a_stream_before_the_host_does(void **state)
{
    struct world *world = *state;
    struct peer peer;
    peer_join(world->bench, &peer);
    settle(world);
    watch(world);
    peer_send(&peer, STR(AS("/stream", "alice")));
    expect_no_early_send(world, &peer);
}

static void nobody_hears_of_a_websocket_before_the_host_does(void **state)
{
    struct world *world = *state;
    struct peer peer;
    peer_join(world->bench, &peer);
    settle(world);
    watch(world);
    peer_send(&peer, STR(UPGRADE_AS("/socket", "alice")));
    expect_no_early_send(world, &peer);
}

static void nobody_hears_of_a_subscription_before_the_host_does(void **state)
{
    struct world *world = *state;
    struct peer peer;
    peer_join(world->bench, &peer);
    peer_upgrade(world->bench, &peer, UPGRADE_AS("/v1", "alice"));
    settle(world);
    watch(world);
    peer_frame(NULL, &peer, WS_TEXT, STR("{\"op\":\"subscribe\",\"channels\":[\"a\"]}"));
    expect_no_early_send(world, &peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            subscribers_of_all_mechanisms_are_members_and_their_events_are_in_the_log, begin, end),
        cmocka_unit_test_setup_teardown(a_subscriber_that_falls_behind_stays_a_member, begin, end),
        cmocka_unit_test_setup_teardown(a_pattern_makes_no_member, begin, end),
        cmocka_unit_test_setup_teardown(a_stream_that_is_refused_makes_no_member, begin, end),
        cmocka_unit_test_setup_teardown(a_state_that_comes_with_the_subscription_is_the_members,
                                        begin, end),
        cmocka_unit_test_setup_teardown(a_question_leaves_half_of_the_room_for_held_bytes_to_others,
                                        begin, end),
        cmocka_unit_test_setup_teardown(nobody_hears_of_a_stream_before_the_host_does, begin, end),
        cmocka_unit_test_setup_teardown(nobody_hears_of_a_websocket_before_the_host_does, begin,
                                        end),
        cmocka_unit_test_setup_teardown(nobody_hears_of_a_subscription_before_the_host_does, begin,
                                        end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
