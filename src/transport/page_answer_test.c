#include "transport/testing.h"

#define WAIT_PAGE(method, version, fields)                                                         \
    method " /page HTTP/" version "\r\nHost: x\r\n" fields "\r\n"

static int begin(void **state)
{
    struct bench *bench = bench_new();
    bench->reading.from = (struct position){.kind = POSITION_NOW};
    bench->reading.wait_s = 25;
    bench_begin(bench);
    *state = bench;
    return 0;
}

static int end(void **state)
{
    bench_free(*state);
    return 0;
}

static void wait_for(struct bench *bench, struct peer *peer, const char *request)
{
    peer_join(bench, peer);
    peer_say(bench, peer, request);
}

/* How many answers were made: each takes one place in the worker's memory. */
static unsigned answers_made(const struct bench *bench)
{
    return bench->worker.answer_cache.next;
}

static void equal_requests_get_one_answer(void **state)
{
    struct bench *bench = *state;
    struct peer peers[5];
    for (int i = 0; i < 5; i++)
        wait_for(bench, &peers[i], WAIT_PAGE("GET", "1.1", ""));
    bench_append(bench, STR("new"));
    bench_settle(bench);
    assert_int_equal(answers_made(bench), 1);
    for (int i = 0; i < 5; i++) {
        peer_expect(bench, &peers[i], "200");
        assert_int_equal(peer_count(&peers[i], "\"data\":\"new\""), 1);
        assert_true(str_eq(buf_str(&peers[i].got), buf_str(&peers[0].got)));
    }
    for (int i = 0; i < 5; i++)
        peer_leave(bench, &peers[i]);
}

static void each_gets_the_answer_to_its_own_request(void **state)
{
    struct bench *bench = *state;
    struct peer plain, head, old, page, last;
    wait_for(bench, &plain, WAIT_PAGE("GET", "1.1", ""));
    wait_for(bench, &head, WAIT_PAGE("HEAD", "1.1", ""));
    wait_for(bench, &old, WAIT_PAGE("GET", "1.0", "Connection: keep-alive\r\n"));
    wait_for(bench, &page, WAIT_PAGE("GET", "1.1", "Origin: http://localhost\r\n"));
    wait_for(bench, &last, WAIT_PAGE("GET", "1.1", "Connection: close\r\n"));
    bench_append(bench, STR("new"));
    bench_settle(bench);
    peer_expect(bench, &plain, "200");
    peer_expect(bench, &head, "200");
    peer_expect(bench, &old, "200");
    peer_expect(bench, &page, "200");
    peer_expect(bench, &last, "200.");
    assert_true(peer_has(&plain, "\"data\":\"new\""));
    assert_false(peer_has(&plain, "Connection:"));
    assert_false(peer_has(&plain, "Access-Control-Allow-Origin:"));
    assert_false(peer_has(&head, "\"data\""));
    assert_true(peer_has(&old, "Connection: keep-alive\r\n"));
    assert_true(peer_has(&page, "Access-Control-Allow-Origin: http://localhost\r\n"));
    assert_true(peer_has(&last, "Connection: close\r\n"));
    peer_leave(bench, &plain);
    peer_leave(bench, &head);
    peer_leave(bench, &old);
    peer_leave(bench, &page);
    peer_leave(bench, &last);
}

static void a_poll_that_waited_gets_only_the_link_to_the_next_page(void **state)
{
    struct bench *bench = *state;
    struct peer at_once, waited;
    wait_for(bench, &waited, WAIT_PAGE("GET", "1.1", ""));
    bench_append(bench, STR("new"));
    bench_settle(bench);
    peer_expect(bench, &waited, "200");
    bench->reading.from = (struct position){.kind = POSITION_EARLIEST};
    wait_for(bench, &at_once, WAIT_PAGE("GET", "1.1", ""));
    peer_hear(bench, &at_once);
    assert_int_equal(peer_count(&waited, "Link: "), 1);
    assert_int_equal(peer_count(&waited, "rel=\"next\""), 1);
    assert_int_equal(peer_count(&waited, "Cursor: "), 1);
    assert_true(peer_has(&at_once, "rel=\"next\""));
    assert_true(peer_has(&at_once, "rel=\"first\""));
    assert_true(peer_has(&at_once, "rel=\"webhooks\""));
    peer_leave(bench, &at_once);
    peer_leave(bench, &waited);
}

static void polls_with_other_parameters_get_answers_of_their_own(void **state)
{
    struct bench *bench = *state;
    struct peer all, one, data, preferred;
    bench_append(bench, STR("first"));
    bench_append(bench, STR("second"));
    bench->reading.from = (struct position){.kind = POSITION_EARLIEST};
    wait_for(bench, &all, WAIT_PAGE("GET", "1.1", ""));
    bench->reading.limit = 1;
    wait_for(bench, &one, WAIT_PAGE("GET", "1.1", ""));
    bench->reading.limit = 100;
    bench->reading.data = true;
    wait_for(bench, &data, WAIT_PAGE("GET", "1.1", ""));
    bench->reading.data = false;
    bench->reading.prefer_wait = true;
    wait_for(bench, &preferred, WAIT_PAGE("GET", "1.1", ""));
    peer_hear(bench, &all);
    peer_hear(bench, &one);
    peer_hear(bench, &data);
    peer_hear(bench, &preferred);
    assert_true(peer_has(&all, "\"data\":\"second\""));
    assert_true(peer_has(&all, "\"more\":false"));
    assert_false(peer_has(&all, "Preference-Applied"));
    assert_false(peer_has(&one, "second"));
    assert_true(peer_has(&one, "\"more\":true"));
    assert_true(peer_has(&data, "{\"events\":[\"first\",\"second\"]"));
    assert_true(peer_has(&preferred, "Preference-Applied: wait=25\r\n"));
    peer_leave(bench, &all);
    peer_leave(bench, &one);
    peer_leave(bench, &data);
    peer_leave(bench, &preferred);
}

static void an_answer_a_second_later_has_its_own_date(void **state)
{
    struct bench *bench = *state;
    struct peer now, later;
    bench_append(bench, STR("old"));
    bench->reading.from = (struct position){.kind = POSITION_EARLIEST};
    wait_for(bench, &now, WAIT_PAGE("GET", "1.1", ""));
    bench_pass(bench, 1000);
    wait_for(bench, &later, WAIT_PAGE("GET", "1.1", ""));
    peer_hear(bench, &now);
    peer_hear(bench, &later);
    assert_true(peer_has(&now, "Date: "));
    assert_int_equal(now.got.len, later.got.len);
    assert_false(str_eq(buf_str(&now.got), buf_str(&later.got)));
    peer_leave(bench, &now);
    peer_leave(bench, &later);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(equal_requests_get_one_answer, begin, end),
        cmocka_unit_test_setup_teardown(each_gets_the_answer_to_its_own_request, begin, end),
        cmocka_unit_test_setup_teardown(a_poll_that_waited_gets_only_the_link_to_the_next_page,
                                        begin, end),
        cmocka_unit_test_setup_teardown(polls_with_other_parameters_get_answers_of_their_own, begin,
                                        end),
        cmocka_unit_test_setup_teardown(an_answer_a_second_later_has_its_own_date, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
