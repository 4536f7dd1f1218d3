#include "bench/answer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const char created[] = "HTTP/1.1 201 Created\r\nContent-Type: text/plain\r\n"
                              "content-LENGTH:  5 \r\n\r\nhelloHTTP/1.1 4";

static void an_answer_is_taken_with_its_body_and_no_more(void **state)
{
    (void)state;
    struct answer answer;
    assert_int_equal(answer_read(str_from(created), &answer), 0);
    assert_int_equal(answer.status, 201);
    assert_true(str_eq(answer.body, STR("hello")));
    assert_int_equal(answer.size, sizeof(created) - 1 - strlen("HTTP/1.1 4"));
}

static void an_answer_that_is_cut_anywhere_is_waited_for(void **state)
{
    (void)state;
    size_t whole = sizeof(created) - 1 - strlen("HTTP/1.1 4");
    for (size_t len = 0; len < whole; len++) {
        struct answer answer;
        assert_int_equal(answer_read((struct str){created, len}, &answer), -EAGAIN);
    }
}

static void answers_without_a_body_need_no_length(void **state)
{
    (void)state;
    struct answer answer;
    assert_int_equal(answer_read(STR("HTTP/1.1 304 Not Modified\r\nEtag: 7\r\n\r\nrest"), &answer),
                     0);
    assert_int_equal(answer.body.len, 0);
    assert_true(str_eq(answer_field(answer.head, STR("etag")), STR("7")));
    assert_null(answer_field(answer.head, STR("tag")).at);
}

static void a_malformed_answer_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "SSH-2.0",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 12345678901234567890\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct answer answer;
        assert_int_equal(answer_read(str_from(wrong[i]), &answer), -EPROTO);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_taken_with_its_body_and_no_more),
        cmocka_unit_test(an_answer_that_is_cut_anywhere_is_waited_for),
        cmocka_unit_test(answers_without_a_body_need_no_length),
        cmocka_unit_test(a_malformed_answer_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
