#include "http/body.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "http/testing.h"

#include <stdlib.h>

static const struct http_limits limits = {.chunk_ext_max = 20, .trailer_max = 30};

/* Decodes `text` in pieces of `step` bytes, each in a block of its own. */
static int feed(struct str text, size_t step, struct buf *out, size_t *ret_used)
{
    struct http_chunked chunked = {0};
    int result = -EAGAIN;
    size_t used = 0;
    while (result == -EAGAIN && used < text.len) {
        size_t len = text.len - used < step ? text.len - used : step;
        struct str piece = exact((struct str){text.at + used, len});
        struct str rest = piece, data;
        while ((result = http_chunked_feed(&chunked, &limits, &rest, &data)) == HTTP_CHUNKED_DATA) {
            assert_true(data.len > 0);
            buf_add_str(out, data);
        }
        used += len - rest.len;
        exact_free(piece);
    }
    assert_int_equal(chunked.decoded, out->len);
    *ret_used = used;
    return result;
}

/* The result of decoding, which must not depend on the pieces; `*ret_used` of a whole body. */
static int decode(struct str text, struct buf *out, size_t *ret_used)
{
    struct buf again = {0};
    buf_clear(out);
    int result = feed(text, text.len ? text.len : 1, out, ret_used);
    for (size_t step = 1; step < text.len; step++) {
        size_t used;
        buf_clear(&again);
        assert_int_equal(feed(text, step, &again, &used), result);
        assert_int_equal(used, *ret_used);
        assert_true(str_eq(buf_str(&again), buf_str(out)));
    }
    buf_free(&again);
    return result;
}

static int result(struct str text)
{
    struct buf out = {0};
    size_t used;
    int error = decode(text, &out, &used);
    buf_free(&out);
    return error;
}

static void chunks_are_joined(void **state)
{
    (void)state;
    struct buf out = {0};
    size_t used;
    struct str text = STR("5\r\nhello\r\nA\r\n, world\r\n!\r\n0\r\n\r\nGET /");
    assert_int_equal(decode(text, &out, &used), 0);
    assert_str(buf_str(&out), "hello, world\r\n!");
    assert_int_equal(used, text.len - 5);
    buf_free(&out);
}

static void an_empty_body_is_one_last_chunk(void **state)
{
    (void)state;
    assert_int_equal(result(STR("0\r\n\r\n")), 0);
    assert_int_equal(result(STR("0000000000000000\r\n\r\n")), 0);
}

static void every_prefix_of_a_body_asks_for_more(void **state)
{
    (void)state;
    struct str text = STR("5;a=\"b\"\r\nhello\r\n0\r\nX: y\r\n\r\n");
    for (size_t len = 0; len < text.len; len++)
        assert_int_equal(result((struct str){text.at, len}), -EAGAIN);
    assert_int_equal(result(text), 0);
}

static void a_chunk_size_may_have_either_case_and_leading_zeroes(void **state)
{
    (void)state;
    struct buf out = {0};
    size_t used;
    assert_int_equal(decode(STR("0a\r\n0123456789\r\n0A\r\n0123456789\r\n0\r\n\r\n"), &out, &used),
                     0);
    assert_int_equal(out.len, 20);
    buf_free(&out);
}

static void a_chunk_size_that_is_no_hexadecimal_number_is_refused(void **state)
{
    (void)state;
    assert_int_equal(result(STR("\r\n")), HTTP_CHUNKED_E_SIZE);
    assert_int_equal(result(STR("x\r\n")), HTTP_CHUNKED_E_SIZE);
    assert_int_equal(result(STR("0x5\r\n")), HTTP_CHUNKED_E_SIZE);
    assert_int_equal(result(STR("+5\r\n")), HTTP_CHUNKED_E_SIZE);
    assert_int_equal(result(STR(" 5\r\n")), HTTP_CHUNKED_E_SIZE);
    assert_int_equal(result(STR(";a\r\n")), HTTP_CHUNKED_E_SIZE);
    assert_int_equal(result(STR("5_0\r\n")), HTTP_CHUNKED_E_SIZE);
    assert_int_equal(result(STR("5\0\r\n")), HTTP_CHUNKED_E_SIZE);
}

