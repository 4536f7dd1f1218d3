#include "transport/testing.h"

#define UPGRADE                                                                                    \
    "GET /v1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"                 \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

enum { UNAUTHORIZED_CODE = 4401 };

/* A token is the pattern that it lets its bearer read. */
static struct identity identify(struct identity_source *source, const struct credential *credential,
                                struct identification *identification)
{
    const struct grant grant = {&credential->text, 1, action_bit(ACTION_READ)};
    const struct caller_facts facts = {.kind = CALLER_TOKEN, .grants = &grant, .grants_count = 1};
    (void)source;
    (void)identification;
    return identity_of(caller_new(&facts));
}

static struct identity_source source = {.name = "patterns", .identify = identify};
static struct authority authority;
static const struct rules nothing_for_anybody;

static int begin(void **state)
{
    struct bench *bench = bench_new();
    bench_begin(bench);
    authority = (struct authority){.sources_count = 0};
    authority_add(&authority, &source);
    bench->worker.config.authority = &authority;
    bench->worker.config.rules = &nothing_for_anybody;
    *state = bench;
    return 0;
}

static int end(void **state)
{
    bench_free(*state);
    return 0;
}

static void join(struct bench *bench, struct peer *peer)
{
    peer_join(bench, peer);
    peer_upgrade(bench, peer, UPGRADE);
    peer_text(bench, peer, "{\"op\":\"auth\",\"token\":\"a/**\"}");
    peer_text(bench, peer, "{\"op\":\"subscribe\",\"channels\":[\"a/**\"]}");
    bench_settle(bench);
    peer_hear(bench, peer);
    assert_true(peer_has(peer, "\"op\":\"live\""));
}

static void a_token_that_grants_less_takes_channels_away(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    join(bench, &peer);
    peer_text(bench, &peer, "{\"op\":\"auth\",\"token\":\"a/b\"}");
    bench_settle(bench);
    peer_hear(bench, &peer);
    assert_true(peer_has(&peer, "\"lost\":[\"a/**\"]"));
    assert_int_equal(peer_close_code(bench, &peer), 0);
    peer_leave(bench, &peer);
}

/* The subscription of a/b is still to be merged. Until then its events come by the pattern alone,
 * which cannot be dropped without sending some of them twice. */
static void a_connection_that_cannot_lose_a_channel_at_once_is_closed(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    join(bench, &peer);
    peer_frame(NULL, &peer, WS_TEXT, STR("{\"op\":\"subscribe\",\"channels\":[\"a/b\"]}"));
    peer_frame(NULL, &peer, WS_TEXT, STR("{\"op\":\"auth\",\"token\":\"a/b\"}"));
    bench_settle(bench);
    assert_int_equal(peer_close_code(bench, &peer), UNAUTHORIZED_CODE);
    peer_leave(bench, &peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_token_that_grants_less_takes_channels_away, begin, end),
        cmocka_unit_test_setup_teardown(a_connection_that_cannot_lose_a_channel_at_once_is_closed,
                                        begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
