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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_reconnects_after_passing_troubles_and_not_after_a_refusal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
