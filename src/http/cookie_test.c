#include "http/cookie.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void a_cookie_is_found_by_its_whole_name(void **state)
{
    (void)state;
    static const struct {
        const char *lines, *value; /* NULL: none */
    } rows[] = {
        {"Cookie: session=abc\r\n", "abc"},
        {"Cookie: a=1; session=abc; b=2\r\n", "abc"},
        {"Cookie: a=1;session=abc\r\n", "abc"},
        {"Cookie: session=\"abc\"\r\n", "abc"},
        {"Cookie: session=a=b==\r\n", "a=b=="},
        {"Cookie: session=\r\n", ""},
        {"Cookie: session=first; session=second\r\n", "first"},
        {"Cookie: a=1\r\nCookie: session=abc\r\n", "abc"},
        {"Cookie: sessions=abc\r\n", NULL},
        {"Cookie: xsession=abc\r\n", NULL},
        {"Cookie: Session=abc\r\n", NULL},
        {"Cookie: session\r\n", NULL},
        {"Cookie: a=session=abc\r\n", NULL},
        {"Cookie:\r\n", NULL},
        {"X-Cookie: session=abc\r\n", NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_fields fields;
        assert_int_equal(http_fields_parse(str_from(rows[i].lines), &HTTP_LIMITS_DEFAULT, &fields),
                         0);
        struct str value = http_cookie(&fields, STR("session"));
        assert_int_equal(value.at != NULL, rows[i].value != NULL);
        if (rows[i].value && value.at)
            assert_true(str_eq(value, str_from(rows[i].value)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cookie_is_found_by_its_whole_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