static void a_negative_chunk_size_is_refused(void **state)
{
    (void)state;
    assert_int_equal(result(STR("-1\r\n")), HTTP_CHUNKED_E_SIZE);
    assert_int_equal(result(STR("-5\r\nhello\r\n0\r\n\r\n")), HTTP_CHUNKED_E_SIZE);
}

static void a_chunk_size_that_overflows_is_refused(void **state)
{
    (void)state;
    assert_int_equal(result(STR("7fffffffffffffff\r\n")), -EAGAIN);
    assert_int_equal(result(STR("8000000000000000\r\n")), HTTP_CHUNKED_E_OVERFLOW);
    assert_int_equal(result(STR("ffffffffffffffff\r\n")), HTTP_CHUNKED_E_OVERFLOW);
    assert_int_equal(result(STR("10000000000000005\r\nhello\r\n0\r\n\r\n")),
                     HTTP_CHUNKED_E_OVERFLOW);
    assert_int_equal(result(STR("00000000000000005\r\n")), HTTP_CHUNKED_E_SIZE);
}

static void a_bare_lf_behind_a_size_is_refused(void **state)
{
    (void)state;
    assert_int_equal(result(STR("5\nhello\r\n0\r\n\r\n")), HTTP_CHUNKED_E_LINE_END);
    assert_int_equal(result(STR("5;a\nhello\r\n0\r\n\r\n")), HTTP_CHUNKED_E_LINE_END);
    assert_int_equal(result(STR("5\rhello\r\n0\r\n\r\n")), HTTP_CHUNKED_E_LINE_END);
    assert_int_equal(result(STR("0\n\n")), HTTP_CHUNKED_E_LINE_END);
    assert_int_equal(result(STR("0\r\n\n")), HTTP_CHUNKED_E_LINE_END);
}

static void a_chunk_that_is_longer_or_shorter_than_its_size_is_refused(void **state)
{
    (void)state;
    assert_int_equal(result(STR("5\r\nhello!\r\n0\r\n\r\n")), HTTP_CHUNKED_E_LINE_END);
    assert_int_equal(result(STR("5\r\nhello\n0\r\n\r\n")), HTTP_CHUNKED_E_LINE_END);
    assert_int_equal(result(STR("5\r\nhello\r0\r\n\r\n")), HTTP_CHUNKED_E_LINE_END);
    assert_int_equal(result(STR("5\r\nhell\r\n0\r\n\r\n")), HTTP_CHUNKED_E_LINE_END);
    assert_int_equal(result(STR("5\r\nhello0\r\n\r\n")), HTTP_CHUNKED_E_LINE_END);
}

static void chunk_extensions_within_the_grammar_are_passed_over(void **state)
{
    (void)state;
    assert_int_equal(result(STR("0;a\r\n\r\n")), 0);
    assert_int_equal(result(STR("0;a=b;c\r\n\r\n")), 0);
    assert_int_equal(result(STR("0 ; a = b\t; c\r\n\r\n")), 0);
    assert_int_equal(result(STR("0;a=\"b ;,\\\"\"\r\n\r\n")), 0);
    assert_int_equal(result(STR("0;a=\"\";b=\"c\" ;d\r\n\r\n")), 0);
    assert_int_equal(result(STR("0;a ;b\r\n\r\n")), 0);
}

