#include "http/head.h"

#include "base/buf.h"

#include <errno.h>
#include <stdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "http/testing.h"

static const struct http_limits limits = HTTP_LIMITS_DEFAULT;

/* The state of a test: the bytes that the head under test points into. */
static int setup(void **state)
{
    struct str *bytes = calloc(1, sizeof(*bytes));
    *state = bytes;
    return bytes ? 0 : -1;
}

static int teardown(void **state)
{
    struct str *bytes = *state;
    if (bytes->at)
        exact_free(*bytes);
    free(bytes);
    return 0;
}

static int parse(void **state, struct str text, struct http_head *ret)
{
    struct str *bytes = *state;
    struct http_scan scan = {0};
    if (bytes->at)
        exact_free(*bytes);
    *bytes = exact(text);
    return http_head_parse(*bytes, &limits, &scan, ret);
}

static int result(void **state, struct str text)
{
    struct http_head head;
    return parse(state, text, &head);
}

/* The head of a request that is right apart from `line`, one of its header lines. */
#define WITH(line) STR("POST / HTTP/1.1\r\nHost: a\r\n" line "\r\n\r\n")
/* The head of a request that is right apart from its first line. */
#define FIRST(line) STR(line "\r\nHost: a\r\n\r\n")

/* The smuggling cases: each is refused with 400, so that the connection is closed. */

static void content_length_with_transfer_encoding_is_refused(void **state)
{
    assert_int_equal(result(state, WITH("Content-Length: 5\r\nTransfer-Encoding: chunked")),
                     HTTP_E_ENCODING_AND_LENGTH);
    assert_int_equal(result(state, WITH("Transfer-Encoding: chunked\r\nContent-Length: 0")),
                     HTTP_E_ENCODING_AND_LENGTH);
    assert_int_equal(http_head_error_status(HTTP_E_ENCODING_AND_LENGTH), 400);
}

static void a_duplicate_content_length_is_refused(void **state)
{
    assert_int_equal(result(state, WITH("Content-Length: 5\r\nContent-Length: 5")),
                     HTTP_E_LENGTH_REPEATED);
    assert_int_equal(result(state, WITH("Content-Length: 5, 5")), HTTP_E_LENGTH);
    assert_int_equal(http_head_error_status(HTTP_E_LENGTH_REPEATED), 400);
}

static void differing_content_lengths_are_refused(void **state)
{
    assert_int_equal(result(state, WITH("Content-Length: 5\r\nContent-length: 6")),
                     HTTP_E_LENGTH_REPEATED);
    assert_int_equal(result(state, WITH("Content-Length: 5, 6")), HTTP_E_LENGTH);
    assert_int_equal(http_head_error_status(HTTP_E_LENGTH), 400);
}

static void transfer_encoding_xchunked_is_refused(void **state)
{
    assert_int_equal(result(state, WITH("Transfer-Encoding: xchunked")), HTTP_E_ENCODING);
    assert_int_equal(result(state, WITH("Transfer-Encoding: chunkedx")), HTTP_E_ENCODING);
    assert_int_equal(result(state, WITH("Transfer-Encoding: \"chunked\"")), HTTP_E_ENCODING);
    assert_int_equal(result(state, WITH("Transfer-Encoding: chunked;x=1")), HTTP_E_ENCODING);
    assert_int_equal(result(state, WITH("Transfer-Encoding:")), HTTP_E_ENCODING);
    assert_int_equal(http_head_error_status(HTTP_E_ENCODING), 400);
}

static void transfer_encoding_chunked_identity_is_refused(void **state)
{
    assert_int_equal(result(state, WITH("Transfer-Encoding: chunked, identity")), HTTP_E_ENCODING);
    assert_int_equal(result(state, WITH("Transfer-Encoding: identity, chunked")), HTTP_E_ENCODING);
    assert_int_equal(result(state, WITH("Transfer-Encoding: chunked,")), HTTP_E_ENCODING);
}

