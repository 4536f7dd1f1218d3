#include "net/peer.h"

#include "net/peer_testing.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static uint64_t number(const char *text)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address = {0};
    address.any.sa_family = strchr(text, ':') ? AF_INET6 : AF_INET;
    void *at = strchr(text, ':') ? (void *)&address.v6.sin6_addr : (void *)&address.v4.sin_addr;
    assert_int_equal(inet_pton(address.any.sa_family, text, at), 1);
    return peer_number(&address.any);
}

static void addresses_of_one_peer_have_one_number(void **state)
{
    (void)state;
    static const char *const same[][2] = {
        {"192.0.2.1", "192.0.2.1"},
        {"192.0.2.1", "::ffff:192.0.2.1"},
        {"2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"},
        {"::1", "::1"},
    };
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
        assert_int_equal(number(same[i][0]), number(same[i][1]));
}

static void addresses_of_different_peers_have_different_numbers(void **state)
{
    (void)state;
    static const char *const all[] = {
        "192.0.2.1",        "192.0.2.2",       "0.0.0.0",    "255.255.255.255",
        "2001:db8:1:2::1",  "2001:db8:1:3::1", "::1",        "fe80::1",
        "::ffff:192.0.2.3", "64:ff9b::1",      "2002:c000::"};
    enum { ALL = sizeof(all) / sizeof(all[0]) };
    for (size_t i = 0; i < ALL; i++) {
        assert_int_not_equal(number(all[i]), PEER_NONE);
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(number(all[i]), number(all[j]));
    }
}

static void a_unix_socket_has_no_number(void **state)
{
    (void)state;
    int pair[2];
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    assert_int_equal(peer_number((const struct sockaddr *)&local), PEER_NONE);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(peer_of(pair[0]), PEER_NONE);
    close(pair[0]);
    close(pair[1]);
}

static void a_peer_that_has_reset_its_connection_is_one_of_an_unknown_address(void **state)
{
    (void)state;
    int client, fd = peer_testing_connect(&client);
    assert_int_equal(peer_of(fd), number("127.0.0.1"));
    peer_testing_reset(fd, client);
    assert_int_equal(peer_of(fd), PEER_UNKNOWN);
    close(fd);
}

static void an_address_that_is_not_known_is_none_of_the_known_ones(void **state)
{
    (void)state;
    const struct sockaddr unknown = {.sa_family = AF_UNSPEC};
    assert_int_equal(peer_number(&unknown), PEER_UNKNOWN);
    assert_int_not_equal(number("::1"), PEER_UNKNOWN);
    assert_int_not_equal(number("0.0.0.0"), PEER_UNKNOWN);
    assert_int_not_equal(PEER_NONE, PEER_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_of_one_peer_have_one_number),
        cmocka_unit_test(addresses_of_different_peers_have_different_numbers),
        cmocka_unit_test(a_unix_socket_has_no_number),
        cmocka_unit_test(a_peer_that_has_reset_its_connection_is_one_of_an_unknown_address),
        cmocka_unit_test(an_address_that_is_not_known_is_none_of_the_known_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
