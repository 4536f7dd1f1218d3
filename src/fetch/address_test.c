#include "fetch/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const struct address_policy strict = {0};

static bool allowed(const char *text, const struct address_policy *policy)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    bool is_v4 = inet_pton(AF_INET, text, &v4.sin_addr) == 1;
    if (!is_v4)
        assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    bool is_allowed = address_allowed(
        is_v4 ? (const struct sockaddr *)&v4 : (const struct sockaddr *)&v6, policy);
    assert_int_equal(address_text_allowed(str_from(text), policy), is_allowed);
    return is_allowed;
}

static void public_addresses_are_allowed(void **state)
{
    (void)state;
    static const char *const list[] = {
        "1.1.1.1",      "8.8.8.8",         "93.184.216.34",      "100.63.255.255", "100.128.0.0",
        "172.15.0.1",   "172.32.0.1",      "169.253.0.1",        "198.17.0.1",     "198.20.0.1",
        "223.255.0.1",  "126.255.255.255", "2606:2800:220:1::1", "2a00:1450::1",   "::ffff:8.8.8.8",
        "2001:4860::1",
    };
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
        if (!allowed(list[i], &strict))
            fail_msg("%s is refused", list[i]);
}

static void addresses_that_are_not_for_everybody_are_refused(void **state)
{
    (void)state;
    static const char *const list[] = {
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "0.1.2.3",
        "169.254.169.254",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "100.127.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "::",
        "::1",
        "fe80::1",
        "febf::1",
        "ff02::1",
        "fc00::1",
        "fd00:ec2::254",
        "fec0::1",
        "2001:db8::1",
        "3fff::1",
        "100::1",
        "5f00::1",
        "2001::1",
        "2002:7f00:1::",
        "2002:808:808::1",
        "64:ff9b::7f00:1",
        "64:ff9b::808:808",
        "64:ff9b:1::1",
    };
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
        if (allowed(list[i], &strict))
            fail_msg("%s is allowed", list[i]);
}

static void ipv4_mapped_into_ipv6_is_judged_as_ipv4(void **state)
{
    (void)state;
    assert_false(allowed("::ffff:127.0.0.1", &strict));
    assert_false(allowed("::ffff:a9fe:a9fe", &strict));
    assert_false(allowed("::ffff:10.0.0.1", &strict));
    assert_false(allowed("::127.0.0.1", &strict));
    assert_true(allowed("::ffff:127.0.0.1", &(struct address_policy){.loopback = true}));
}

static void loopback_is_allowed_alone_in_development(void **state)
{
    (void)state;
    struct address_policy policy = {.loopback = true};
    assert_true(allowed("127.0.0.1", &policy));
    assert_true(allowed("127.9.9.9", &policy));
    assert_true(allowed("::1", &policy));
    assert_true(allowed("8.8.8.8", &policy));
    assert_false(allowed("0.0.0.0", &policy));
    assert_false(allowed("::", &policy));
    assert_false(allowed("10.0.0.1", &policy));
    assert_false(allowed("169.254.169.254", &policy));
}

static void listed_networks_are_allowed(void **state)
{
    (void)state;
    struct network networks[3];
    assert_int_equal(network_parse(STR("10.1.0.0/16"), &networks[0]), 0);
    assert_int_equal(network_parse(STR("fd12:3456::/32"), &networks[1]), 0);
    assert_int_equal(network_parse(STR("192.168.7.7"), &networks[2]), 0);
    struct address_policy policy = {.networks = networks, .networks_count = 3};
    assert_true(allowed("10.1.2.3", &policy));
    assert_true(allowed("::ffff:10.1.2.3", &policy));
    assert_false(allowed("10.2.0.1", &policy));
    assert_true(allowed("fd12:3456::1", &policy));
    assert_false(allowed("fd12:3457::1", &policy));
    assert_true(allowed("192.168.7.7", &policy));
    assert_false(allowed("192.168.7.6", &policy));
}

static void a_text_that_is_no_network_is_refused(void **state)
{
    (void)state;
    static const char *const list[] = {"",           "10.0.0.0/33", "10.0.0.1/8",  "10/8",
                                       "::/129",     "10.0.0.0/",   "10.0.0.0/-1", "localhost",
                                       "fe80::1%lo", "1.2.3.4/ 8",  "10.0.0.0/8x"};
    struct network network;
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
        if (!network_parse(str_from(list[i]), &network))
            fail_msg("%s is taken for a network", list[i]);
}

static void a_host_that_is_an_address_is_judged_before_anything_is_sent(void **state)
{
    (void)state;
    assert_true(address_host_refused(STR("127.0.0.1"), &strict));
    assert_true(address_host_refused(STR("[::1]"), &strict));
    assert_true(address_host_refused(STR("[::ffff:127.0.0.1]"), &strict));
    assert_false(address_host_refused(STR("8.8.8.8"), &strict));
    assert_false(address_host_refused(STR("example.com"), &strict));
}