static void a_compression_as_transfer_encoding_is_not_built(void **state)
{
    static const char *const codings[] = {
        "gzip, chunked",     "GZIP,Chunked",          "gzip", "deflate, chunked", "x-gzip",
        "compress, chunked", "gzip, deflate, chunked"};
    static const char *const wrong[] = {"gzip, chunked, gzip",
                                        "gzip,",
                                        ", gzip",
                                        "br, chunked",
                                        "gzip, identity",
                                        "gzip;q=1, chunked",
                                        "chunked, gzip",
                                        "gzip, chunked, chunked"};
    char head[200];
    for (size_t i = 0; i < sizeof(codings) / sizeof(codings[0]); i++) {
        snprintf(head, sizeof(head), "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: %s\r\n\r\n",
                 codings[i]);
        assert_int_equal(result(state, str_from(head)), HTTP_E_CODING);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        snprintf(head, sizeof(head), "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: %s\r\n\r\n",
                 wrong[i]);
        assert_int_equal(result(state, str_from(head)), HTTP_E_ENCODING);
    }
    assert_int_equal(http_head_error_status(HTTP_E_CODING), 501);
}

static void a_repeated_transfer_encoding_is_refused(void **state)
{
    assert_int_equal(
        result(state, WITH("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked")),
        HTTP_E_ENCODING);
    assert_int_equal(
        result(state, WITH("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity")),
        HTTP_E_ENCODING);
}

static void transfer_encoding_in_http_1_0_is_refused(void **state)
{
    assert_int_equal(
        result(state, STR("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")),
        HTTP_E_ENCODING_1_0);
}

static void an_obsolete_fold_is_refused(void **state)
{
    assert_int_equal(result(state, WITH("X: a\r\n b")), HTTP_E_FOLDED);
    assert_int_equal(result(state, WITH("Transfer-Encoding:\r\n chunked")), HTTP_E_FOLDED);
    assert_int_equal(result(state, STR("GET / HTTP/1.1\r\n Host: a\r\n\r\n")), HTTP_E_FOLDED);
    assert_int_equal(http_head_error_status(HTTP_E_FOLDED), 400);
}

static void a_bare_lf_is_refused(void **state)
{
    assert_int_equal(result(state, STR("GET / HTTP/1.1\nHost: a\r\n\r\n")), HTTP_E_LINE_END);
    assert_int_equal(result(state, WITH("X: a\nContent-Length: 5")), HTTP_E_LINE_END);
    assert_int_equal(result(state, STR("GET / HTTP/1.1\r\nHost: a\n\n")), HTTP_E_LINE_END);
    assert_int_equal(result(state, STR("GET / HTTP/1.1\r\nHost: a\r\n\n")), HTTP_E_LINE_END);
    assert_int_equal(http_head_error_status(HTTP_E_LINE_END), 400);
}

static void a_bare_cr_is_refused(void **state)
{
    assert_int_equal(result(state, WITH("X: a\rContent-Length: 5")), HTTP_E_LINE_END);
    assert_int_equal(result(state, WITH("X: a\r")), HTTP_E_LINE_END);
    assert_int_equal(result(state, FIRST("GET /\r HTTP/1.1")), HTTP_E_LINE_END);
    assert_int_equal(result(state, WITH("X\r: a")), HTTP_E_NAME);
    assert_int_equal(result(state, STR("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n")), HTTP_E_LINE_END);
}

static void nul_in_a_header_is_refused(void **state)
{
    assert_int_equal(result(state, WITH("X: a\0b")), HTTP_E_VALUE);
    assert_int_equal(result(state, WITH("X\0: a")), HTTP_E_NAME);
    assert_int_equal(result(state, WITH("X: \0")), HTTP_E_VALUE);
    assert_int_equal(result(state, WITH("Transfer-Encoding: chunked\0")), HTTP_E_VALUE);
    assert_int_equal(result(state, FIRST("GET /\0 HTTP/1.1")), HTTP_E_TARGET);
    assert_int_equal(http_head_error_status(HTTP_E_VALUE), 400);
    assert_int_equal(http_head_error_status(HTTP_E_NAME), 400);
}

