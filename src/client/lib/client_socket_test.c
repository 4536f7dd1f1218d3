/* Sockets of clients against a server of OpenSSL in the same thread. */
#include "client/lib/client_socket.h"

#include <errno.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static const char template[] = "/tmp/freshet-client-tls-XXXXXX";

/* A server whose certificate is its own authority, and a client. */
struct pair {
    char file[sizeof(template)];
    SSL_CTX *context;
    SSL *server;
    int server_fd;
    struct tls_client *tls;
    struct client_socket socket;
};

static void make_server(struct pair *pair, const char *names)
{
    char text[128];
    snprintf(text, sizeof(text), "%s", names);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, text);
    assert_non_null(ext);
    X509_set_version(cert, X509_VERSION_3);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)"subject.example", -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(cert));
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_add_ext(cert, ext, -1);
    X509_set_pubkey(cert, key);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    memcpy(pair->file, template, sizeof(template));
    FILE *file = fdopen(mkstemp(pair->file), "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, cert), 1);
    fclose(file);
    pair->context = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(pair->context, cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(pair->context, key), 1);
    X509_EXTENSION_free(ext);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void connect_pair(struct pair *pair)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    pair->socket = (struct client_socket){.fd = fds[0]};
    pair->server_fd = fds[1];
    pair->server = SSL_new(pair->context);
    SSL_set_fd(pair->server, fds[1]);
    SSL_set_accept_state(pair->server);
    assert_int_equal(client_socket_secure(&pair->socket, pair->tls), 0);
}

static void pair_begin(struct pair *pair, const char *names, struct trust trust, const char *host)
{
    struct buf why = {0};
    *pair = (struct pair){.server_fd = -1};
    make_server(pair, names);
    if (!trust.insecure)
        trust.authorities = pair->file;
    assert_int_equal(tls_client_new(&trust, str_from(host), TLS_CLIENT_HTTP1, &pair->tls, &why), 0);
    connect_pair(pair);
    buf_free(&why);
}

static void disconnect_pair(struct pair *pair)
{
    client_socket_close(&pair->socket);
    SSL_free(pair->server);
    close(pair->server_fd);
}

static void pair_end(struct pair *pair)
{
    disconnect_pair(pair);
    tls_client_free(pair->tls);
    SSL_CTX_free(pair->context);
    unlink(pair->file);
}

/* Lets both go on until the client has a result. */
static int shake(struct pair *pair)
{
    int result = -EAGAIN;
    for (int i = 0; result == -EAGAIN && i < 20; i++) {
        result = client_socket_shake(&pair->socket);
        (void)SSL_do_handshake(pair->server);
    }
    return result;
}

