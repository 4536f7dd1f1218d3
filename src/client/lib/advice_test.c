#include "client/lib/advice.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void a_refused_connection_is_told_how_to_start_a_server(void **state)
{
    (void)state;
    assert_non_null(strstr(advice_of_error(ECONNREFUSED), "freshet serve"));
    assert_string_equal(advice_of_error(ETIMEDOUT), "");
}

/* The words of OpenSSL and of libcurl, which say the same differently. */
static void a_failed_handshake_is_told_what_to_change(void **state)
{
    (void)state;
    static const struct {
        const char *cause, *advice;
    } rows[] = {
        {"TLS: wrong version number", "http://"},
        {"OpenSSL/3.0.19: error:0A00010B:SSL routines::wrong version number", "http://"},
        {"the server's certificate: self-signed certificate", "--cacert"},
        {"SSL certificate problem: self-signed certificate", "--cacert"},
        {"the server's certificate: IP address mismatch", "by a name"},
        {"SSL: no alternative certificate subject name matches target host name '127.0.0.1'",
         "by a name"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_non_null(strstr(advice_of_tls(str_from(rows[i].cause)), rows[i].advice));
    assert_string_equal(advice_of_tls(STR("TLS: the connection broke")), "");
    assert_string_equal(advice_of_tls(STR_NONE), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refused_connection_is_told_how_to_start_a_server),
        cmocka_unit_test(a_failed_handshake_is_told_what_to_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
