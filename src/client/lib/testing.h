/* A server with answers that a test has written, on an address of this machine. For tests only. */
#pragma once

#include "client/lib/server_url.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* A process of its own, which answers each connection with the next of the answers, the last one
 * again and again, and closes it. */
struct server {
    pid_t pid;
    char url[64];
    struct server_url parsed;
    int heads; /* a pipe with the heads of the requests that came */
};

static inline void server_answer_one(int listener, int heads, const char *answer)
{
    char request[4096];
    int fd = accept(listener, NULL, NULL);
    ssize_t len = fd < 0 ? -1 : read(fd, request, sizeof(request));
    if (len <= 0 || write(heads, request, (size_t)len) < 0 || write(fd, answer, strlen(answer)) < 0)
        _exit(1);
    shutdown(fd, SHUT_WR);
    while (read(fd, request, sizeof(request)) > 0)
        ;
    close(fd);
}

static inline void server_start(struct server *server, const char *const *answers, size_t count)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int heads[2];
    assert_int_equal(pipe(heads), 0);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
    snprintf(server->url, sizeof(server->url), "http://127.0.0.1:%u",
             (unsigned)ntohs(address.sin_port));
    assert_int_equal(server_url_parse(server->url, &server->parsed), 0);
    fflush(NULL);
    server->pid = fork();
    assert_true(server->pid >= 0);
    for (size_t i = 0; server->pid == 0; i += i + 1 < count)
        server_answer_one(listener, heads[1], answers[i]);
    close(listener);
    close(heads[1]);
    server->heads = heads[0];
}

/* Stops it. `heads`, if it is not NULL, gets the heads of all requests, as a string. */
static inline void server_stop(const struct server *server, char *heads, size_t size)
{
    kill(server->pid, SIGKILL);
    assert_int_equal(waitpid(server->pid, NULL, 0), server->pid);
    if (heads) {
        ssize_t len = read(server->heads, heads, size - 1);
        heads[len < 0 ? 0 : len] = '\0';
    }
    close(server->heads);
}
