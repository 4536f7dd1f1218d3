#include "transport/freshet_v1_parts.h"

#include "transport/testing.h"

static bool overlap(const char *a, const char *b)
{
    bool forth = freshet_v1_overlap(str_from(a), str_from(b));
    assert_int_equal(freshet_v1_overlap(str_from(b), str_from(a)), forth);
    return forth;
}

static void names_overlap_when_they_are_equal(void **state)
{
    (void)state;
    assert_true(overlap("a/b", "a/b"));
    assert_false(overlap("a/b", "a/c"));
    assert_false(overlap("a/b", "a"));
}

static void a_star_stands_for_one_segment(void **state)
{
    (void)state;
    assert_true(overlap("a/*", "*/b"));
    assert_true(overlap("*", "a"));
    assert_false(overlap("*", "a/b"));
    assert_false(overlap("a/*", "b/*"));
}

static void two_stars_stand_for_one_or_more_segments(void **state)
{
    (void)state;
    assert_true(overlap("**", "a"));
    assert_true(overlap("a/**", "*/b/c"));
    assert_true(overlap("a/**", "a/b/**"));
    assert_false(overlap("a/**", "a"));
    assert_false(overlap("a/**", "b/**"));
}

static void the_servers_own_channels_overlap_only_with_what_spells_them(void **state)
{
    (void)state;
    assert_false(overlap("**", "$log/x"));
    assert_false(overlap("*/x", "$log/*"));
    assert_true(overlap("$log/**", "$log/x"));
}

/* ---- under load ------------------------------------------------------------------------------ */

enum { VIEWS = 101, SUBSCRIPTIONS = 20, TURNS = 100, SLICE_BYTES = 2048 };

/* The views that each event matches. A turn fans an event out to some of them. */
static void join_views(struct bench *bench, struct peer peers[VIEWS])
{
    char pattern[16];
    bench->reading.from.kind = POSITION_NOW;
    bench->pattern = pattern;
    for (unsigned i = 0; i < VIEWS; i++) {
        snprintf(pattern, sizeof(pattern), "a x%u", i);
        peer_join(bench, &peers[i]);
        peer_say(bench, &peers[i], "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    bench->pattern = NULL;
}

/* Subscriptions that the connection does not have yet, each by a message of its own. */
static void subscribe_often(struct peer *peer)
{
    char text[80];
    for (unsigned i = 0; i < SUBSCRIPTIONS; i++) {
        snprintf(text, sizeof(text), "{\"op\":\"subscribe\",\"channels\":[\"c%u\"]}", i);
        peer_frame(NULL, peer, WS_TEXT, str_from(text));
    }
}

static unsigned lives_of(struct peer *peer)
{
    char room[65536];
    for (ssize_t n; (n = recv(peer->fd, room, sizeof(room), 0)) > 0;)
        buf_add(&peer->got, room, (size_t)n);
    return peer_count(peer, "\"op\":\"live\"");
}

/* Otherwise those that are not admitted would never begin. */
static void subscriptions_become_live_while_fan_outs_follow_without_a_pause(void **state)
{
    (void)state;
    static struct peer peers[VIEWS];
    struct peer peer;
    struct bench *bench = bench_new();
    unsigned turns = 0, within = 0;
    bench->limits.connections_max = VIEWS + 1;
    bench_begin(bench);
    join_views(bench, peers);
    peer_join(bench, &peer);
    peer_upgrade(bench, &peer, PEER_UPGRADE("/v1"));
    bench->worker.hub.limits.slice_bytes = SLICE_BYTES;
    subscribe_often(&peer);
    const struct fan_out *fan_out = &bench->worker.hub.fan_out;
    for (; turns < TURNS && lives_of(&peer) < SUBSCRIPTIONS; turns++) {
        while (fan_out->end - fan_out->first < 2) {
            bench_append(bench, STR("x"));
            loop_turn(&bench->worker.loop, 0);
        }
        worker_step(&bench->worker, 0);
        within += hub_is_between(&bench->worker.hub);
    }
    assert_true(within > turns / 2);
    assert_int_equal(lives_of(&peer), SUBSCRIPTIONS);
    bench->worker.hub.limits.slice_bytes = bench->limits.hub.slice_bytes;
    bench_settle(bench);
    for (unsigned i = 0; i < VIEWS; i++)
        peer_leave(bench, &peers[i]);
    peer_leave(bench, &peer);
    bench_free(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_overlap_when_they_are_equal),
        cmocka_unit_test(a_star_stands_for_one_segment),
        cmocka_unit_test(two_stars_stand_for_one_or_more_segments),
        cmocka_unit_test(the_servers_own_channels_overlap_only_with_what_spells_them),
        cmocka_unit_test(subscriptions_become_live_while_fan_outs_follow_without_a_pause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
