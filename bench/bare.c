/* The bare loop: what it costs to send each event to each subscriber when nothing else is done.
 *     bare PORT [send|uring] [keep]
 * `send` sends to one after the other, `uring` makes one io_uring submission of it. A GET
 * subscribes, a POST (of one publisher, at most 125 bytes) is an event. Nothing is checked. With
 * `keep` a subscriber is first sent all that went before, in one send. */
#include <arpa/inet.h>
#include <liburing.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

static int subscribers[32768], count;
static char in[1 << 20], history[1 << 20];
static size_t have, kept;
static bool uring, keep, ws;
static struct io_uring ring;

static void subscribe(int fd)
{
    static const char stream[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    static const char upgrade[] = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
    ws = strstr(in, "Upgrade: websocket");
    send(fd, ws ? upgrade : stream, strlen(ws ? upgrade : stream), kept ? MSG_MORE : 0);
    send(fd, history, kept, 0);
    subscribers[count++] = fd;
}

static void publish(const char *data, size_t len)
{
    char event[256];
    size_t size = (size_t)(ws ? sprintf(event, "\x81%c%.*s", (char)len, (int)len, data)
                              : sprintf(event, "data: %.*s\n\n", (int)len, data));
    for (int i = 0; i < count; i++)
        if (uring)
            io_uring_prep_send(io_uring_get_sqe(&ring), subscribers[i], event, size, MSG_WAITALL);
        else
            send(subscribers[i], event, size, 0);
    if (uring && count) {
        io_uring_submit_and_wait(&ring, (unsigned)count);
        io_uring_cq_advance(&ring, (unsigned)count);
    }
    if (keep && kept + size < sizeof(history))
        kept = (size_t)(mempcpy(history + kept, event, size) - (void *)history);
}

/* Takes whole publishes from `in` and answers each; true once that was all. */
static bool request(int fd)
{
    static const char answer[] = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";
    char *length = strstr(in, "Content-Length: "),
         *body = length ? strstr(length, "\r\n\r\n") : NULL;
    size_t len = body ? strtoul(length + 16, NULL, 10) : 0;
    if (!body || body + 4 + len > in + have)
        return true;
    publish(body + 4, len);
    have -= (size_t)(body + 4 + len - in);
    memmove(in, body + 4 + len, have + 1);
    return send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL) < 0;
}

static void readable(int fd, int poll)
{
    ssize_t got = recv(fd, in + have, sizeof(in) - 1 - have, 0);
    in[have += (size_t)(got > 0 ? got : 0)] = '\0';
    if (got > 0 && in[0] == 'P')
        while (!request(fd))
            ;
    else
        epoll_ctl(poll, EPOLL_CTL_DEL, fd, NULL);
    if (in[0] == 'G')
        subscribe(fd), have = 0;
}

int main(int argc, char **argv)
{
    int listener = socket(AF_INET, SOCK_STREAM, 0), poll = epoll_create1(0);
    struct sockaddr_in at = {
        AF_INET, htons((uint16_t)atoi(argv[1])), {htonl(INADDR_LOOPBACK)}, {0}};
    struct epoll_event events[64], event = {EPOLLIN, {.fd = listener}};
    uring = argc > 2 && !strcmp(argv[2], "uring");
    keep = argc > 3;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(listener, (struct sockaddr *)&at, sizeof(at)) || listen(listener, 4096) ||
        (uring && io_uring_queue_init(32768, &ring, 0)))
        return perror("bare"), 1;
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    for (;;)
        for (int i = 0, n = epoll_wait(poll, events, 64, -1); i < n; i++) {
            if (events[i].data.fd != listener) {
                readable(events[i].data.fd, poll);
                continue;
            }
            event.data.fd = accept(listener, NULL, NULL);
            setsockopt(event.data.fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
            epoll_ctl(poll, EPOLL_CTL_ADD, event.data.fd, &event);
        }
}
