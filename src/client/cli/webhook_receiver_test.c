#include "client/cli/webhook_receiver.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "http/testing.h"

#define POST "POST /x HTTP/1.1\r\nHost: a\r\n"

/* Takes a request from the first `len` bytes. */
static int take(struct str text, size_t len, size_t *ret_size, bool *ret_continue)
{
    struct str bytes = exact((struct str){text.at, len});
    struct receiver_request request;
    int result = receiver_take(bytes, &request);
    *ret_size = request.size;
    *ret_continue = request.wants_continue;
    if (!result)
        assert_str(request.body, "hello");
    receiver_request_deinit(&request);
    exact_free(bytes);
    return result;
}

static void a_request_is_taken_once_it_is_whole_however_it_comes(void **state)
{
    (void)state;
    const struct str texts[] = {
        STR(POST "Content-Length: 5\r\n\r\nhello"),
        STR(POST "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n")};
    for (size_t i = 0; i < 2; i++) {
        size_t size;
        bool wants;
        for (size_t len = 0; len < texts[i].len; len++)
            assert_int_equal(take(texts[i], len, &size, &wants), -EAGAIN);
        assert_int_equal(take(texts[i], texts[i].len, &size, &wants), 0);
        assert_int_equal(size, texts[i].len);
    }
}

static void a_malformed_request_is_refused_with_a_status(void **state)
{
    (void)state;
    size_t size;
    bool wants;
    struct str bad = STR("nonsense\r\n\r\n");
    assert_int_equal(take(bad, bad.len, &size, &wants), 400);
    struct str large = STR(POST "Content-Length: 99999999\r\n\r\n");
    assert_int_equal(take(large, large.len, &size, &wants), 413);
    struct str chunk = STR(POST "Transfer-Encoding: chunked\r\n\r\nzz\r\n");
    assert_int_equal(take(chunk, chunk.len, &size, &wants), 400);
}

static void a_sender_that_waits_for_a_word_is_noticed(void **state)
{
    (void)state;
    size_t size;
    bool wants;
    struct str text = STR(POST "Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello");
    assert_int_equal(take(text, text.len - 5, &size, &wants), -EAGAIN);
    assert_true(wants);
    assert_int_equal(take(text, text.len - 4, &size, &wants), -EAGAIN);
    assert_false(wants);
}

static void a_delivery_is_told_on_one_line(void **state)
{
    (void)state;
    struct str bytes = exact(STR(POST "webhook-id: m1\r\nwebhook-timestamp: 5\r\nContent-Type: "
                                      "application/json\r\nContent-Length: 8\r\n\r\n{\"a\":\n1}"));
    struct receiver_request request;
    struct receiver_outcome outcome;
    struct buf line = {0};
    assert_int_equal(receiver_take(bytes, &request), 0);
    receiver_judge(&request, NULL, 202, 5, &outcome);
    receiver_tell(&request, &outcome, 5000000, &line);
    assert_str(buf_str(&line),
               "{\"time\":\"1970-01-01T00:00:05.000000Z\",\"method\":\"POST\",\"target\":\"/x\","
               "\"webhook_id\":\"m1\",\"webhook_timestamp\":\"5\",\"answered\":202,"
               "\"content_type\":\"application/json\",\"body\":{\"a\": 1}}");
    buf_free(&line);
    receiver_outcome_deinit(&outcome);
    struct verifier verifier = {.scheme = VERIFY_STANDARD, .tolerance_s = 300};
    receiver_judge(&request, &verifier, 202, 5, &outcome);
    assert_int_equal(outcome.status, 401);
    receiver_tell(&request, &outcome, 0, &line);
    buf_add_char(&line, '\0');
    assert_non_null(strstr(line.at, "\"verified\":false,\"why\":\"not signed\""));
    buf_free(&line);
    receiver_outcome_deinit(&outcome);
    receiver_request_deinit(&request);
    exact_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_taken_once_it_is_whole_however_it_comes),
        cmocka_unit_test(a_malformed_request_is_refused_with_a_status),
        cmocka_unit_test(a_sender_that_waits_for_a_word_is_noticed),
        cmocka_unit_test(a_delivery_is_told_on_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