static void a_missing_host_is_refused(void **state)
{
    assert_int_equal(result(state, STR("GET / HTTP/1.1\r\n\r\n")), HTTP_E_HOST_MISSING);
    assert_int_equal(result(state, STR("GET http://a/ HTTP/1.1\r\n\r\n")), HTTP_E_HOST_MISSING);
    assert_int_equal(http_head_error_status(HTTP_E_HOST_MISSING), 400);
}

static void a_duplicate_host_is_refused(void **state)
{
    assert_int_equal(result(state, WITH("Host: a")), HTTP_E_HOST_REPEATED);
    assert_int_equal(result(state, WITH("host: b")), HTTP_E_HOST_REPEATED);
    assert_int_equal(result(state, STR("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n")),
                     HTTP_E_HOST_REPEATED);
    assert_int_equal(http_head_error_status(HTTP_E_HOST_REPEATED), 400);
}

static void a_malformed_host_is_refused(void **state)
{
    const struct str hosts[] = {STR(""),        STR("a b"), STR("a/b"),     STR("u@a"),
                                STR("a:b"),     STR("a,b"), STR("a:99999"), STR("[::1"),
                                STR("[::1]x"),  STR("a?b"), STR("a#b"),     STR("http://a"),
                                STR("\xc3\xa4")};
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        struct buf text = {0};
        buf_add_lit(&text, "GET / HTTP/1.1\r\nHost: ");
        buf_add_str(&text, hosts[i]);
        buf_add_lit(&text, "\r\n\r\n");
        assert_int_equal(result(state, buf_str(&text)), HTTP_E_HOST);
        buf_free(&text);
    }
    assert_int_equal(http_head_error_status(HTTP_E_HOST), 400);
}

static void white_space_before_a_colon_is_refused(void **state)
{
    assert_int_equal(result(state, WITH("Content-Length : 5")), HTTP_E_NAME);
    assert_int_equal(result(state, WITH("Transfer-Encoding\t: chunked")), HTTP_E_NAME);
    assert_int_equal(result(state, STR("GET / HTTP/1.1\r\nHost : a\r\n\r\n")), HTTP_E_NAME);
}

/* The rest of the grammar. */

static void a_request_is_taken_apart(void **state)
{
    struct http_head head;
    assert_int_equal(parse(state,
                           STR("POST /channels/a%20b?type=x&y=%3f? HTTP/1.1\r\n"
                               "Host: localhost:7070\r\n"
                               "Content-Length: 5\r\n"
                               "Event-Type:  trade \r\n\r\nhello"),
                           &head),
                     0);
    assert_int_equal(head.size, 109);
    assert_int_equal(head.method, HTTP_POST);
    assert_str(head.method_raw, "POST");
    assert_str(head.target, "/channels/a%20b?type=x&y=%3f?");
    assert_str(head.path, "/channels/a%20b");
    assert_str(head.query, "type=x&y=%3f?");
    assert_int_equal(head.minor, 1);
    assert_str(head.host, "localhost:7070");
    assert_true(head.framing.has_content_length);
    assert_int_equal(head.framing.content_length, 5);
    assert_false(head.framing.chunked);
    assert_true(head.framing.keep_alive);
    assert_false(head.expect_continue);
    assert_false(head.upgrade_websocket);
    assert_int_equal(head.fields.count, 3);
    assert_str(http_header(&head, STR("event-type")), "trade");
    assert_null(http_header(&head, STR("event")).at);
}

