/* How far a request reads in the log, and what happens to its job when its client is gone. */
#include "transport/testing.h"

#define GET_PAGE "GET /page HTTP/1.1\r\nHost: x\r\n\r\n"

enum {
    LEAVING_ROWS = LOG_LEAVING_SLICES * LOG_SLICE_ROWS,
    EVENTS = LEAVING_ROWS + 2000, /* more than a client may read once it may be gone */
    BUNDLE = 1000,
};

static int begin(void **state)
{
    struct bench *bench = bench_new();
    bench->reading.format = FORMAT_PAGE;
    bench->type = "rare";
    bench_begin(bench);
    *state = bench;
    return 0;
}

static int end(void **state)
{
    bench_free(*state);
    return 0;
}

/* Publishes this many events on channel "a"; the first `rare` of them have the type asked for. */
static void fill_with(struct bench *bench, unsigned count, unsigned rare)
{
    for (unsigned i = 0; i < count;) {
        struct append *append = append_new(bench->log, &bench->worker.hub.port);
        struct bench_publish *publish = arena_alloc(&append->batch->arena, sizeof(*publish));
        *publish = (struct bench_publish){{.done = bench_appended}, bench};
        for (unsigned j = 0; j < BUNDLE && i < count; j++, i++) {
            struct event *event = batch_add(append->batch);
            event->channel = STR("a");
            event->type = i < rare ? STR("rare") : STR("message");
            event->data = STR("x");
            event->kind = EVENT_TEXT;
            publish->publish.count++;
        }
        bench->published++;
        append_add(append, &publish->publish);
        log_append(bench->log, append);
    }
    bench_settle(bench);
}

static void fill(struct bench *bench, unsigned rare)
{
    fill_with(bench, EVENTS, rare);
}

static struct log_stats stats_of(const struct bench *bench)
{
    struct log_stats stats;
    log_stats(bench->log, &stats);
    return stats;
}

/* Asks, and announces that no further request follows. */
static void ask_and_shut(struct bench *bench, struct peer *peer)
{
    peer_join(bench, peer);
    peer_send(peer, STR(GET_PAGE));
    shutdown(peer->fd, SHUT_WR);
    bench_settle(bench);
    peer_expect(bench, peer, "200.");
}

/* The id after `before=` in a link; 0 if there is none. */
static uint64_t linked(const struct peer *peer, const char *text)
{
    if (!peer->got.len)
        return 0;
    const char *at = memmem(peer->got.at, peer->got.len, text, strlen(text));
    return at ? strtoull(at + strlen(text), NULL, 10) : 0;
}

static void a_page_before_looks_at_all_there_is(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    fill(bench, 3);
    bench->reading.has_before = true;
    bench->reading.before = EVENT_ID_MAX;
    peer_join(bench, &peer);
    peer_say(bench, &peer, GET_PAGE);
    peer_expect(bench, &peer, "200");
    assert_int_equal(peer_count(&peer, "\"type\":\"rare\""), 3);
    assert_true(peer_has(&peer, "\"more\":false"));
    assert_false(peer_has(&peer, "rel=\"prev\""));
    assert_int_equal(stats_of(bench).readers.rows, EVENTS);
    assert_int_equal(stats_of(bench).readers.spent, 0);
    peer_leave(bench, &peer);
}

static void a_page_before_joins_what_its_slices_find(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    fill(bench, EVENTS);
    bench->type = NULL;
    bench->reading.limit = 1000;
    bench->reading.has_before = true;
    bench->reading.before = EVENT_ID_MAX;
    peer_join(bench, &peer);
    peer_say(bench, &peer, GET_PAGE);
    peer_expect(bench, &peer, "200");
    assert_int_equal(peer_count(&peer, "\"type\":\"message\"") + peer_count(&peer, "\"rare\""),
                     1000);
    uint64_t prev = linked(&peer, "?before=");
    uint64_t first = linked(&peer, "{\"events\":[{\"id\":\"");
    assert_true(prev && prev == first);
    peer_leave(bench, &peer);
}

