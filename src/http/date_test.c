#include "http/date.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "http/testing.h"

static void a_date_is_written_as_http_wants_it(void **state)
{
    (void)state;
    const struct {
        int64_t seconds;
        const char *text;
    } dates[] = {
        {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"},
        {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
        {-1, "Wed, 31 Dec 1969 23:59:59 GMT"},
        {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
        {1795459080, "Mon, 23 Nov 2026 18:38:00 GMT"},
        {253402300799, "Fri, 31 Dec 9999 23:59:59 GMT"},
        {INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT"},
        {INT64_MIN, "Sat, 01 Jan 0000 00:00:00 GMT"},
    };
    for (size_t i = 0; i < sizeof(dates) / sizeof(dates[0]); i++) {
        struct http_date date = {0};
        struct str text = http_date_cached(&date, dates[i].seconds);
        assert_int_equal(text.len, HTTP_DATE_LEN);
        assert_memory_equal(text.at, dates[i].text, HTTP_DATE_LEN);
    }
}

static void a_cached_date_follows_the_clock(void **state)
{
    (void)state;
    struct http_date date = {0};
    assert_str(http_date_cached(&date, 0), "Thu, 01 Jan 1970 00:00:00 GMT");
    assert_str(http_date_cached(&date, 1), "Thu, 01 Jan 1970 00:00:01 GMT");
    assert_str(http_date_cached(&date, 1), "Thu, 01 Jan 1970 00:00:01 GMT");
}

static void a_cached_date_is_not_written_twice(void **state)
{
    (void)state;
    struct http_date date = {0};
    http_date_cached(&date, 5);
    date.text[0] = 'x';
    assert_int_equal(http_date_cached(&date, 5).at[0], 'x');
    assert_int_equal(http_date_cached(&date, 6).at[0], 'T');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_date_is_written_as_http_wants_it),
        cmocka_unit_test(a_cached_date_follows_the_clock),
        cmocka_unit_test(a_cached_date_is_not_written_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
