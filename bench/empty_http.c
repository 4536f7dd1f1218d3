/* The empty loop: what it costs to read requests and to answer them when nothing else is done.
 *     empty_http PORT
 * Each request with its body gets an answer as long as ours to a publish. One read and one send a
 * connection and turn, however many requests that was. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { ROOM = 1 << 16 };

static struct {
    char in[ROOM];
    size_t have;
} * peers[32768];

static const char answer[] =
    "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 94\r\n\r\n"
    "{\"id\":\"1795459080123456\",\"channel\":\"bench-0000\",\"time\":\"2026-11-23T18:38:00."
    "123456Z\"}"
    "         ";

static void readable(int fd)
{
    static char out[ROOM * 2];
    size_t size = 0, used = 0;
    ssize_t got = recv(fd, peers[fd]->in + peers[fd]->have, ROOM - 1 - peers[fd]->have, 0);
    char *in = peers[fd]->in;
    in[peers[fd]->have += (size_t)(got > 0 ? got : 0)] = '\0';
    for (char *body; (body = strstr(in + used, "\r\n\r\n")); size += sizeof(answer) - 1) {
        char *length = strstr(in + used, "Content-Length: ");
        size_t len = length && length < body ? strtoul(length + 16, NULL, 10) : 0;
        if (body + 4 + len > in + peers[fd]->have)
            break;
        memcpy(out + size, answer, sizeof(answer) - 1);
        used = (size_t)(body + 4 + len - in);
    }
    memmove(in, in + used, (peers[fd]->have -= used) + 1);
    if (got <= 0 || send(fd, out, size, MSG_NOSIGNAL) < 0)
        shutdown(fd, SHUT_RDWR), close(fd);
}

int main(int argc, char **argv)
{
    int listener = socket(AF_INET, SOCK_STREAM, 0), poll = epoll_create1(0);
    struct sockaddr_in at = {
        AF_INET, htons((uint16_t)atoi(argv[argc - 1])), {htonl(INADDR_LOOPBACK)}, {0}};
    struct epoll_event events[64], event = {EPOLLIN, {.fd = listener}};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(listener, (struct sockaddr *)&at, sizeof(at)) || listen(listener, 4096))
        return perror("empty_http"), 1;
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    for (;;)
        for (int i = 0, n = epoll_wait(poll, events, 64, -1); i < n; i++) {
            if (events[i].data.fd != listener) {
                readable(events[i].data.fd);
                continue;
            }
            int fd = event.data.fd = accept(listener, NULL, NULL);
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
            peers[fd] = peers[fd] ? peers[fd] : malloc(sizeof(**peers));
            peers[fd]->have = 0;
            epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
        }
}