static void a_page_before_that_is_cut_short_says_where_to_go_on(void **state)
{
    struct bench *bench = *state;
    struct peer first, second;
    fill(bench, 3);
    bench->reading.has_before = true;
    bench->reading.before = EVENT_ID_MAX;
    ask_and_shut(bench, &first);
    assert_true(peer_has(&first, "{\"events\":[],"));
    assert_true(peer_has(&first, "\"more\":true"));
    assert_int_equal(stats_of(bench).readers.rows, LEAVING_ROWS);
    assert_int_equal(stats_of(bench).readers.spent, 1);
    assert_int_equal(bench->worker.stats.budgets[BUDGET_SEARCH], 1);
    bench->reading.before = linked(&first, "?before=");
    assert_true(bench->reading.before > 0);
    ask_and_shut(bench, &second);
    assert_int_equal(peer_count(&second, "\"type\":\"rare\""), 3);
    assert_true(peer_has(&second, "\"more\":false"));
    assert_int_equal(stats_of(bench).readers.rows, EVENTS);
    peer_leave(bench, &first);
    peer_leave(bench, &second);
}

static void a_page_before_gives_way_when_others_have_found_too_much(void **state)
{
    enum { ASKING = 8 };
    struct bench *bench = *state;
    struct peer peers[ASKING];
    struct hold hold;
    fill_with(bench, 3 * LOG_SLICE_ROWS, 3 * LOG_SLICE_ROWS);
    bench->worker.asker.most = 1; /* a single slice fills it */
    bench->reading.limit = 10000;
    bench->reading.has_before = true;
    bench->reading.before = EVENT_ID_MAX;
    for (unsigned i = 0; i < ASKING; i++)
        peer_join(bench, &peers[i]);
    hold_reader(bench, &hold);
    for (unsigned i = 0; i < ASKING; i++) {
        peer_send(&peers[i], STR(GET_PAGE));
        worker_step(&bench->worker, 0);
    }
    sem_post(&hold.go);
    bench_settle(bench);
    for (unsigned i = 0; i < ASKING; i++) {
        peer_expect(bench, &peers[i], "200");
        unsigned count = (unsigned)peer_count(&peers[i], "\"type\":\"rare\"");
        assert_in_range(count, 1, LOG_SLICE_ROWS);
        assert_true(peer_has(&peers[i], "\"more\":true"));
        uint64_t first = linked(&peers[i], "{\"events\":[{\"id\":\"");
        assert_int_equal(linked(&peers[i], "?before="), first);
        peer_leave(bench, &peers[i]);
    }
    assert_true(bench->worker.stats.budgets[BUDGET_FOUND] >= ASKING - 1);
    assert_int_equal(account_held(&bench->worker.account, ACCOUNT_READS), 0);
    assert_int_equal(bench->worker.asker.open, 0);
}

static void last_that_is_cut_short_links_to_what_is_before(void **state)
{
    struct bench *bench = *state;
    struct peer first, second;
    fill(bench, 3);
    bench->reading.from = (struct position){.kind = POSITION_LAST, .last = 2};
    ask_and_shut(bench, &first);
    assert_true(peer_has(&first, "{\"events\":[],"));
    assert_int_equal(stats_of(bench).readers.spent, 1);
    bench->reading.has_before = true;
    bench->reading.before = linked(&first, "?before=");
    assert_true(bench->reading.before > 0);
    ask_and_shut(bench, &second);
    assert_int_equal(peer_count(&second, "\"type\":\"rare\""), 3);
    peer_leave(bench, &first);
    peer_leave(bench, &second);
}