static void other_families_are_refused(void **state)
{
    (void)state;
    struct sockaddr_storage address = {.ss_family = AF_UNIX};
    assert_false(address_allowed((const struct sockaddr *)&address, &strict));
}

static void a_wide_network_does_not_open_what_is_guarded(void **state)
{
    (void)state;
    struct network all[2];
    assert_int_equal(network_parse(STR("0.0.0.0/0"), &all[0]), 0);
    assert_int_equal(network_parse(STR("::/0"), &all[1]), 0);
    struct address_policy policy = {.networks = all, .networks_count = 2};
    static const char *const never[] = {"127.0.0.1",
                                        "0.0.0.0",
                                        "169.254.169.254",
                                        "224.0.0.1",
                                        "255.255.255.255",
                                        "240.0.0.1",
                                        "::",
                                        "::1",
                                        "fe80::1",
                                        "ff02::1",
                                        "fd00:ec2::254",
                                        "::ffff:127.0.0.1",
                                        "64:ff9b::7f00:1",
                                        "2002:a9fe:a9fe::",
                                        "::127.0.0.1"};
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
        if (allowed(never[i], &policy))
            fail_msg("%s is allowed", never[i]);
    assert_true(allowed("10.0.0.1", &policy));
    assert_true(allowed("fd00::1", &policy));
    assert_int_equal(network_parse(STR("169.254.169.254"), &all[0]), 0);
    assert_true(allowed("169.254.169.254", &policy));
}

static void where_a_listed_tunnel_leads_counts_too(void **state)
{
    (void)state;
    struct network tunnels[3];
    assert_int_equal(network_parse(STR("64:ff9b::/96"), &tunnels[0]), 0);
    assert_int_equal(network_parse(STR("2002::/16"), &tunnels[1]), 0);
    assert_int_equal(network_parse(STR("64:ff9b:1::/48"), &tunnels[2]), 0);
    struct address_policy policy = {.networks = tunnels, .networks_count = 3};
    assert_true(allowed("64:ff9b::8.8.8.8", &policy));
    assert_false(allowed("64:ff9b::127.0.0.1", &policy));
    assert_false(allowed("64:ff9b::10.0.0.1", &policy));
    assert_false(allowed("64:ff9b:1::169.254.169.254", &policy));
    assert_true(allowed("2002:808:808::1", &policy));
    assert_false(allowed("2002:7f00:1::1", &policy));
    assert_false(allowed("2002:c0a8:101::1", &policy));
}

static void a_host_is_trusted_by_its_whole_name(void **state)
{
    (void)state;
    static const char *const hosts[] = {"hooks.internal"};
    struct address_policy policy = {.hosts = hosts, .hosts_count = 1};
    assert_true(address_host_trusted(STR("Hooks.Internal"), &policy));
    assert_false(address_host_trusted(STR("a.hooks.internal"), &policy));
    assert_false(address_host_trusted(STR("hooks.internal.evil"), &policy));
    assert_false(address_host_trusted(STR(""), &policy));
}

static void a_network_that_is_wholly_guarded_opens_nothing(void **state)
{
    (void)state;
    static const char *const nothing[] = {"224.0.0.0/3", "::ffff:224.0.0.0/99"};
    static const char *const something[] = {
        "0.0.0.0/0", "::/0",        "127.0.0.1", "127.0.0.0/8", "126.0.0.0/7",     "10.0.0.0/8",
        "8.8.8.8",   "224.0.0.0/4", "fe80::/10", "fe80::/9",    "169.254.169.254", "fd00::/8",
    };
    struct network network;
    for (size_t i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++) {
        assert_int_equal(network_parse(str_from(nothing[i]), &network), 0);
        assert_false(network_opens(&network));
    }
    for (size_t i = 0; i < sizeof(something) / sizeof(something[0]); i++) {
        assert_int_equal(network_parse(str_from(something[i]), &network), 0);
        assert_true(network_opens(&network));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(public_addresses_are_allowed),
        cmocka_unit_test(a_network_that_is_wholly_guarded_opens_nothing),
        cmocka_unit_test(a_wide_network_does_not_open_what_is_guarded),
        cmocka_unit_test(where_a_listed_tunnel_leads_counts_too),
        cmocka_unit_test(a_host_is_trusted_by_its_whole_name),
        cmocka_unit_test(addresses_that_are_not_for_everybody_are_refused),
        cmocka_unit_test(ipv4_mapped_into_ipv6_is_judged_as_ipv4),
        cmocka_unit_test(loopback_is_allowed_alone_in_development),
        cmocka_unit_test(listed_networks_are_allowed),
        cmocka_unit_test(a_text_that_is_no_network_is_refused),
        cmocka_unit_test(a_host_that_is_an_address_is_judged_before_anything_is_sent),
        cmocka_unit_test(other_families_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
