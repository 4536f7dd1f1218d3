#include "client/lib/sse_reader.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "http/testing.h"

/* Writes each record as `id/event/data/retry;`, with `-` for no id. */
static int read_all(struct str text, size_t step, size_t record_max, struct buf *out)
{
    struct sse_reader reader = {.record_max = record_max};
    struct sse_record record;
    int result = SSE_MORE;
    for (size_t at = 0; at < text.len && result >= 0; at += step) {
        size_t size = text.len - at < step ? text.len - at : step;
        struct str piece = exact((struct str){text.at + at, size}), rest = piece;
        while ((result = sse_reader_feed(&reader, &rest, &record)) == SSE_RECORD) {
            buf_add_str(out, record.id.at ? record.id : STR("-"));
            buf_add_char(out, '/');
            buf_add_str(out, record.event);
            buf_add_char(out, '/');
            buf_add_str(out, record.data);
            buf_addf(out, "/%llu;", (unsigned long long)record.retry_ms);
        }
        exact_free(piece);
    }
    sse_reader_deinit(&reader);
    return result;
}

#define assert_reads(text, expected)                                                               \
    do {                                                                                           \
        for (size_t step = 1; step <= sizeof(text); step++) {                                      \
            struct buf out = {0};                                                                  \
            assert_int_equal(read_all(STR(text), step, 1000, &out), SSE_MORE);                     \
            assert_str(buf_str(&out), expected);                                                   \
            buf_free(&out);                                                                        \
        }                                                                                          \
    } while (0)

static void the_first_record_of_a_stream_carries_the_cursor(void **state)
{
    (void)state;
    assert_reads("retry: 1500\nevent: $beat\nid: 17\ndata:\n\n", "17/$beat//1500;");
    assert_reads("retry: 1500\nevent: $beat\nid: 17\ndata: {\"cursor\":\"17\"}\n\n",
                 "17/$beat/{\"cursor\":\"17\"}/1500;");
}

static void data_lines_are_joined(void **state)
{
    (void)state;
    assert_reads("id: 1\ndata: a\ndata:b\ndata:  c\ndata\n\n", "1//a\nb\n c\n/0;");
}

static void every_kind_of_line_end_counts_once(void **state)
{
    (void)state;
    assert_reads("data: a\r\n\r\ndata: b\r\rdata: c\n\n", "-//a/0;-//b/0;-//c/0;");
}

static void comments_and_unknown_fields_and_spare_empty_lines_say_nothing(void **state)
{
    (void)state;
    assert_reads(":\n\n: hello\n\nother: x\ndata: a\n\n\n\n", "-//a/0;");
}

static void a_byte_order_mark_is_passed_over_at_the_start_only(void **state)
{
    (void)state;
    assert_reads("\xef\xbb\xbf"
                 "data: a\n\n\xef\xbb\xbf"
                 "data: b\n\n",
                 "-//a/0;-///0;");
}

static void an_id_with_a_nul_and_a_retry_that_is_no_number_are_ignored(void **state)
{
    (void)state;
    assert_reads("id: 1\0\nretry: 5s\ndata: a\n\n", "-//a/0;");
}

static void an_empty_id_is_an_id(void **state)
{
    (void)state;
    assert_reads("id\ndata: a\n\n", "//a/0;");
}

static void nothing_of_one_record_leaks_into_the_next(void **state)
{
    (void)state;
    assert_reads("id: 1\nevent: e\ndata: a\nretry: 3\n\ndata: b\n\n", "1/e/a/3;-//b/0;");
}

static void a_record_that_has_not_ended_is_not_reported(void **state)
{
    (void)state;
    assert_reads("data: a\n", "");
}

static void lines_and_records_beyond_the_limit_are_refused(void **state)
{
    (void)state;
    for (size_t step = 1; step < 40; step++) {
        struct buf out = {0};
        assert_int_equal(read_all(STR("data: 0123456789"), step, 12, &out), -EMSGSIZE);
        assert_int_equal(read_all(STR("data: 01234\ndata: 01234\ndata: 01234\n"), step, 12, &out),
                         -EMSGSIZE);
        assert_int_equal(out.len, 0);
        buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_record_of_a_stream_carries_the_cursor),
        cmocka_unit_test(data_lines_are_joined),
        cmocka_unit_test(every_kind_of_line_end_counts_once),
        cmocka_unit_test(comments_and_unknown_fields_and_spare_empty_lines_say_nothing),
        cmocka_unit_test(a_byte_order_mark_is_passed_over_at_the_start_only),
        cmocka_unit_test(an_id_with_a_nul_and_a_retry_that_is_no_number_are_ignored),
        cmocka_unit_test(an_empty_id_is_an_id),
        cmocka_unit_test(nothing_of_one_record_leaks_into_the_next),
        cmocka_unit_test(a_record_that_has_not_ended_is_not_reported),
        cmocka_unit_test(lines_and_records_beyond_the_limit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
