#include "courier/policy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static bool allows(const char *text, bool loopback)
{
    struct sockaddr_storage address = {0};
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        memcpy(&address, &v4, sizeof(v4));
    else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
        memcpy(&address, &v6, sizeof(v6));
    else
        fail_msg("%s is no address", text);
    return policy_allows((const struct sockaddr *)&address, loopback);
}

static void public_addresses_are_allowed(void **state)
{
    (void)state;
    const char *open[] = {"1.1.1.1",     "8.8.8.8",         "172.32.0.1",
                          "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8"};
    for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++)
        if (!allows(open[i], false))
            fail_msg("%s was refused", open[i]);
}

static void private_and_reserved_addresses_are_refused_even_in_development(void **state)
{
    (void)state;
    const char *closed[] = {"0.0.0.0",
                            "10.1.2.3",
                            "100.64.0.1",
                            "169.254.169.254",
                            "172.16.0.1",
                            "172.31.255.255",
                            "192.168.1.1",
                            "198.18.0.1",
                            "224.0.0.1",
                            "255.255.255.255",
                            "::",
                            "fe80::1",
                            "fc00::1",
                            "fd00:ec2::254",
                            "ff02::1",
                            "::ffff:10.0.0.1",
                            "::ffff:169.254.169.254",
                            "64:ff9b::10.0.0.1",
                            "64:ff9b::7f00:1",
                            "2002:7f00:1::",
                            "2002:a9fe:a9fe::",
                            "2001:db8::1",
                            "100::1"};
    for (size_t i = 0; i < sizeof(closed) / sizeof(closed[0]); i++)
        if (allows(closed[i], true))
            fail_msg("%s was allowed", closed[i]);
}

static void loopback_is_allowed_only_when_asked_for(void **state)
{
    (void)state;
    const char *loopback[] = {"127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1"};
    for (size_t i = 0; i < sizeof(loopback) / sizeof(loopback[0]); i++) {
        assert_false(allows(loopback[i], false));
        assert_true(allows(loopback[i], true));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(public_addresses_are_allowed),
        cmocka_unit_test(private_and_reserved_addresses_are_refused_even_in_development),
        cmocka_unit_test(loopback_is_allowed_only_when_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
