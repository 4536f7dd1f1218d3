/* Formats and handlers over a kind of connection that carries many request streams at a time: what
 * holds for one of them must not depend on HTTP/1.1, nor on its neighbours. */
#include "transport/mux_testing.h"

enum { WIDE = 1 << 20 };

static int begin(void **state)
{
    struct bench *bench = bench_new();
    bench_begin(bench);
    bench->reading.from.kind = POSITION_NOW;
    *state = bench;
    return 0;
}

static int end(void **state)
{
    bench_free(*state);
    return 0;
}

/* Begins a stream of channel "a" in a format. */
static void begin_stream(struct mux *mux, int i, enum format_id format, size_t window)
{
    mux->bench->reading.format = format;
    mux_request(mux, i, "GET /stream", STR_NONE, window);
    mux_hear(mux);
}

static uint64_t subscribers(const struct bench *bench, enum format_id format)
{
    return atomic_load(&bench->worker.stats.subscribers[format]);
}

static void two_streams_and_a_publish_share_a_connection(void **state)
{
    struct bench *bench = *state;
    struct mux mux;
    mux_join(&mux, bench);
    begin_stream(&mux, 1, FORMAT_SSE, WIDE);
    begin_stream(&mux, 2, FORMAT_NDJSON, WIDE);
    mux_request(&mux, 3, "POST /publish", STR("hello"), WIDE);
    mux_hear(&mux);
    assert_true(mux_head_has(&mux, 1, "200 text/event-stream\n"));
    assert_true(mux_head_has(&mux, 2, "200 application/x-ndjson\n"));
    assert_true(mux_head_has(&mux, 3, "201 application/json\n"));
    assert_true(mux.got[3].ended);
    assert_int_equal(mux_count(&mux, 3, "{}"), 1);
    assert_int_equal(mux_count(&mux, 1, "hello"), 1);
    assert_int_equal(mux_count(&mux, 2, "hello"), 1);
    assert_false(mux.got[1].ended || mux.got[2].ended);
    mux_leave(&mux);
}

static void nothing_of_http_1_1_is_in_a_body(void **state)
{
    struct bench *bench = *state;
    struct mux mux;
    mux_join(&mux, bench);
    begin_stream(&mux, 1, FORMAT_SSE, WIDE);
    bench_append(bench, STR("hello"));
    bench_pass(bench, 26000);
    mux_hear(&mux);
    assert_int_equal(mux_count(&mux, 1, "hello"), 1);
    assert_int_equal(mux_count(&mux, 1, "event: $beat"), 2); /* the first, and one of the timer */
    assert_int_equal(mux_count(&mux, 1, "\r\n"), 0);
    assert_false(mux_head_has(&mux, 1, "Transfer-Encoding"));
    assert_false(mux_head_has(&mux, 1, "Connection"));
    assert_true(mux_head_has(&mux, 1, "Cache-Control: no-store, no-transform\n"));
    mux_leave(&mux);
}

static void a_stalled_stream_holds_up_no_other(void **state)
{
    struct bench *bench = *state;
    struct mux mux;
    mux_join(&mux, bench);
    begin_stream(&mux, 1, FORMAT_NDJSON, 0);
    begin_stream(&mux, 2, FORMAT_NDJSON, WIDE);
    for (int i = 0; i < 20; i++) {
        bench_append(bench, STR("hello"));
        mux_hear(&mux);
    }
    assert_int_equal(mux_count(&mux, 1, "hello"), 0);
    assert_int_equal(mux_count(&mux, 2, "hello"), 20);
    mux_open_window(&mux, 1, WIDE);
    assert_int_equal(mux_count(&mux, 1, "hello"), 20);
    bench_append(bench, STR("hello"));
    mux_hear(&mux);
    assert_int_equal(mux_count(&mux, 1, "hello"), 21);
    assert_int_equal(mux_count(&mux, 2, "hello"), 21);
    mux_leave(&mux);
}

/* A window is back-pressure: it costs the cursor, and at most the rest of one event. */
static void windows_that_cut_records_lose_and_repeat_nothing(void **state)
{
    static const size_t windows[] = {1, 7, 100, 1000};
    struct bench *bench = *state;
    struct mux mux;
    mux_join(&mux, bench);
    begin_stream(&mux, 1, FORMAT_NDJSON, 40);
    begin_stream(&mux, 2, FORMAT_NDJSON, WIDE);
    for (int i = 0; i < 12; i++) {
        bench_append(bench, STR("a text that is longer than some of the windows"));
        mux_open_window(&mux, 1, windows[i % 4]);
        assert_true(request_stream_unsent_len(&mux.streams[1].request) < 1024);
    }
    mux_open_window(&mux, 1, WIDE);
    assert_int_equal(mux_count(&mux, 2, "longer"), 12);
    assert_int_equal(mux.got[1].body.len, mux.got[2].body.len);
    assert_memory_equal(mux.got[1].body.at, mux.got[2].body.at, mux.got[2].body.len);
    mux_leave(&mux);
}

static void a_large_event_is_held_once_for_stalled_streams(void **state)
{
    struct bench *bench = *state;
    struct mux mux;
    struct buf large = {0};
    mux_join(&mux, bench);
    begin_stream(&mux, 1, FORMAT_NDJSON, 200);
    begin_stream(&mux, 2, FORMAT_NDJSON, 300);
    for (int i = 0; i < 100000; i++)
        buf_add_char(&large, 'x');
    bench_append(bench, buf_str(&large));
    mux_hear(&mux);
    assert_true(bench_rests(bench) > 0);
    assert_true(bench_rests(bench) < 2 * large.len);
    mux_open_window(&mux, 1, WIDE);
    mux_open_window(&mux, 2, WIDE);
    assert_int_equal(mux.got[1].body.len, mux.got[2].body.len);
    assert_memory_equal(mux.got[1].body.at, mux.got[2].body.at, mux.got[2].body.len);
    assert_true(mux.got[1].body.len > large.len);
    buf_free(&large);
    mux_leave(&mux);
}