static void every_method_has_its_name(void **state)
{
    struct http_head head;
    static const char *const names[] = {"GET",    "HEAD",    "POST",    "PUT",   "PATCH",
                                        "DELETE", "OPTIONS", "CONNECT", "TRACE", "PURGE"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char text[100];
        int len = snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: a\r\n\r\n", names[i],
                           i == HTTP_CONNECT ? "a:1" : "/");
        assert_int_equal(parse(state, (struct str){text, (size_t)len}, &head), 0);
        assert_int_equal(head.method, i);
        assert_true(str_eq(head.method_raw, str_from(names[i])));
    }
    assert_int_equal(parse(state, FIRST("get / HTTP/1.1"), &head), 0);
    assert_int_equal(head.method, HTTP_OTHER);
}

static void a_malformed_request_line_is_refused(void **state)
{
    assert_int_equal(result(state, FIRST("GET")), HTTP_E_START_LINE);
    assert_int_equal(result(state, FIRST("GET /")), HTTP_E_START_LINE);
    assert_int_equal(result(state, FIRST("GET ")), HTTP_E_START_LINE);
    assert_int_equal(result(state, FIRST("GET  / HTTP/1.1")), HTTP_E_START_LINE);
    assert_int_equal(result(state, FIRST("GET /  HTTP/1.1")), HTTP_E_VERSION_SYNTAX);
    assert_int_equal(result(state, FIRST("GET / HTTP/1.1 ")), HTTP_E_VERSION_SYNTAX);
    assert_int_equal(result(state, FIRST("GET\t/ HTTP/1.1")), HTTP_E_METHOD);
    assert_int_equal(result(state, FIRST("G@T / HTTP/1.1")), HTTP_E_METHOD);
    assert_int_equal(result(state, FIRST("GET /\tHTTP/1.1")), HTTP_E_TARGET);
    assert_int_equal(result(state, FIRST("GET /#a HTTP/1.1")), HTTP_E_TARGET);
    assert_int_equal(result(state, FIRST("GET #a HTTP/1.1")), HTTP_E_TARGET);
    assert_int_equal(result(state, FIRST("GET /\xc3\xa4 HTTP/1.1")), HTTP_E_TARGET);
    assert_int_equal(result(state, FIRST("GET /\x7f HTTP/1.1")), HTTP_E_TARGET);
    assert_int_equal(result(state, FIRST("GET a HTTP/1.1")), HTTP_E_TARGET);
    assert_int_equal(result(state, FIRST("GET / FTP/1.1")), HTTP_E_VERSION_SYNTAX);
    assert_int_equal(result(state, FIRST("GET / HTTP/2.0")), HTTP_E_VERSION);
    assert_int_equal(result(state, STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")), HTTP_E_VERSION);
}

static void an_absolute_target_names_the_host(void **state)
{
    struct http_head head;
    assert_int_equal(parse(state, FIRST("GET http://b:80/c?d HTTP/1.1"), &head), 0);
    assert_str(head.host, "b:80");
    assert_str(head.path, "/c");
    assert_str(head.query, "d");
    assert_int_equal(parse(state, FIRST("GET HTTPS://b HTTP/1.1"), &head), 0);
    assert_str(head.host, "b");
    assert_str(head.path, "/");
    assert_null(head.query.at);
    assert_int_equal(parse(state, FIRST("GET http://b?c HTTP/1.1"), &head), 0);
    assert_str(head.path, "/");
    assert_str(head.query, "c");
    assert_int_equal(parse(state, FIRST("OPTIONS http://b HTTP/1.1"), &head), 0);
    assert_str(head.path, "*");
}

static void a_malformed_absolute_target_is_refused(void **state)
{
    assert_int_equal(result(state, FIRST("GET http:// HTTP/1.1")), HTTP_E_TARGET);
    assert_int_equal(result(state, FIRST("GET http:///a HTTP/1.1")), HTTP_E_TARGET);
    assert_int_equal(result(state, FIRST("GET http://u@b/ HTTP/1.1")), HTTP_E_TARGET);
    assert_int_equal(result(state, FIRST("GET http://b:x/ HTTP/1.1")), HTTP_E_TARGET);
    assert_int_equal(result(state, FIRST("GET ftp://b/ HTTP/1.1")), HTTP_E_TARGET);
    assert_int_equal(result(state, FIRST("GET http:/b HTTP/1.1")), HTTP_E_TARGET);
}

static void an_asterisk_goes_with_options_only(void **state)
{
    struct http_head head;
    assert_int_equal(parse(state, FIRST("OPTIONS * HTTP/1.1"), &head), 0);
    assert_str(head.path, "*");
    assert_int_equal(result(state, FIRST("GET * HTTP/1.1")), HTTP_E_TARGET);
    assert_int_equal(result(state, FIRST("OPTIONS *a HTTP/1.1")), HTTP_E_TARGET);
}

static void connect_names_a_host_and_port(void **state)
{
    struct http_head head;
    assert_int_equal(parse(state, FIRST("CONNECT b:443 HTTP/1.1"), &head), 0);
    assert_str(head.host, "b:443");
    assert_int_equal(head.path.len, 0);
    assert_int_equal(result(state, FIRST("CONNECT b HTTP/1.1")), HTTP_E_TARGET);
    assert_int_equal(result(state, FIRST("CONNECT /b HTTP/1.1")), HTTP_E_TARGET);
    assert_int_equal(result(state, FIRST("CONNECT http://b:1/ HTTP/1.1")), HTTP_E_TARGET);
}

static void http_1_0_needs_no_host(void **state)
{
    struct http_head head;
    assert_int_equal(parse(state, STR("GET / HTTP/1.0\r\n\r\n"), &head), 0);
    assert_int_equal(head.minor, 0);
    assert_null(head.host.at);
    assert_false(head.framing.keep_alive);
}

static void a_chunked_body_is_announced(void **state)
{
    struct http_head head;
    assert_int_equal(parse(state, WITH("Transfer-Encoding:  Chunked "), &head), 0);
    assert_true(head.framing.chunked);
    assert_false(head.framing.has_content_length);
}

static void expect_continue_needs_a_body_and_http_1_1(void **state)
{
    struct http_head head;
    assert_int_equal(parse(state, WITH("Expect: 100-Continue\r\nContent-Length: 1"), &head), 0);
    assert_true(head.expect_continue);
    assert_int_equal(parse(state, WITH("Expect: 100-continue"), &head), 0);
    assert_false(head.expect_continue);
    assert_int_equal(
        parse(state, STR("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"),
              &head),
        0);
    assert_false(head.expect_continue);
    assert_int_equal(result(state, WITH("Expect: a miracle")), HTTP_E_EXPECT);
    assert_int_equal(http_head_error_status(HTTP_E_EXPECT), 417);
}

static void a_websocket_upgrade_needs_both_headers_and_http_1_1(void **state)
{
    struct http_head head;
    assert_int_equal(
        parse(state, WITH("Upgrade: h2c, WebSocket\r\nConnection: keep-alive, Upgrade"), &head), 0);
    assert_true(head.upgrade_websocket);
    assert_true(head.framing.keep_alive);
    assert_int_equal(parse(state, WITH("Upgrade: websocket"), &head), 0);
    assert_false(head.upgrade_websocket);
    assert_int_equal(parse(state, WITH("Connection: upgrade"), &head), 0);
    assert_false(head.upgrade_websocket);
    assert_int_equal(parse(state, WITH("Upgrade: websocketx\r\nConnection: upgrade"), &head), 0);
    assert_false(head.upgrade_websocket);
    assert_int_equal(
        parse(state, STR("GET / HTTP/1.0\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"),
              &head),
        0);
    assert_false(head.upgrade_websocket);
}

static void repeated_headers_are_walked_in_order(void **state)
{
    struct http_head head;
    struct str value;
    size_t pos = 0;
    assert_int_equal(parse(state, WITH("Prefer: a\r\nX: 1\r\nprefer: b"), &head), 0);
    assert_true(http_header_next(&head, STR("prefer"), &pos, &value));
    assert_str(value, "a");
    assert_true(http_header_next(&head, STR("prefer"), &pos, &value));
    assert_str(value, "b");
    assert_false(http_header_next(&head, STR("prefer"), &pos, &value));
}

static void every_prefix_of_a_head_asks_for_more(void **state)
{
    (void)state;
    const struct str text =
        STR("\r\nPOST http://b/c?d HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nX: \r\n\r\n");
    struct http_head head = {.size = 77};
    struct http_scan kept = {0};
    for (size_t len = 0; len < text.len; len++) {
        struct http_scan fresh = {0};
        struct str prefix = exact((struct str){text.at, len});
        assert_int_equal(http_head_parse(prefix, &limits, &fresh, &head), -EAGAIN);
        assert_int_equal(http_head_parse(prefix, &limits, &kept, &head), -EAGAIN);
        assert_int_equal(head.size, 77);
        exact_free(prefix);
    }
    struct str whole = exact(text);
    assert_int_equal(http_head_parse(whole, &limits, &kept, &head), 0);
    assert_int_equal(head.size, text.len);
    exact_free(whole);
}

static void pipelined_requests_are_read_one_by_one(void **state)
{
    (void)state;
    struct str bytes = STR("GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n");
    struct http_scan scan = {0};
    struct http_head head;
    assert_int_equal(http_head_parse(bytes, &limits, &scan, &head), 0);
    assert_str(head.path, "/a");
    bytes = str_skip(bytes, head.size);
    assert_int_equal(http_head_parse(bytes, &limits, &scan, &head), 0);
    assert_str(head.path, "/b");
    assert_int_equal(head.size, bytes.len);
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static void bytes_that_are_no_request_may_still_ask_for_a_head(void **state)
{
    (void)state;
    assert_true(http_asks_head(STR("HEAD / HTTP/9")));
    assert_true(http_asks_head(STR("\r\n\nHEAD /")));
    assert_false(http_asks_head(STR("HEADER")));
    assert_false(http_asks_head(STR("\r\n")));
    assert_false(http_asks_head(STR_NONE));
    assert_true(http_head_ended(STR("GET /\r\nA\r\n\r\n")));
    assert_false(http_head_ended(STR("GET /\r\nA\r\n\r")));
    assert_false(http_head_ended(STR_NONE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(content_length_with_transfer_encoding_is_refused),
        test(a_duplicate_content_length_is_refused),
        test(differing_content_lengths_are_refused),
        test(transfer_encoding_xchunked_is_refused),
        test(transfer_encoding_chunked_identity_is_refused),
        test(a_compression_as_transfer_encoding_is_not_built),
        test(a_repeated_transfer_encoding_is_refused),
        test(transfer_encoding_in_http_1_0_is_refused),
        test(an_obsolete_fold_is_refused),
        test(a_bare_lf_is_refused),
        test(a_bare_cr_is_refused),
        test(nul_in_a_header_is_refused),
        test(a_missing_host_is_refused),
        test(a_duplicate_host_is_refused),
        test(a_malformed_host_is_refused),
        test(white_space_before_a_colon_is_refused),
        test(a_request_is_taken_apart),
        test(every_method_has_its_name),
        test(a_malformed_request_line_is_refused),
        test(an_absolute_target_names_the_host),
        test(a_malformed_absolute_target_is_refused),
        test(an_asterisk_goes_with_options_only),
        test(connect_names_a_host_and_port),
        test(http_1_0_needs_no_host),
        test(a_chunked_body_is_announced),
        test(expect_continue_needs_a_body_and_http_1_1),
        test(a_websocket_upgrade_needs_both_headers_and_http_1_1),
        test(repeated_headers_are_walked_in_order),
        test(every_prefix_of_a_head_asks_for_more),
        test(pipelined_requests_are_read_one_by_one),
        test(bytes_that_are_no_request_may_still_ask_for_a_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
