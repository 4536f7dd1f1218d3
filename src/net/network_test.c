#include "net/network.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static bool has(const char *network, const char *address)
{
    struct network parsed;
    uint8_t bytes[16];
    bool is_v4;
    assert_int_equal(network_parse(str_from(network), &parsed), 0);
    assert_int_equal(network_parse_address(str_from(address), bytes, &is_v4), 0);
    return network_has(&parsed, bytes);
}

static void a_network_has_the_addresses_with_its_prefix(void **state)
{
    (void)state;
    assert_true(has("10.0.0.0/8", "10.255.0.1"));
    assert_true(has("10.0.0.0/8", "::ffff:10.255.0.1"));
    assert_false(has("10.0.0.0/8", "11.0.0.1"));
    assert_true(has("192.168.4.0/22", "192.168.7.255"));
    assert_false(has("192.168.4.0/22", "192.168.8.0"));
    assert_true(has("192.0.2.7", "192.0.2.7"));
    assert_false(has("192.0.2.7", "192.0.2.8"));
    assert_true(has("0.0.0.0/0", "8.8.8.8"));
    assert_false(has("0.0.0.0/0", "2001:db8::1"));
    assert_true(has("::/0", "8.8.8.8"));
    assert_true(has("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(has("2001:db8::/33", "2001:db8:8000::1"));
}

static void a_network_that_is_none_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",          "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/",
                                        "10.0.0/8",  "::/129",      "[::1]",      "fd00::/8/8",
                                        "a.example", "10.0.0.0/-1"};
    struct network network;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(network_parse(str_from(wrong[i]), &network), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_network_has_the_addresses_with_its_prefix),
        cmocka_unit_test(a_network_that_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
