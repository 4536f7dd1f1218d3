/* Connections over the loopback, for tests of what counts for a peer's address. */
#pragma once

#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* Returns the server's end. */
static inline int peer_testing_connect(int *ret_client)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *ret_client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(connect(*ret_client, (struct sockaddr *)&address, size), 0);
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(fd >= 0);
    close(listener);
    return fd;
}

/* Has the client reset the connection, and waits until the server's end knows. */
static inline void peer_testing_reset(int fd, int client)
{
    struct linger at_once = {.l_onoff = 1};
    struct pollfd end = {.fd = fd, .events = POLLIN};
    assert_int_equal(setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    close(client);
    assert_int_equal(poll(&end, 1, -1), 1);
}