static void a_stream_that_is_closed_leaves_its_neighbours(void **state)
{
    struct bench *bench = *state;
    struct mux mux;
    mux_join(&mux, bench);
    begin_stream(&mux, 1, FORMAT_SSE, WIDE);
    begin_stream(&mux, 2, FORMAT_NDJSON, WIDE);
    request_stream_close(&mux.streams[1].request);
    mux_hear(&mux);
    assert_true(mux.got[1].reset);
    assert_int_equal(subscribers(bench, FORMAT_SSE), 0);
    assert_int_equal(subscribers(bench, FORMAT_NDJSON), 1);
    bench_append(bench, STR("hello"));
    mux_hear(&mux);
    assert_int_equal(mux_count(&mux, 1, "hello"), 0);
    assert_int_equal(mux_count(&mux, 2, "hello"), 1);
    mux_leave(&mux);
}

static void a_stream_that_is_drained_ends_and_leaves_its_neighbours(void **state)
{
    struct bench *bench = *state;
    struct mux mux;
    mux_join(&mux, bench);
    begin_stream(&mux, 1, FORMAT_SSE, WIDE);
    begin_stream(&mux, 2, FORMAT_SSE, WIDE);
    struct pull *pull = mux.streams[1].request.pull;
    pull->ops->goodbye(pull, ENDING_DRAIN);
    mux_hear(&mux);
    assert_int_equal(mux_count(&mux, 1, "event: $bye"), 1);
    assert_true(mux.got[1].ended);
    assert_false(mux.got[2].ended);
    assert_false(mux.is_closed);
    assert_int_equal(subscribers(bench, FORMAT_SSE), 1);
    mux_leave(&mux);
}

static void polls_wait_beside_each_other_and_beside_a_stream(void **state)
{
    struct bench *bench = *state;
    struct mux mux;
    mux_join(&mux, bench);
    begin_stream(&mux, 0, FORMAT_SSE, WIDE);
    bench->reading.format = FORMAT_PAGE;
    bench->reading.wait_s = 20;
    mux_request(&mux, 1, "GET /page", STR_NONE, WIDE);
    mux_request(&mux, 2, "GET /page", STR_NONE, WIDE);
    mux_hear(&mux);
    assert_int_equal(mux.got[1].head.len + mux.got[2].head.len, 0);
    bench_append(bench, STR("hello"));
    mux_hear(&mux);
    for (int i = 1; i <= 2; i++) {
        assert_true(mux_head_has(&mux, i, "200 application/json\n"));
        assert_int_equal(mux_count(&mux, i, "hello"), 1);
        assert_true(mux.got[i].ended);
    }
    assert_int_equal(mux_count(&mux, 0, "hello"), 1);
    assert_false(mux.got[0].ended);
    mux_leave(&mux);
}

static void requests_are_answered_in_any_order(void **state)
{
    struct bench *bench = *state;
    struct mux mux;
    mux_join(&mux, bench);
    mux_request(&mux, 0, "POST /park", STR_NONE, WIDE);
    mux_request(&mux, 1, "POST /park", STR_NONE, WIDE);
    assert_int_equal(bench->parked_count, 2);
    exchange_json(bench->parked[1], 201, STR("{\"second\":1}"));
    mux_hear(&mux);
    assert_int_equal(mux_count(&mux, 1, "second"), 1);
    assert_int_equal(mux.got[0].head.len, 0);
    exchange_json(bench->parked[0], 201, STR("{\"first\":1}"));
    mux_hear(&mux);
    assert_int_equal(mux_count(&mux, 0, "first"), 1);
    mux_leave(&mux);
}

static void a_connection_that_goes_takes_all_its_streams_along(void **state)
{
    struct bench *bench = *state;
    struct mux mux;
    mux_join(&mux, bench);
    begin_stream(&mux, 0, FORMAT_SSE, 0);
    begin_stream(&mux, 1, FORMAT_NDJSON, WIDE);
    bench->reading.format = FORMAT_PAGE;
    bench->reading.wait_s = 20;
    mux_request(&mux, 2, "GET /page", STR_NONE, WIDE);
    mux_hear(&mux);
    assert_int_equal(bench->worker.hub.subs, 3);
    mux_leave(&mux);
    assert_int_equal(bench->worker.hub.subs, 0);
}

#define WITH_BENCH(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BENCH(two_streams_and_a_publish_share_a_connection),
        WITH_BENCH(nothing_of_http_1_1_is_in_a_body),
        WITH_BENCH(a_stalled_stream_holds_up_no_other),
        WITH_BENCH(windows_that_cut_records_lose_and_repeat_nothing),
        WITH_BENCH(a_large_event_is_held_once_for_stalled_streams),
        WITH_BENCH(a_stream_that_is_closed_leaves_its_neighbours),
        WITH_BENCH(a_stream_that_is_drained_ends_and_leaves_its_neighbours),
        WITH_BENCH(polls_wait_beside_each_other_and_beside_a_stream),
        WITH_BENCH(requests_are_answered_in_any_order),
        WITH_BENCH(a_connection_that_goes_takes_all_its_streams_along),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
