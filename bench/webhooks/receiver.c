/* A receiver for webhooks that costs as little as one can: answers every POST with 204 and prints
 * how many came, how fast, and how long after they were published. `receiver PORT COUNT` ends after
 * COUNT events; `hang` or `refuse` behind it make one that never answers, or answers 503. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ROOM = 1 << 16, CONNS_MAX = 20000 };

struct conn {
    char bytes[ROOM];
    size_t len;
};

static struct conn *conns[CONNS_MAX];
static unsigned long count, wanted;
static double *delays;
static const char *mode = "";
static double first_at;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(void)
{
    double seconds = now() - first_at;
    qsort(delays, count, sizeof(*delays), by_size);
    printf("{\"events\":%lu,\"seconds\":%.3f,\"per_second\":%.0f,\"p50_ms\":%.2f,\"p99_ms\":%.2f,"
           "\"max_ms\":%.2f}\n",
           count, seconds, (double)count / seconds, delays[count / 2] * 1000,
           delays[count * 99 / 100] * 1000, delays[count - 1] * 1000);
    exit(0);
}

/* The data begin with the time of the publish. */
static void note(const char *body, size_t len)
{
    if (len < 24 || memcmp(body, "{\"id\":\"", 7) != 0)
        return; /* a ping */
    const char *published = strstr(body, "\"at\":");
    double at = now();
    if (!published)
        return;
    if (!count)
        first_at = at;
    delays[count++] = at - strtod(published + 5, NULL);
    if (count == wanted)
        report();
}

static void answer(int fd)
{
    static const char yes[] = "HTTP/1.1 204 No Content\r\n\r\n";
    static const char no[] = "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n";
    if (strcmp(mode, "hang") == 0)
        return;
    int refuse = strcmp(mode, "refuse") == 0;
    if (write(fd, refuse ? no : yes, refuse ? sizeof(no) - 1 : sizeof(yes) - 1) < 0)
        perror("write");
}

static int take(int fd, struct conn *conn)
{
    ssize_t n = read(fd, conn->bytes + conn->len, ROOM - 1 - conn->len);
    if (n <= 0)
        return 0;
    conn->len += (size_t)n;
    conn->bytes[conn->len] = '\0';
    char *end = strstr(conn->bytes, "\r\n\r\n");
    const char *length = end ? strcasestr(conn->bytes, "content-length:") : NULL;
    if (!length)
        return 1;
    size_t body = strtoul(length + 15, NULL, 10);
    if (conn->len < (size_t)(end + 4 - conn->bytes) + body)
        return 1;
    note(end + 4, body);
    conn->len = 0;
    answer(fd);
    return 1;
}

static void accept_all(int listener, int epoll)
{
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0 && fd < CONNS_MAX) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        conns[fd] = calloc(1, sizeof(struct conn));
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event events[256];
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0),
        epoll = epoll_create1(0);
    address.sin_port = htons((unsigned short)atoi(argc > 1 ? argv[1] : "9999"));
    wanted = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000;
    mode = argc > 3 ? argv[3] : "";
    delays = calloc(wanted + 1, sizeof(*delays));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 4096)) {
        perror("listen");
        return 1;
    }
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int n = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                accept_all(listener, epoll);
            } else if (!take(fd, conns[fd])) {
                free(conns[fd]);
                close(fd);
            }
        }
    }
}
