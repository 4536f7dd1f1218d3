#include "server/descriptors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void shares_leave_something_for_everything_else(void **state)
{
    static const uint64_t limits[] = {256, 1024, 4096, 65536, 1 << 20};
    (void)state;
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        for (unsigned workers = 1; workers <= 16; workers *= 4) {
            struct descriptors shares = descriptors_share(limits[i], workers, 0);
            uint64_t all = (uint64_t)shares.connections + shares.webhook_requests + shares.refusing;
            assert_true(shares.connections > 0 && shares.webhook_requests > 0);
            assert_true(all < limits[i]);
        }
    }
}

static void a_server_at_the_least_limit_has_a_share_of_each_kind(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 64; workers++) {
        struct descriptors shares = descriptors_share(descriptors_least(workers), workers, 0);
        assert_true(shares.connections > 0 && shares.webhook_requests > 0 && shares.refusing > 0);
    }
}

static void wanted_webhook_requests_take_half_at_most(void **state)
{
    (void)state;
    assert_int_equal(descriptors_share(65536, 2, 17).webhook_requests, 17);
    struct descriptors shares = descriptors_share(1024, 2, 1 << 20);
    assert_true(shares.webhook_requests <= shares.connections);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_leave_something_for_everything_else),
        cmocka_unit_test(a_server_at_the_least_limit_has_a_share_of_each_kind),
        cmocka_unit_test(wanted_webhook_requests_take_half_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