static void chunk_extension_abuse_is_refused(void **state)
{
    (void)state;
    assert_int_equal(result(STR("5 \r\n")), HTTP_CHUNKED_E_EXTENSION);
    assert_int_equal(result(STR("5 5\r\n")), HTTP_CHUNKED_E_EXTENSION);
    assert_int_equal(result(STR("5;\r\n")), HTTP_CHUNKED_E_EXTENSION);
    assert_int_equal(result(STR("5;;a\r\n")), HTTP_CHUNKED_E_EXTENSION);
    assert_int_equal(result(STR("5;a=\r\n")), HTTP_CHUNKED_E_EXTENSION);
    assert_int_equal(result(STR("5;=b\r\n")), HTTP_CHUNKED_E_EXTENSION);
    assert_int_equal(result(STR("5;a b\r\n")), HTTP_CHUNKED_E_EXTENSION);
    assert_int_equal(result(STR("5;a=b c\r\n")), HTTP_CHUNKED_E_EXTENSION);
    assert_int_equal(result(STR("5;a \r\n")), HTTP_CHUNKED_E_EXTENSION);
    assert_int_equal(result(STR("5;a=b \r\n")), HTTP_CHUNKED_E_EXTENSION);
    assert_int_equal(result(STR("5;a=\"b\r\n")), HTTP_CHUNKED_E_EXTENSION);
    assert_int_equal(result(STR("5;a=\"b\\\r\n\"\r\n")), HTTP_CHUNKED_E_EXTENSION);
    assert_int_equal(result(STR("5;a=\"b\"c\r\n")), HTTP_CHUNKED_E_EXTENSION);
    assert_int_equal(result(STR("5;a\0\r\n")), HTTP_CHUNKED_E_EXTENSION);
    assert_int_equal(result(STR("5;a\rb\r\n")), HTTP_CHUNKED_E_LINE_END);
    assert_int_equal(result(STR("2;a=\"\n\"\r\n")), HTTP_CHUNKED_E_LINE_END);
}

static void chunk_extensions_are_bounded_over_the_whole_body(void **state)
{
    (void)state;
    assert_int_equal(result(STR("0;2345678901234567890\r\n\r\n")), 0);
    assert_int_equal(result(STR("0;23456789012345678901\r\n\r\n")), HTTP_CHUNKED_E_EXTENSIONS);
    assert_int_equal(result(STR("1;abcdef\r\nx\r\n1;abcdef\r\nx\r\n1;abcdef\r\nx\r\n0\r\n\r\n")),
                     HTTP_CHUNKED_E_EXTENSIONS);
}

static void trailers_are_checked_and_thrown_away(void **state)
{
    (void)state;
    struct buf out = {0};
    size_t used;
    assert_int_equal(decode(STR("1\r\nx\r\n0\r\nA: b\r\nC:\r\n\r\n"), &out, &used), 0);
    assert_str(buf_str(&out), "x");
    buf_free(&out);
    assert_int_equal(result(STR("0\r\n A: b\r\n\r\n")), HTTP_CHUNKED_E_TRAILER);
    assert_int_equal(result(STR("0\r\nA: b\r\n c\r\n\r\n")), HTTP_CHUNKED_E_TRAILER);
    assert_int_equal(result(STR("0\r\nA : b\r\n\r\n")), HTTP_CHUNKED_E_TRAILER);
    assert_int_equal(result(STR("0\r\n: b\r\n\r\n")), HTTP_CHUNKED_E_TRAILER);
    assert_int_equal(result(STR("0\r\nA\r\n\r\n")), HTTP_CHUNKED_E_TRAILER);
    assert_int_equal(result(STR("0\r\nA: \0\r\n\r\n")), HTTP_CHUNKED_E_TRAILER);
    assert_int_equal(result(STR("0\r\nA: b\n\r\n")), HTTP_CHUNKED_E_LINE_END);
    assert_int_equal(result(STR("0\r\nA: b\rc\r\n\r\n")), HTTP_CHUNKED_E_LINE_END);
    assert_int_equal(result(STR("0\r\nGET / HTTP/1.1\r\n\r\n")), HTTP_CHUNKED_E_TRAILER);
}

static void trailers_are_bounded(void **state)
{
    (void)state;
    assert_int_equal(result(STR("0\r\nA: 45678901234567890123456\r\n\r\n")), 0);
    assert_int_equal(result(STR("0\r\nA: 456789012345678901234567\r\n\r\n")),
                     HTTP_CHUNKED_E_TRAILERS);
    assert_int_equal(http_chunked_error_status(HTTP_CHUNKED_E_TRAILERS), 431);
}

static void extensions_do_not_count_as_trailers(void **state)
{
    (void)state;
    assert_int_equal(result(STR("0;2345678901234567890\r\nA: 45678901234567890\r\n\r\n")), 0);
}

