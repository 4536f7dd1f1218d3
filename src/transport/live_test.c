#include "transport/http2_testing.h"

#include <errno.h>

#define AS(path, name) "GET " path " HTTP/1.1\r\nHost: x\r\nAs: " name "\r\n\r\n"
#define UPGRADE_AS(path, name)                                                                     \
    "GET " path " HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"            \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAs: " name        \
    "\r\n\r\n"

enum { SECOND_US = 1000000, UNAUTHORIZED_CODE = 4401, FORBIDDEN_CODE = 4403 };

static const char *revoked;   /* the subject whose callers are */
static bool disowned;         /* nobody has revoked them: a server that is asked is gone */
static const char *everybody; /* the subject of callers without the header; NULL: nobody */
static int64_t expires_us;    /* of callers that are made from here on; 0: never */

static bool is_revoked(void *app, const struct caller *caller, int64_t now_us)
{
    (void)app;
    (void)now_us;
    return revoked && str_eq(caller_subject(caller), str_from(revoked));
}

static bool is_disowned(void *app, const struct caller *caller, int64_t now_us)
{
    (void)app;
    (void)caller;
    (void)now_us;
    return disowned;
}

/* The header As names the caller; /refused refuses its WebSocket. */
static void handle(struct exchange *exchange)
{
    struct str name = http_header(exchange->head, STR("as"));
    name = name.len || !everybody ? name : str_from(everybody);
    const struct caller_facts facts = {
        .kind = CALLER_TOKEN, .subject = name, .expires_us = expires_us};
    if (name.len)
        exchange->caller = caller_new(&facts);
    if (str_eq(exchange->head->path, STR("/refused")))
        websocket_refuse_protocols(exchange, STR("another subprotocol"));
    else
        bench_handle(exchange);
}

static int begin(void **state)
{
    struct bench *bench = bench_new();
    bench_begin(bench);
    bench->worker.config.handle = handle;
    bench->worker.config.is_revoked = is_revoked;
    bench->worker.config.is_disowned = is_disowned;
    bench->reading.from.kind = POSITION_NOW;
    bench->reading.wait_s = 300;
    revoked = everybody = NULL;
    disowned = false;
    expires_us = 0;
    *state = bench;
    return 0;
}

static int end(void **state)
{
    struct bench *bench = *state;
    live_look(&bench->worker);
    bench_settle(bench);
    assert_int_equal(bench->worker.live.map.count, 0); /* all peers have left */
    bench_free(bench);
    return 0;
}

/* A stream, a poll, and two kinds of WebSockets. */
struct four {
    struct peer stream, poll, socket, v1;
};

static void join(struct bench *bench, struct peer *peer, const char *request)
{
    peer_join(bench, peer);
    peer_say(bench, peer, request);
    bench_settle(bench);
}

static void four_join(struct bench *bench, struct four *four, bool alice)
{
    join(bench, &four->stream, alice ? AS("/stream", "alice") : AS("/stream", "bob"));
    join(bench, &four->poll, alice ? AS("/page", "alice") : AS("/page", "bob"));
    peer_join(bench, &four->socket);
    peer_upgrade(bench, &four->socket,
                 alice ? UPGRADE_AS("/socket", "alice") : UPGRADE_AS("/socket", "bob"));
    peer_join(bench, &four->v1);
    peer_upgrade(bench, &four->v1, alice ? UPGRADE_AS("/v1", "alice") : UPGRADE_AS("/v1", "bob"));
}

static void four_leave(struct bench *bench, struct four *four)
{
    peer_leave(bench, &four->stream);
    peer_leave(bench, &four->poll);
    peer_leave(bench, &four->socket);
    peer_leave(bench, &four->v1);
}

static void assert_ended(struct bench *bench, struct four *four, const char *reason)
{
    char text[32];
    snprintf(text, sizeof(text), "\"reason\":\"%s\"", reason);
    bench_settle(bench);
    peer_hear(bench, &four->stream);
    assert_true(four->stream.ended);
    peer_hear(bench, &four->poll);
    assert_true(peer_has(&four->poll, "HTTP/1.1 200"));
    assert_int_equal(peer_close_code(bench, &four->socket), UNAUTHORIZED_CODE);
    assert_int_equal(peer_close_code(bench, &four->v1), UNAUTHORIZED_CODE);
    assert_true(peer_has(&four->stream, text));
    assert_true(peer_has(&four->v1, text));
}