static void a_page_after_that_is_cut_short_moves_the_cursor(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    uint64_t cursor = 0;
    unsigned pages = 0;
    fill(bench, 0);
    for (bool more = true; more; pages++) {
        bench->reading.from = (struct position){.kind = POSITION_CURSOR, .id = cursor};
        ask_and_shut(bench, &peer);
        assert_true(peer_has(&peer, "{\"events\":[],"));
        uint64_t next = linked(&peer, "Cursor: ");
        assert_true(next > cursor);
        cursor = next;
        more = peer_has(&peer, "\"more\":true");
        peer_leave(bench, &peer);
    }
    assert_int_equal(cursor, log_newest(bench->log));
    assert_true(pages > 1);
    assert_int_equal(bench->worker.stats.budgets[BUDGET_SEARCH], pages - 1);
}

/* Asks while the reader is busy and goes away; the work must not be done. */
static void leave_while_it_waits(struct bench *bench)
{
    struct hold hold;
    struct peer peer;
    struct log_stats before = stats_of(bench);
    peer_join(bench, &peer);
    hold_reader(bench, &hold);
    peer_send(&peer, STR(GET_PAGE));
    worker_step(&bench->worker, 0);
    assert_int_equal(bench->worker.asker.open, 2);
    conn_close(container_of(bench->worker.connections.prev, struct conn, node));
    worker_step(&bench->worker, 0);
    sem_post(&hold.go);
    bench_settle(bench);
    assert_int_equal(bench->worker.asker.open, 0);
    assert_int_equal(stats_of(bench).readers.rows, before.readers.rows);
    assert_int_equal(stats_of(bench).readers.cancelled, before.readers.cancelled + 1);
    peer_leave(bench, &peer);
}

static void work_for_a_client_that_is_gone_is_dropped(void **state)
{
    struct bench *bench = *state;
    fill(bench, 3);
    leave_while_it_waits(bench); /* a page by its cursor */
    bench->reading.from = (struct position){.kind = POSITION_LAST, .last = 2};
    leave_while_it_waits(bench);
    bench->reading.has_before = true;
    bench->reading.before = EVENT_ID_MAX;
    leave_while_it_waits(bench);
}

/* Asks while the reader is busy for half of the time in which a request must be answered. */
static void ask_late(struct bench *bench, struct peer *peer)
{
    struct hold hold;
    peer_join(bench, peer);
    hold_reader(bench, &hold);
    peer_send(peer, STR(GET_PAGE));
    worker_step(&bench->worker, 0);
    clock_fake_advance(&bench->clock, bench->limits.publish_ms * 1000 / 2);
    sem_post(&hold.go);
    bench_settle(bench);
    peer_hear(bench, peer);
}

static void a_search_that_takes_long_answers_with_what_it_has(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    fill(bench, 3);
    for (int last = 0; last < 2; last++) {
        bench->reading.has_before = !last;
        bench->reading.before = EVENT_ID_MAX;
        bench->reading.from = (struct position){.kind = POSITION_LAST, .last = 2};
        struct log_stats before = stats_of(bench);
        ask_late(bench, &peer);
        assert_true(peer_has(&peer, "200 OK"));
        assert_true(linked(&peer, "before=") > EVENTS - 2 * LOG_SLICE_ROWS);
        struct log_stats after = stats_of(bench);
        assert_int_equal(after.readers.spent, before.readers.spent + 1);
        assert_true(after.readers.rows - before.readers.rows <= UINT64_C(2) * LOG_SLICE_ROWS);
        peer_leave(bench, &peer);
    }
}

int main(void)
{
#define WITH_BENCH(test) cmocka_unit_test_setup_teardown(test, begin, end)
    const struct CMUnitTest tests[] = {
        WITH_BENCH(a_page_before_looks_at_all_there_is),
        WITH_BENCH(a_page_before_joins_what_its_slices_find),
        WITH_BENCH(a_page_before_that_is_cut_short_says_where_to_go_on),
        WITH_BENCH(a_page_before_gives_way_when_others_have_found_too_much),
        WITH_BENCH(last_that_is_cut_short_links_to_what_is_before),
        WITH_BENCH(a_page_after_that_is_cut_short_moves_the_cursor),
        WITH_BENCH(work_for_a_client_that_is_gone_is_dropped),
        WITH_BENCH(a_search_that_takes_long_answers_with_what_it_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
