/* Makes handshakes of TLS, one after the other, and prints how many.
 *     handshakes PORT SECONDS [resumed]
 * With `resumed` each goes on with the ticket of the one before. Nothing is verified: the server is
 * measured. */
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static SSL_SESSION *session;

static int keep(SSL *ssl, SSL_SESSION *ticket)
{
    (void)ssl;
    SSL_SESSION_free(session);
    session = ticket;
    return 1;
}

/* A request behind the handshake brings the ticket, which TLS 1.3 sends after it. */
static int once(SSL_CTX *context, const struct sockaddr_in *at)
{
    static const char request[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    static const struct linger reset = {1, 0}; /* ports that wait would run out */
    char answer[16384];
    int fd = socket(AF_INET, SOCK_STREAM, 0), good = 0;
    SSL *ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    if (session)
        SSL_set_session(ssl, session);
    if (!connect(fd, (const struct sockaddr *)at, sizeof(*at)) && SSL_connect(ssl) == 1) {
        SSL_write(ssl, request, sizeof(request) - 1);
        good = SSL_read(ssl, answer, sizeof(answer)) > 0;
    }
    SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN); /* else OpenSSL spoils the ticket */
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(fd);
    SSL_free(ssl);
    return good;
}

int main(int argc, char **argv)
{
    struct sockaddr_in at = {
        AF_INET, htons((uint16_t)(argc > 2 ? atoi(argv[1]) : 0)), {htonl(INADDR_LOOPBACK)}, {0}};
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    time_t end = time(NULL) + (argc > 2 ? atoi(argv[2]) : 0);
    long done = 0;
    SSL_CTX_set_session_cache_mode(context,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    if (argc > 3)
        SSL_CTX_sess_set_new_cb(context, keep);
    while (time(NULL) < end && once(context, &at))
        done++;
    printf("%ld\n", done);
    return !done;
}