static void a_certificate_is_good_for_its_names_and_addresses_alone(void **state)
{
    (void)state;
    static const struct {
        const char *names, *host;
        bool good;
    } rows[] = {
        {"DNS:a.example", "a.example", true},
        {"DNS:a.example", "A.Example", true},
        {"DNS:a.example", "a.example.", true},
        {"DNS:a.example", "b.example", false},
        {"DNS:a.example", "x.a.example", false},
        {"DNS:a.example", "subject.example", false},
        {"DNS:*.b.example", "a.b.example", true},
        {"DNS:*.b.example", "a.a.b.example", false},
        {"DNS:a*.b.example", "aa.b.example", false},
        {"IP:127.0.0.1", "127.0.0.1", true},
        {"IP:127.0.0.1", "127.0.0.2", false},
        {"DNS:127.0.0.1", "127.0.0.1", false},
        {"IP:::1", "::1", true},
        {"IP:::1", "::2", false},
        {"IP:127.0.0.1", "localhost", false},
        {"DNS:localhost,IP:127.0.0.1", "localhost", true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pair pair;
        struct buf why = {0};
        pair_begin(&pair, rows[i].names, (struct trust){0}, rows[i].host);
        int result = shake(&pair);
        if (result != (rows[i].good ? 0 : -EPROTO))
            fail_msg("%s for %s: %d", rows[i].host, rows[i].names, result);
        if (result)
            client_socket_explain(&pair.socket, result, &why);
        assert_int_equal(!why.len, rows[i].good);
        assert_true(rows[i].good || str_starts(buf_str(&why), STR("the server's certificate: ")));
        buf_free(&why);
        pair_end(&pair);
    }
}

static void a_host_is_named_in_the_handshake_and_an_address_is_not(void **state)
{
    (void)state;
    static const struct {
        const char *host, *name;
    } rows[] = {{"a.example", "a.example"},
                {"a.example.", "a.example"},
                {"127.0.0.1", "none"},
                {"::1", "none"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pair pair;
        pair_begin(&pair, "DNS:x", (struct trust){.insecure = true}, rows[i].host);
        assert_int_equal(shake(&pair), 0);
        const char *name = SSL_get_servername(pair.server, TLSEXT_NAMETYPE_host_name);
        assert_string_equal(name ? name : "none", rows[i].name);
        pair_end(&pair);
    }
}

static void a_second_connection_resumes_the_session_of_the_first(void **state)
{
    (void)state;
    struct pair pair;
    char room[100];
    pair_begin(&pair, "DNS:a.example", (struct trust){0}, "a.example");
    assert_int_equal(shake(&pair), 0);
    assert_int_equal(SSL_write(pair.server, "hello", 5), 5);
    assert_int_equal(client_socket_recv(&pair.socket, room, sizeof(room)), 5);
    assert_memory_equal(room, "hello", 5);
    assert_false(SSL_session_reused(pair.server));
    disconnect_pair(&pair);
    connect_pair(&pair);
    assert_int_equal(shake(&pair), 0);
    assert_true(SSL_session_reused(pair.server));
    pair_end(&pair);
}

static void bytes_go_both_ways_and_a_closed_peer_is_an_end(void **state)
{
    (void)state;
    struct pair pair;
    char room[100];
    for (int word = 0; word < 2; word++) {
        pair_begin(&pair, "DNS:a.example", (struct trust){0}, "a.example");
        assert_int_equal(shake(&pair), 0);
        assert_int_equal(client_socket_recv(&pair.socket, room, sizeof(room)), -EAGAIN);
        assert_int_equal(pair.socket.waits_for, POLLIN);
        assert_int_equal(client_socket_send(&pair.socket, STR("question")), 8);
        assert_int_equal(SSL_read(pair.server, room, sizeof(room)), 8);
        if (word)
            (void)SSL_shutdown(pair.server);
        shutdown(pair.server_fd, SHUT_RDWR);
        assert_int_equal(client_socket_recv(&pair.socket, room, sizeof(room)), 0);
        pair_end(&pair);
    }
}

static void a_send_goes_on_where_the_socket_was_full(void **state)
{
    (void)state;
    static char bytes[400000], got[sizeof(bytes)];
    struct pair pair;
    size_t sent = 0, taken = 0;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(i * 7 + i / 256);
    pair_begin(&pair, "DNS:a.example", (struct trust){0}, "a.example");
    assert_int_equal(shake(&pair), 0);
    bool was_full = false;
    while (taken < sizeof(bytes)) {
        ssize_t n = 1;
        while (n > 0) {
            n = client_socket_send(&pair.socket, (struct str){bytes + sent, sizeof(bytes) - sent});
            sent += n > 0 ? (size_t)n : 0;
        }
        was_full = was_full || n == -EAGAIN;
        for (int m = 1; m > 0; taken += m > 0 ? (size_t)m : 0)
            m = SSL_read(pair.server, got + taken, (int)(sizeof(got) - taken));
    }
    assert_true(was_full);
    assert_memory_equal(bytes, got, sizeof(bytes));
    pair_end(&pair);
}

static void files_that_cannot_be_used_are_named(void **state)
{
    (void)state;
    static const struct {
        struct trust trust;
        const char *why;
    } rows[] = {
        {{.authorities = "/nonexistent/ca.pem"}, "the authorities /nonexistent/ca.pem: "},
        {{.insecure = true, .cert = "/dev/null"}, "the certificate /dev/null: "},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tls_client *tls;
        struct buf why = {0};
        assert_int_equal(tls_client_new(&rows[i].trust, STR("a"), TLS_CLIENT_HTTP1, &tls, &why),
                         -EINVAL);
        assert_true(str_starts(buf_str(&why), str_from(rows[i].why)));
        buf_free(&why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_is_good_for_its_names_and_addresses_alone),
        cmocka_unit_test(a_host_is_named_in_the_handshake_and_an_address_is_not),
        cmocka_unit_test(a_second_connection_resumes_the_session_of_the_first),
        cmocka_unit_test(bytes_go_both_ways_and_a_closed_peer_is_an_end),
        cmocka_unit_test(a_send_goes_on_where_the_socket_was_full),
        cmocka_unit_test(files_that_cannot_be_used_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
