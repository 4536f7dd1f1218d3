#include "http/foreign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "http/testing.h"

static void the_first_bytes_of_other_protocols_are_known(void **state)
{
    (void)state;
    assert_true(foreign_is_http2(STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")));
    assert_false(foreign_is_http2(STR("PRI * HTTP/2.0")));
    assert_false(foreign_is_http2(STR("GET / HTTP/1.1\r\n")));
    assert_true(foreign_is_tls(STR("\x16\x03\x01")));
    assert_false(foreign_is_tls(STR("GET")));
    assert_false(foreign_is_tls(STR_NONE));
}

static void assert_goaway(enum foreign_refusal refusal, int code, const char *why)
{
    static const char frames[] = {0, 0, 0, 4, 0, 0, 0, 0, 0};
    struct buf out = {0};
    foreign_add_goaway(&out, refusal, str_from(why));
    assert_true(out.len > sizeof(frames) + 9 + 8);
    assert_memory_equal(out.at, frames, sizeof(frames));
    const char *goaway = out.at + sizeof(frames);
    assert_int_equal(goaway[3], 7);
    assert_int_equal((unsigned char)goaway[2], out.len - sizeof(frames) - 9);
    assert_int_equal(goaway[16], code);
    assert_non_null(memmem(out.at, out.len, why, strlen(why)));
    buf_free(&out);
}

static void a_client_of_http2_gets_settings_and_a_reason(void **state)
{
    (void)state;
    assert_goaway(FOREIGN_LIMIT, 11, "too many connections");
    assert_goaway(FOREIGN_BARE, 12, "https://");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_bytes_of_other_protocols_are_known),
        cmocka_unit_test(a_client_of_http2_gets_settings_and_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
