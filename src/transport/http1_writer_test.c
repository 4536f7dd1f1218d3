#include "transport/http1_writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

/* A request on a connection that stays for 75 s. */
struct asked {
    struct worker *worker;
    struct pipelined *request;
    struct buf out; /* what was written */
};

static struct asked *ask(void)
{
    struct asked *asked = mem_alloc(sizeof(*asked));
    *asked =
        (struct asked){mem_alloc(sizeof(struct worker)), mem_alloc(sizeof(struct pipelined)), {0}};
    asked->worker->config.limits.idle_ms = 75000;
    asked->request->exchange.worker = asked->worker;
    asked->request->keep_alive = true;
    asked->request->exchange.chunked = true;
    return asked;
}

static void unask(struct asked *asked)
{
    buf_free(&asked->worker->usual_head.text);
    buf_free(&asked->out);
    free(asked->request);
    free(asked->worker);
    free(asked);
}

static int set_up(void **state)
{
    *state = ask();
    return 0;
}

static int tear_down(void **state)
{
    unask(*state);
    return 0;
}

static void assert_written(const struct buf *out, const char *text)
{
    assert_false(buf_failed(out));
    assert_int_equal(out->len, strlen(text));
    assert_memory_equal(out->at, text, out->len);
}

static struct response answer(void)
{
    struct response response;
    response_init(&response, 200);
    response.type = STR("text/plain");
    response.body[0] = STR("ab");
    response.body[1] = STR("c");
    response_add(&response, STR("Age"), STR("1"));
    return response;
}

static void a_response_is_written_with_its_length(void **state)
{
    struct asked *asked = *state;
    struct response response = answer();
    http1_write(&asked->out, asked->request, &response);
    assert_written(&asked->out, "HTTP/1.1 200 OK\r\nAge: 1\r\nContent-Type: text/plain\r\n"
                                "Keep-Alive: timeout=75\r\nContent-Length: 3\r\n\r\nabc");
}

static void an_answer_to_head_has_a_length_and_no_body(void **state)
{
    struct asked *asked = *state;
    struct response response = answer();
    asked->request->exchange.is_head = true;
    http1_write(&asked->out, asked->request, &response);
    assert_written(&asked->out, "HTTP/1.1 200 OK\r\nAge: 1\r\nContent-Type: text/plain\r\n"
                                "Keep-Alive: timeout=75\r\nContent-Length: 3\r\n\r\n");
}

static void an_answer_without_a_body_says_no_length(void **state)
{
    struct asked *asked = *state;
    struct response response;
    response_init(&response, 204);
    response.bodiless = true;
    http1_write(&asked->out, asked->request, &response);
    assert_written(&asked->out, "HTTP/1.1 204 No Content\r\nKeep-Alive: timeout=75\r\n\r\n");
}

static void the_last_answer_of_a_connection_says_so(void **state)
{
    struct asked *asked = *state;
    struct response response = answer();
    asked->request->keep_alive = false;
    http1_write(&asked->out, asked->request, &response);
    assert_written(&asked->out, "HTTP/1.1 200 OK\r\nAge: 1\r\nContent-Type: text/plain\r\n"
                                "Connection: close\r\nContent-Length: 3\r\n\r\nabc");
}

static void a_body_that_goes_on_comes_in_chunks_but_not_over_http_1_0(void **state)
{
    struct asked *asked = *state;
    struct response response;
    response_init(&response, 200);
    response.goes_on = true;
    http1_write_open(&asked->out, asked->request, &response);
    assert_written(&asked->out, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    buf_clear(&asked->out);
    asked->request->http10 = true;
    asked->request->exchange.chunked = false;
    asked->request->keep_alive = false;
    http1_write_open(&asked->out, asked->request, &response);
    assert_written(&asked->out, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
}

/* The fields of a response without any of its own. */
static struct response usual(int status, struct str type, struct str date)
{
    struct response response;
    response_init(&response, status);
    response.type = type;
    response.body[0] = STR("{}");
    response_add(&response, STR("Date"), date);
    response_add(&response, STR("Cache-Control"), STR("no-store"));
    return response;
}

static void a_head_is_used_again_only_for_an_equal_one(void **state)
{
    static const struct str json = {"application/json", 16}, text = {"text/plain", 10};
    static const struct str one = {"Sun, 06 Nov 1994 08:49:37 GMT", 29};
    static const struct str two = {"Sun, 06 Nov 1994 08:49:38 GMT", 29};
    const struct response responses[] = {
        usual(201, json, one), usual(201, json, one), usual(200, json, one),
        usual(201, json, two), usual(201, text, two), usual(201, STR_NONE, two),
        usual(201, json, one),
    };
    struct asked *asked = *state;
    for (size_t i = 0; i < sizeof(responses) / sizeof(responses[0]); i++) {
        struct asked *fresh = ask();
        struct buf out = {0}, wanted = {0};
        http1_write(&out, asked->request, &responses[i]);
        http1_write(&wanted, fresh->request, &responses[i]);
        buf_add_char(&wanted, '\0');
        assert_written(&out, wanted.at);
        if (responses[i].type.len)
            assert_non_null(memmem(out.at, out.len, responses[i].type.at, responses[i].type.len));
        buf_free(&out);
        buf_free(&wanted);
        unask(fresh);
    }
}

static void the_last_answer_does_not_use_the_head_of_others(void **state)
{
    static const struct str date = {"Sun, 06 Nov 1994 08:49:37 GMT", 29};
    struct asked *asked = *state;
    struct response response = usual(200, STR("text/plain"), date);
    http1_write(&asked->out, asked->request, &response);
    buf_clear(&asked->out);
    asked->request->keep_alive = false;
    http1_write(&asked->out, asked->request, &response);
    assert_non_null(memmem(asked->out.at, asked->out.len, "Connection: close", 17));
}

static void no_value_can_begin_a_line(void **state)
{
    struct asked *asked = *state;
    struct response response;
    response_init(&response, 204);
    response.bodiless = true;
    response_add(&response, STR("Link"), STR("<a>\r\nSet-Cookie: b"));
    buf_add_lit(response_compose(&response, STR("Location")), "/c\n\nd");
    http1_write(&asked->out, asked->request, &response);
    assert_written(&asked->out, "HTTP/1.1 204 No Content\r\nLink: <a>  Set-Cookie: b\r\n"
                                "Location: /c  d\r\nKeep-Alive: timeout=75\r\n\r\n");
    response_deinit(&response);
}

static void a_response_that_lacks_something_is_not_sent(void **state)
{
    struct asked *asked = *state;
    struct response response = answer();
    response_fail(&response);
    http1_write(&asked->out, asked->request, &response);
    assert_true(buf_failed(&asked->out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(a_response_is_written_with_its_length),
        TEST(an_answer_to_head_has_a_length_and_no_body),
        TEST(an_answer_without_a_body_says_no_length),
        TEST(the_last_answer_of_a_connection_says_so),
        TEST(a_body_that_goes_on_comes_in_chunks_but_not_over_http_1_0),
        TEST(a_head_is_used_again_only_for_an_equal_one),
        TEST(the_last_answer_does_not_use_the_head_of_others),
        TEST(no_value_can_begin_a_line),
        TEST(a_response_that_lacks_something_is_not_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
