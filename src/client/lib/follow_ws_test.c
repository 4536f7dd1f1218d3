#include "client/lib/follow_ws.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void a_client_reconnects_after_passing_troubles_and_not_after_a_refusal(void **state)
{
    (void)state;
    static const unsigned back[] = {1001, 1005, 1006, 1012, 1013, 4408, 4429, 4503};
    static const unsigned away[] = {1000, 1002, 1007, 1008, 1009, 4400, 4401, 4403, 4410};
    for (size_t i = 0; i < sizeof(back) / sizeof(back[0]); i++)
        assert_true(follow_ws_may_come_back(back[i]));
    for (size_t i = 0; i < sizeof(away) / sizeof(away[0]); i++)
        assert_false(follow_ws_may_come_back(away[i]));
}

static void a_close_is_told_in_words(void **state)
{
    static const struct {
        unsigned code;
        const char *reason, *told;
    } rows[] = {
        {4401, "/errors/bad-credential",
         "the server closed with 4401: The credential is not valid, or not any more "
         "(/errors/bad-credential)"},
        {4403, "/rt/errors/forbidden",
         "the server closed with 4403: The credential does not grant this (/rt/errors/forbidden)"},
        {4999, "/errors/of-tomorrow", "the server closed with 4999 /errors/of-tomorrow"},
        {1001, "", "the server closed with 1001"},
    };
    struct buf text = {0};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        buf_clear(&text);
        follow_ws_add_close(&text, rows[i].code, str_from(rows[i].reason));
        buf_add(&text, "", 1);
        assert_string_equal(text.at, rows[i].told);
    }
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_reconnects_after_passing_troubles_and_not_after_a_refusal),
        cmocka_unit_test(a_close_is_told_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