static void assert_goes_on(struct bench *bench, struct four *four)
{
    bench_settle(bench);
    peer_hear(bench, &four->stream);
    assert_false(four->stream.ended);
    peer_hear(bench, &four->poll);
    assert_false(peer_has(&four->poll, "HTTP/1.1"));
    assert_int_equal(peer_close_code(bench, &four->socket), 0);
    assert_int_equal(peer_close_code(bench, &four->v1), 0);
}

static void a_response_that_has_ended_is_not_ended_again(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    join(bench, &peer, AS("/stream", "alice"));
    const struct conn *conn = container_of(bench->worker.connections.next, struct conn, node);
    struct pull *pull = container_of(conn, struct http1, conn)->request.pull;
    pull->ops->goodbye(pull, ENDING_DRAIN);
    revoked = "alice";
    live_look(&bench->worker);
    live_check_some(&bench->worker);
    bench_settle(bench);
    peer_hear(bench, &peer);
    assert_true(peer.ended);
    assert_int_equal(peer_count(&peer, "\r\n0\r\n\r\n"), 1);
    assert_memory_equal(peer.got.at + peer.got.len - 7, "\r\n0\r\n\r\n", 7);
    peer_leave(bench, &peer);
}

static void a_revocation_ends_all_mechanisms_of_its_caller_alone(void **state)
{
    struct bench *bench = *state;
    struct four alice, bob;
    struct peer nobody;
    four_join(bench, &alice, true);
    four_join(bench, &bob, false);
    join(bench, &nobody, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(bench->worker.live.map.count, 8);
    live_look(&bench->worker);
    assert_goes_on(bench, &alice);
    revoked = "alice";
    assert_goes_on(bench, &alice); /* nobody has told the worker yet */
    live_look(&bench->worker);
    assert_ended(bench, &alice, "revoked");
    assert_goes_on(bench, &bob);
    peer_hear(bench, &nobody);
    assert_false(nobody.ended);
    four_leave(bench, &alice);
    four_leave(bench, &bob);
    peer_leave(bench, &nobody);
}

static void rights_that_end_with_a_server_end_by_the_rules(void **state)
{
    struct bench *bench = *state;
    struct peer stream, socket;
    join(bench, &stream, AS("/stream", "alice"));
    peer_join(bench, &socket);
    peer_upgrade(bench, &socket, UPGRADE_AS("/socket", "alice"));
    revoked = "alice";
    disowned = true;
    live_look(&bench->worker);
    bench_settle(bench);
    peer_hear(bench, &stream);
    assert_true(stream.ended);
    assert_true(peer_has(&stream, "\"reason\":\"rules\""));
    assert_int_equal(peer_close_code(bench, &socket), FORBIDDEN_CODE);
    peer_leave(bench, &stream);
    peer_leave(bench, &socket);
}

static void streams_websockets_and_polls_end_when_their_credential_expires(void **state)
{
    struct bench *bench = *state;
    struct four alice, bob;
    int64_t now_us = clock_wall_us(&bench->clock.clock);
    expires_us = now_us + INT64_C(2000) * SECOND_US; /* longer than the timer looks ahead */
    four_join(bench, &alice, true);
    expires_us = now_us + INT64_C(100) * SECOND_US;
    four_join(bench, &bob, false);
    bench_pass(bench, 99000);
    assert_goes_on(bench, &bob);
    bench_pass(bench, 2000);
    assert_ended(bench, &bob, "expired");
    assert_goes_on(bench, &alice);
    four_leave(bench, &bob);
    four_leave(bench, &alice);
}

/* A disconnection of a test, and whether it is over. */
struct ends {
    struct live_disconnection disconnection;
    bool is_over;
};

static void end_is_over(struct live_disconnection *disconnection)
{
    container_of(disconnection, struct ends, disconnection)->is_over = true;
}

static void begin_to_end(struct bench *bench, struct ends *ends, const char *subject,
                         const char *channel)
{
    *ends = (struct ends){.disconnection = {.subject = str_from(subject),
                                            .channel = channel ? str_from(channel) : STR_NONE,
                                            .done = end_is_over}};
    live_disconnect(&bench->worker, &ends->disconnection);
}

/* Carries a disconnection out; returns how many it has ended. */
static unsigned disconnect(struct bench *bench, const char *subject, const char *channel)
{
    struct ends ends;
    begin_to_end(bench, &ends, subject, channel);
    while (!ends.is_over)
        live_check_some(&bench->worker);
    return ends.disconnection.ended;
}

static void somebody_is_disconnected_by_subject_and_channel(void **state)
{
    struct bench *bench = *state;
    struct peer first, second, other;
    join(bench, &first, AS("/stream", "alice"));
    bench->pattern = "b/*";
    join(bench, &second, AS("/stream", "alice"));
    join(bench, &other, AS("/stream", "bob"));
    assert_int_equal(disconnect(bench, "alice", "c"), 0);
    assert_int_equal(disconnect(bench, "carol", NULL), 0);
    assert_int_equal(disconnect(bench, "alice", "b/1"), 1);
    bench_settle(bench);
    peer_hear(bench, &second);
    assert_true(second.ended);
    assert_true(peer_has(&second, "\"reason\":\"disconnected\""));
    peer_hear(bench, &first);
    assert_false(first.ended);
    assert_int_equal(disconnect(bench, "alice", NULL), 1);
    bench_settle(bench);
    peer_hear(bench, &first);
    assert_true(first.ended);
    peer_hear(bench, &other);
    assert_false(other.ended);
    peer_leave(bench, &first);
    peer_leave(bench, &second);
    peer_leave(bench, &other);
}

static void a_revocation_that_comes_before_the_stream_is_not_missed(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    revoked = "alice";
    join(bench, &peer, AS("/stream", "alice"));
    peer_hear(bench, &peer);
    assert_true(peer.ended);
    peer_leave(bench, &peer);
}

static void a_websocket_that_is_refused_leaves_nothing_behind(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    peer_join(bench, &peer);
    peer_upgrade(bench, &peer, UPGRADE_AS("/refused", "alice"));
    assert_int_equal(peer_close_code(bench, &peer), problem_close_code(PROBLEM_BAD_HANDSHAKE));
    peer_leave(bench, &peer);
    bench_settle(bench);
    assert_int_equal(bench->worker.live.map.count, 0);
}

static void without_memory_nothing_goes_on_under_a_caller(void **state)
{
    static const char *const paths[] = {"/page", "/stream"};
    enum { ALLOCATIONS = 60 };
    struct bench *bench = *state;
    everybody = "alice";
    for (unsigned i = 0; i < 2 * ALLOCATIONS; i++) {
        struct peer peer;
        struct h2_client client;
        peer_join(bench, &peer);
        mem_fail_nth(i / 2 + 1);
        peer_say(bench, &peer,
                 i % 2 ? "GET /page HTTP/1.1\r\nHost: x\r\n\r\n"
                       : "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
        bench_settle(bench);
        mem_fail_nth(0);
        peer_leave(bench, &peer);
        h2_join(&client, bench, 1 << 20);
        mem_fail_nth(i / 2 + 1);
        (void)h2_get(&client, paths[i % 2]);
        mem_fail_nth(0);
        h2_leave(&client);
        bench_settle(bench);
        assert_int_equal(bench->worker.live.map.count, 0);
    }
}

static void a_subject_has_as_many_streams_and_polls_as_it_may(void **state)
{
    static const char *const over_limit[] = {AS("/stream", "alice"), AS("/page", "alice"),
                                             UPGRADE_AS("/channel", "alice")};
    struct bench *bench = *state;
    struct quota subjects;
    struct peer peers[3], other;
    assert_int_equal(quota_init(&subjects, 100), 0);
    bench->worker.config.subjects = &subjects;
    bench->worker.config.limits.subject_connections_max = 2;
    for (int i = 0; i < 3; i++)
        peer_join(bench, &peers[i]);
    peer_say(bench, &peers[0], AS("/stream", "alice"));
    peer_say(bench, &peers[1], AS("/page", "alice"));
    for (size_t i = 0; i < sizeof(over_limit) / sizeof(over_limit[0]); i++) {
        peer_join(bench, &other);
        peer_say(bench, &other, over_limit[i]);
        peer_hear(bench, &other);
        assert_true(peer_has(&other, "HTTP/1.1 429 "));
        peer_leave(bench, &other);
    }
    assert_int_equal(worker_hits(&bench->worker, LIMIT_SUBJECT), 3);
    peer_say(bench, &peers[2], AS("/stream", "bob"));
    peer_hear(bench, &peers[2]);
    assert_true(peer_has(&peers[2], "HTTP/1.1 200 "));
    peer_leave(bench, &peers[0]);
    peer_join(bench, &other);
    peer_say(bench, &other, AS("/stream", "alice"));
    peer_hear(bench, &other);
    assert_true(peer_has(&other, "HTTP/1.1 200 "));
    peer_leave(bench, &peers[1]);
    peer_leave(bench, &peers[2]);
    peer_leave(bench, &other);
    assert_int_equal(quota_holders(&subjects), 0);
    bench->worker.config.subjects = NULL;
    quota_deinit(&subjects);
}

static void a_change_of_the_subject_counts_for_the_new_one(void **state)
{
    struct bench *bench = *state;
    static const struct live_ops none;
    static char owners[3];
    struct quota subjects;
    struct caller *alice = caller_new(&(struct caller_facts){.subject = STR("alice")});
    struct caller *again = caller_new(&(struct caller_facts){.subject = STR("alice")});
    struct caller *bob = caller_new(&(struct caller_facts){.subject = STR("bob")});
    struct worker *worker = &bench->worker;
    assert_int_equal(quota_init(&subjects, 100), 0);
    worker->config.subjects = &subjects;
    worker->config.limits.subject_connections_max = 1;
    assert_int_equal(live_add(worker, &owners[0], alice, &none), 0);
    assert_int_equal(live_add(worker, &owners[1], bob, &none), 0);
    assert_int_equal(live_change(worker, &owners[0], again, &none), 0);
    assert_ptr_equal(live_caller(worker, &owners[0]), again);
    assert_int_equal(live_change(worker, &owners[0], bob, &none), -EDQUOT);
    assert_ptr_equal(live_caller(worker, &owners[0]), again);
    live_remove(worker, &owners[1]);
    assert_int_equal(live_change(worker, &owners[0], bob, &none), 0);
    assert_int_equal(live_change(worker, &owners[2], alice, &none), 0); /* was nobody before */
    live_remove(worker, &owners[0]);
    live_remove(worker, &owners[2]);
    assert_int_equal(quota_holders(&subjects), 0);
    worker->config.subjects = NULL;
    quota_deinit(&subjects);
    caller_unref(alice);
    caller_unref(again);
    caller_unref(bob);
}

static void many_are_checked_in_slices(void **state)
{
    struct bench *bench = *state;
    struct caller *caller = caller_new(&(struct caller_facts){.subject = STR("many")});
    static const struct live_ops none;
    static char owners[1000];
    for (size_t i = 0; i < sizeof(owners); i++)
        assert_int_equal(live_add(&bench->worker, &owners[i], caller, &none), 0);
    live_check_some(&bench->worker);
    assert_true(live_is_busy(&bench->worker));
    bench_settle(bench);
    assert_false(live_is_busy(&bench->worker));
    assert_ptr_equal(live_caller(&bench->worker, &owners[7]), caller);
    for (size_t i = 0; i < sizeof(owners); i++)
        live_remove(&bench->worker, &owners[i]);
    assert_null(live_caller(&bench->worker, &owners[7]));
    caller_unref(caller);
}

/* An owner that a test adds without a connection, and how often it was ended. */
struct owned {
    unsigned ended;
};

static bool end_owned(void *owner, enum ending why)
{
    (void)why;
    ((struct owned *)owner)->ended++;
    return true;
}

static const struct live_ops owned_ops = {.end = end_owned};

static void a_disconnection_ends_what_was_there_when_it_began_alone(void **state)
{
    struct bench *bench = *state;
    struct caller *alice = caller_new(&(struct caller_facts){.subject = STR("alice")});
    static struct owned before[600], later;
    struct ends first, second;
    for (size_t i = 0; i < 600; i++)
        assert_int_equal(live_add(&bench->worker, &before[i], alice, &owned_ops), 0);
    begin_to_end(bench, &first, "alice", NULL);
    live_check_some(&bench->worker);
    assert_false(first.is_over);
    assert_int_equal(live_add(&bench->worker, &later, alice, &owned_ops), 0);
    while (!first.is_over)
        live_check_some(&bench->worker);
    assert_int_equal(first.disconnection.ended, 600);
    assert_int_equal(later.ended, 0);
    begin_to_end(bench, &first, "bob", NULL);
    begin_to_end(bench, &second, "alice", NULL);
    while (!second.is_over)
        live_check_some(&bench->worker);
    assert_true(first.is_over);
    assert_int_equal(first.disconnection.ended, 0);
    assert_int_equal(second.disconnection.ended, 1);
    caller_unref(alice);
}

static void a_connection_that_changes_its_caller_does_not_slip_through(void **state)
{
    struct bench *bench = *state;
    struct caller *alice = caller_new(&(struct caller_facts){.subject = STR("alice")});
    struct caller *again = caller_new(&(struct caller_facts){.subject = STR("alice")});
    static struct owned owners[600];
    struct ends ends;
    for (size_t i = 0; i < 600; i++)
        assert_int_equal(live_add(&bench->worker, &owners[i], alice, &owned_ops), 0);
    begin_to_end(bench, &ends, "alice", NULL);
    live_check_some(&bench->worker);
    assert_int_equal(live_change(&bench->worker, &owners[599], again, &owned_ops), 0);
    while (!ends.is_over)
        live_check_some(&bench->worker);
    assert_int_equal(owners[599].ended, 1);
    assert_int_equal(ends.disconnection.ended, 600);
    caller_unref(alice);
    caller_unref(again);
}

static void a_worker_that_has_ended_leaves_no_disconnection_waiting(void **state)
{
    struct bench *bench = *state;
    struct ends one, other;
    begin_to_end(bench, &one, "alice", NULL);
    live_give_up(&bench->worker);
    assert_true(one.is_over);
    bench->worker.stopping = true;
    begin_to_end(bench, &other, "alice", NULL);
    assert_true(other.is_over);
    bench->worker.stopping = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_response_that_has_ended_is_not_ended_again, begin, end),
        cmocka_unit_test_setup_teardown(a_revocation_ends_all_mechanisms_of_its_caller_alone, begin,
                                        end),
        cmocka_unit_test_setup_teardown(
            streams_websockets_and_polls_end_when_their_credential_expires, begin, end),
        cmocka_unit_test_setup_teardown(rights_that_end_with_a_server_end_by_the_rules, begin, end),
        cmocka_unit_test_setup_teardown(somebody_is_disconnected_by_subject_and_channel, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_revocation_that_comes_before_the_stream_is_not_missed,
                                        begin, end),
        cmocka_unit_test_setup_teardown(a_websocket_that_is_refused_leaves_nothing_behind, begin,
                                        end),
        cmocka_unit_test_setup_teardown(without_memory_nothing_goes_on_under_a_caller, begin, end),
        cmocka_unit_test_setup_teardown(a_subject_has_as_many_streams_and_polls_as_it_may, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_change_of_the_subject_counts_for_the_new_one, begin, end),
        cmocka_unit_test_setup_teardown(many_are_checked_in_slices, begin, end),
        cmocka_unit_test_setup_teardown(a_disconnection_ends_what_was_there_when_it_began_alone,
                                        begin, end),
        cmocka_unit_test_setup_teardown(a_connection_that_changes_its_caller_does_not_slip_through,
                                        begin, end),
        cmocka_unit_test_setup_teardown(a_worker_that_has_ended_leaves_no_disconnection_waiting,
                                        begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