static void an_error_is_final(void **state)
{
    (void)state;
    struct http_chunked chunked = {0};
    struct str bytes = STR("x"), data;
    assert_int_equal(http_chunked_feed(&chunked, &limits, &bytes, &data), HTTP_CHUNKED_E_SIZE);
    bytes = STR("0\r\n\r\n");
    assert_int_equal(http_chunked_feed(&chunked, &limits, &bytes, &data), HTTP_CHUNKED_E_SIZE);
    assert_int_equal(bytes.len, 5);
}

static void the_end_is_final(void **state)
{
    (void)state;
    struct http_chunked chunked = {0};
    struct str bytes = STR("0\r\n\r\n5\r\nhello\r\n"), data;
    assert_int_equal(http_chunked_feed(&chunked, &limits, &bytes, &data), HTTP_CHUNKED_END);
    assert_int_equal(http_chunked_feed(&chunked, &limits, &bytes, &data), HTTP_CHUNKED_END);
    assert_int_equal(bytes.len, 10);
}

static void every_error_has_a_status_and_a_sentence(void **state)
{
    (void)state;
    for (int error = HTTP_CHUNKED_E_SIZE; error < HTTP_CHUNKED_E_COUNT; error++) {
        assert_in_range(http_chunked_error_status(error), 400, 431);
        assert_true(http_chunked_error_detail(error).len > 10);
    }
}

static void written_chunks_can_be_decoded(void **state)
{
    (void)state;
    struct buf wire = {0}, out = {0};
    size_t used;
    http_chunk_add(&wire, STR("hello, chunked world"));
    http_chunk_add(&wire, STR(""));
    size_t opened = http_chunk_open(&wire);
    buf_add_lit(&wire, "one event\n");
    http_chunk_close(&wire, opened);
    http_chunk_close(&wire, http_chunk_open(&wire));
    http_chunk_end(&wire);
    assert_str(buf_str(&wire),
               "14\r\nhello, chunked world\r\n0000000a\r\none event\n\r\n0\r\n\r\n");
    assert_int_equal(decode(buf_str(&wire), &out, &used), 0);
    assert_str(buf_str(&out), "hello, chunked worldone event\n");
    buf_free(&wire);
    buf_free(&out);
}

static void a_chunk_in_a_failed_buffer_stays_failed(void **state)
{
    (void)state;
    struct buf wire = {.failed = true};
    http_chunk_close(&wire, http_chunk_open(&wire));
    assert_true(buf_failed(&wire));
    assert_int_equal(wire.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_are_joined),
        cmocka_unit_test(an_empty_body_is_one_last_chunk),
        cmocka_unit_test(every_prefix_of_a_body_asks_for_more),
        cmocka_unit_test(a_chunk_size_may_have_either_case_and_leading_zeroes),
        cmocka_unit_test(a_chunk_size_that_is_no_hexadecimal_number_is_refused),
        cmocka_unit_test(a_negative_chunk_size_is_refused),
        cmocka_unit_test(a_chunk_size_that_overflows_is_refused),
        cmocka_unit_test(a_bare_lf_behind_a_size_is_refused),
        cmocka_unit_test(a_chunk_that_is_longer_or_shorter_than_its_size_is_refused),
        cmocka_unit_test(chunk_extensions_within_the_grammar_are_passed_over),
        cmocka_unit_test(chunk_extension_abuse_is_refused),
        cmocka_unit_test(chunk_extensions_are_bounded_over_the_whole_body),
        cmocka_unit_test(trailers_are_checked_and_thrown_away),
        cmocka_unit_test(trailers_are_bounded),
        cmocka_unit_test(extensions_do_not_count_as_trailers),
        cmocka_unit_test(an_error_is_final),
        cmocka_unit_test(the_end_is_final),
        cmocka_unit_test(every_error_has_a_status_and_a_sentence),
        cmocka_unit_test(written_chunks_can_be_decoded),
        cmocka_unit_test(a_chunk_in_a_failed_buffer_stays_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
