#include "courier/delivery.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void retry_after_is_seconds_or_a_date_and_at_most_a_day(void **state)
{
    (void)state;
    assert_int_equal(delivery_retry_after(" 7", 0), 7000);
    assert_int_equal(delivery_retry_after("Thu, 01 Jan 1970 00:01:40 GMT", 40), 60000);
    assert_int_equal(delivery_retry_after("999999999", 0), 24 * 3600 * 1000);
    assert_int_equal(delivery_retry_after("soon", 0), 0);
    assert_int_equal(delivery_retry_after("-5", 0), 0);
}

static void only_http_urls_without_user_information_will_do(void **state)
{
    (void)state;
    assert_true(delivery_url_valid("http://127.0.0.1:8080/hook?x=1"));
    assert_true(delivery_url_valid("https://example.com/"));
    assert_false(delivery_url_valid("ftp://example.com/"));
    assert_false(delivery_url_valid("file:///etc/passwd"));
    assert_false(delivery_url_valid("http://me:secret@example.com/"));
    assert_false(delivery_url_valid("nonsense"));
    assert_false(delivery_url_valid(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retry_after_is_seconds_or_a_date_and_at_most_a_day),
        cmocka_unit_test(only_http_urls_without_user_information_will_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
