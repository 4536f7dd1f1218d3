#include "transport/rounds.h"

#include "transport/http2_testing.h"

#include <stdio.h>

/* ---- a walk that notes what it is shown ------------------------------------------------------ */

enum { SHOWN_MAX = 200 };

struct notes {
    struct rounds rounds;
    unsigned count, restarts;
    bool ends, is_done, was_whole;
    struct subscription_facts facts[SHOWN_MAX];
    char channel[SHOWN_MAX][32];
};

static struct notes *of(struct rounds *rounds)
{
    return container_of(rounds, struct notes, rounds);
}

static void note(struct rounds *rounds, struct request_stream *request, struct waiting *waiting)
{
    struct notes *notes = of(rounds);
    unsigned n = notes->count;
    assert_true(n < SHOWN_MAX);
    if (!rounds_facts(request, waiting, &notes->facts[n]))
        return;
    notes->count++;
    assert_int_equal(notes->facts[n].terms_count, 1);
    snprintf(notes->channel[n], sizeof(notes->channel[n]), "%.*s",
             STR_FMT(notes->facts[n].terms[0]));
    if (notes->ends)
        assert_true(rounds_end_shown(request, waiting));
}

static void restart(struct rounds *rounds)
{
    of(rounds)->count = 0;
    of(rounds)->restarts++;
}

static void done(struct rounds *rounds, bool whole)
{
    of(rounds)->is_done = true;
    of(rounds)->was_whole = whole;
}

static const struct rounds_ops ops = {.visit = note, .restart = restart, .done = done};

static void walk(struct bench *bench, struct notes *notes)
{
    rounds_begin(&bench->worker, &notes->rounds, &ops);
    while (!notes->is_done)
        worker_step(&bench->worker, 0);
}

static const struct subscription_facts *facts_of(const struct notes *notes, enum format_id format)
{
    for (unsigned i = 0; i < notes->count; i++)
        if (notes->facts[i].format == format)
            return &notes->facts[i];
    fail_msg("nothing in format %d", (int)format);
    return NULL;
}

/* ---- subscribers ----------------------------------------------------------------------------- */

struct four {
    struct peer stream, poll, socket, v1;
};

#define UPGRADE(path)                                                                              \
    "GET " path " HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"            \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

static void join(struct bench *bench, struct four *four)
{
    peer_join(bench, &four->stream);
    peer_say(bench, &four->stream, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    peer_join(bench, &four->poll);
    peer_say(bench, &four->poll, "GET /page HTTP/1.1\r\nHost: x\r\n\r\n");
    peer_join(bench, &four->socket);
    peer_upgrade(bench, &four->socket, UPGRADE("/socket"));
    peer_join(bench, &four->v1);
    peer_upgrade(bench, &four->v1, UPGRADE("/v1"));
    peer_text(bench, &four->v1, "{\"op\":\"subscribe\",\"channels\":[\"a\"]}");
    bench_settle(bench);
}

static void leave(struct bench *bench, struct four *four)
{
    peer_leave(bench, &four->stream);
    peer_leave(bench, &four->poll);
    peer_leave(bench, &four->socket);
    peer_leave(bench, &four->v1);
    bench_settle(bench);
}

static int begin(void **state)
{
    struct bench *bench = bench_new();
    bench_begin(bench);
    bench->reading.from.kind = POSITION_NOW;
    bench->reading.wait_s = 300;
    *state = bench;
    return 0;
}

static int end(void **state)
{
    bench_free(*state);
    return 0;
}

static void a_walk_shows_every_mechanism_with_its_facts(void **state)
{
    struct bench *bench = *state;
    struct four four;
    struct notes notes = {.count = 0};
    bench_append(bench, STR("1"));
    bench_settle(bench);
    join(bench, &four);
    walk(bench, &notes);
    assert_true(notes.was_whole);
    assert_int_equal(notes.count, 4);
    static const enum format_id live[] = {FORMAT_NDJSON, FORMAT_PAGE, FORMAT_WEBSOCKET,
                                          FORMAT_FRESHET_V1};
    for (size_t i = 0; i < sizeof(live) / sizeof(live[0]); i++) {
        const struct subscription_facts *facts = facts_of(&notes, live[i]);
        assert_false(facts->is_behind);
        assert_null(facts->caller);
        assert_int_equal(facts->cursor, log_newest(bench->log));
        assert_int_equal(facts->since_s, rounds_now_s(&bench->worker));
        assert_true(facts_have_channel(facts, STR("a")));
        assert_false(facts_have_channel(facts, STR("other")));
    }
    leave(bench, &four);
}

static void an_idle_connection_is_no_subscription(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    struct notes notes = {.count = 0};
    peer_join(bench, &peer);
    walk(bench, &notes);
    assert_int_equal(notes.count, 0);
    peer_leave(bench, &peer);
    bench_settle(bench);
}

static void a_subscription_that_is_shown_can_be_ended(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    struct notes notes = {.ends = true};
    peer_join(bench, &peer);
    peer_say(bench, &peer, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    bench_settle(bench);
    walk(bench, &notes);
    assert_int_equal(notes.count, 1);
    bench_settle(bench);
    peer_hear(bench, &peer);
    assert_true(peer_has(&peer, "\"op\":\"bye\",\"reason\":\"disconnected\""));
    struct notes after = {.count = 0};
    walk(bench, &after);
    assert_int_equal(after.count, 0);
    peer_leave(bench, &peer);
    bench_settle(bench);
}

/* The streams of a connection are visited together, and count one by one. */
static void a_walk_gives_way_after_a_connection_of_many_streams(void **state)
{
    enum { CLIENTS = 3, STREAMS = 60 };
    struct bench *bench = *state;
    struct h2_client clients[CLIENTS];
    struct notes notes = {.count = 0};
    for (int i = 0; i < CLIENTS; i++) {
        h2_join(&clients[i], bench, 65535);
        for (int n = 0; n < STREAMS; n++)
            (void)h2_submit(&clients[i], "GET", "/stream");
        h2_talk(&clients[i]);
    }
    rounds_begin(&bench->worker, &notes.rounds, &ops);
    bench_hurry(bench);
    for (unsigned i = 1; i <= CLIENTS; i++) {
        rounds_some(&bench->worker);
        assert_int_equal(notes.count, i * STREAMS);
    }
    bench_rest(bench);
    assert_true(notes.was_whole);
    for (int i = 0; i < CLIENTS; i++)
        h2_leave(&clients[i]);
    bench_settle(bench);
}

static void a_worker_that_has_ended_ends_its_walks(void **state)
{
    struct bench *bench = *state;
    struct notes one = {.count = 0}, other = {.count = 0};
    rounds_begin(&bench->worker, &one.rounds, &ops);
    rounds_end(&bench->worker);
    assert_true(one.is_done && !one.was_whole);
    bench->worker.stopping = true;
    rounds_begin(&bench->worker, &other.rounds, &ops);
    assert_true(other.is_done && !other.was_whole);
    bench->worker.stopping = false;
}

#define WITH_BENCH(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BENCH(a_walk_shows_every_mechanism_with_its_facts),
        WITH_BENCH(an_idle_connection_is_no_subscription),
        WITH_BENCH(a_subscription_that_is_shown_can_be_ended),
        WITH_BENCH(a_walk_gives_way_after_a_connection_of_many_streams),
        WITH_BENCH(a_worker_that_has_ended_ends_its_walks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
