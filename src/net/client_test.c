#include "net/client.h"

#include "net/conn.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static union client_address address_of(const char *text)
{
    union client_address address;
    assert_int_equal(client_address_parse(str_from(text), &address), 0);
    return address;
}

static void assert_client(const struct conn *conn, uint32_t id, const char *want)
{
    char room[INET6_ADDRSTRLEN];
    union client_address client;
    client_of(conn, id, &client);
    struct str text = client_address_text(&client, room);
    assert_int_equal(text.len, strlen(want));
    if (text.len)
        assert_memory_equal(text.at, want, text.len);
}

static void an_address_is_read_and_written(void **state)
{
    (void)state;
    static const char *const rows[][2] = {{"192.0.2.7", "192.0.2.7"},
                                          {"::ffff:192.0.2.7", "192.0.2.7"},
                                          {"2001:DB8:0:0::1", "2001:db8::1"},
                                          {"::1", "::1"}};
    static const char *const wrong[] = {"",          "192.0.2.256", "192.0.2.7:80", "[::1]",
                                        "::1%lo",    "unknown",     "192.0.2",      "192.0.2.7 ",
                                        "1.2.3.4/8", "0x7f.0.0.1"};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char room[INET6_ADDRSTRLEN];
        union client_address address = address_of(rows[i][0]);
        assert_true(str_eq(client_address_text(&address, room), str_from(rows[i][1])));
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        union client_address address;
        assert_int_equal(client_address_parse(str_from(wrong[i]), &address), -EINVAL);
    }
}

static void
a_request_tells_its_client_before_its_connection_and_that_before_the_kernel(void **state)
{
    (void)state;
    struct net net = {0};
    int fds[2];
    clients_init(&net.proxied);
    clients_init(&net.forwarded);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    struct conn conn = {.net = &net, .fd = fds[0], .id = 7};
    union client_address far = address_of("192.0.2.7"), farther = address_of("2001:db8::1");
    union client_address client;
    client_of(&conn, 7, &client);
    assert_int_equal(client.any.sa_family, AF_UNIX);
    assert_client(&conn, 7, "");
    clients_put(&net.proxied, 7, &far);
    assert_client(&conn, 7, "192.0.2.7");
    assert_client(&conn, 8, "192.0.2.7");
    clients_put(&net.forwarded, 8, &far);
    clients_put(&net.forwarded, 8, &farther);
    assert_client(&conn, 7, "192.0.2.7");
    assert_client(&conn, 8, "2001:db8::1");
    clients_remove(&net.forwarded, 8);
    clients_remove(&net.forwarded, 8);
    assert_client(&conn, 8, "192.0.2.7");
    clients_deinit(&net.proxied);
    clients_deinit(&net.forwarded);
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_read_and_written),
        cmocka_unit_test(
            a_request_tells_its_client_before_its_connection_and_that_before_the_kernel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
