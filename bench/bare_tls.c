/* The bare loop over TLS: what it costs to seal each event for each subscriber and send it, when
 * nothing else is done.
 *     bare_tls PORT CERT KEY
 * SSL_write() goes into one memory BIO that all connections share; an event is one submission to
 * io_uring. A GET subscribes, a POST (of one publisher, at most 125 bytes) is an event. Nothing is
 * checked, and handshakes block. */
#include <arpa/inet.h>
#include <liburing.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { MOST = 32768 };
static SSL *subscribers[MOST], *connections[MOST * 2];
static size_t ends[MOST];
static int count;
static char in[1 << 20];
static size_t have;
static BIO *sealed;
static struct io_uring ring;

static void answer(SSL *ssl, const char *text)
{
    char *bytes;
    SSL_write(ssl, text, (int)strlen(text));
    long len = BIO_get_mem_data(sealed, &bytes);
    send(SSL_get_rfd(ssl), bytes, (size_t)len, MSG_NOSIGNAL);
    BIO_reset(sealed);
}

static void publish(const char *data, size_t len)
{
    char event[256], *bytes;
    int size = sprintf(event, "data: %.*s\n\n", (int)len, data);
    for (int i = 0; i < count; i++) {
        SSL_write(subscribers[i], event, size);
        ends[i] = BIO_ctrl_pending(sealed);
    }
    BIO_get_mem_data(sealed, &bytes);
    for (int i = 0; i < count; i++) {
        size_t from = i ? ends[i - 1] : 0;
        io_uring_prep_send(io_uring_get_sqe(&ring), SSL_get_rfd(subscribers[i]), bytes + from,
                           ends[i] - from, MSG_WAITALL);
    }
    if (count) {
        io_uring_submit_and_wait(&ring, (unsigned)count);
        io_uring_cq_advance(&ring, (unsigned)count);
    }
    BIO_reset(sealed);
}

/* Takes whole publishes from `in` and answers each. */
static void requests(SSL *ssl)
{
    for (;;) {
        char *length = strstr(in, "Content-Length: "),
             *body = length ? strstr(length, "\r\n\r\n") : NULL;
        size_t len = body ? strtoul(length + 16, NULL, 10) : 0;
        if (!body || body + 4 + len > in + have)
            return;
        publish(body + 4, len);
        have -= (size_t)(body + 4 + len - in);
        memmove(in, body + 4 + len, have + 1);
        answer(ssl, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
    }
}

static void readable(int fd, int poll)
{
    SSL *ssl = connections[fd];
    int got = SSL_read(ssl, in + have, (int)(sizeof(in) - 1 - have));
    in[have += (size_t)(got > 0 ? got : 0)] = '\0';
    if (got > 0 && in[0] == 'P') {
        requests(ssl);
        return;
    }
    epoll_ctl(poll, EPOLL_CTL_DEL, fd, NULL);
    if (in[0] != 'G')
        return;
    have = 0;
    answer(ssl, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
    subscribers[count++] = ssl;
}

static void arrive(SSL_CTX *context, int fd)
{
    SSL *ssl = connections[fd] = SSL_new(context);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1) { /* a port that is only tried is none */
        BIO_up_ref(sealed);
        SSL_set0_wbio(ssl, sealed);
    }
}

int main(int argc, char **argv)
{
    int listener = socket(AF_INET, SOCK_STREAM, 0), poll = epoll_create1(0);
    struct sockaddr_in at = {
        AF_INET, htons((uint16_t)atoi(argv[1])), {htonl(INADDR_LOOPBACK)}, {0}};
    struct epoll_event events[64], event = {EPOLLIN, {.fd = listener}};
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    sealed = BIO_new(BIO_s_mem());
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (argc < 4 || SSL_CTX_use_certificate_chain_file(context, argv[2]) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, argv[3], SSL_FILETYPE_PEM) != 1 ||
        bind(listener, (struct sockaddr *)&at, sizeof(at)) || listen(listener, 4096) ||
        io_uring_queue_init(MOST, &ring, 0))
        return perror("bare_tls"), 1;
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    for (;;)
        for (int i = 0, n = epoll_wait(poll, events, 64, -1); i < n; i++) {
            if (events[i].data.fd != listener) {
                readable(events[i].data.fd, poll);
                continue;
            }
            event.data.fd = accept(listener, NULL, NULL);
            arrive(context, event.data.fd);
            epoll_ctl(poll, EPOLL_CTL_ADD, event.data.fd, &event);
        }
}
