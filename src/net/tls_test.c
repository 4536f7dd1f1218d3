/* Connections over TLS, with a client of OpenSSL at the other end of their socket pairs. */
#include "net/testing.h"
#include "net/tls.h"

#include <openssl/pem.h>
#include <stdio.h>

enum { KEPT_MAX = 50000 };

static const char folder_template[] = "/tmp/freshet-tls-XXXXXX";

/* A thread with a certificate, and one connection. */
struct room {
    struct harness *harness;
    char folder[sizeof(folder_template)], cert[64], key[64];
    struct tls *tls;
    struct end *end;
    SSL_CTX *context;
    SSL *client;
    struct buf got; /* text */
};

static struct room *room_of(void **state)
{
    return *state;
}

static void write_pem(const char *path, EVP_PKEY *key, X509 *cert)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(cert ? PEM_write_X509(file, cert)
                          : PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL),
                     1);
    fclose(file);
}

static void make_certificate(struct room *room)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    assert_non_null(key);
    assert_non_null(cert);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    memcpy(room->folder, folder_template, sizeof(folder_template));
    assert_non_null(mkdtemp(room->folder));
    snprintf(room->cert, sizeof(room->cert), "%s/cert.pem", room->folder);
    snprintf(room->key, sizeof(room->key), "%s/key.pem", room->folder);
    write_pem(room->cert, NULL, cert);
    write_pem(room->key, key, NULL);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void use_certificate(struct room *room)
{
    struct tls_settings settings = {.pairs = {{room->cert, room->key}}, .pairs_count = 1};
    struct tls_tickets tickets = {0};
    struct tls_server *server;
    struct buf why = {0};
    assert_int_equal(tls_server_new(&settings, &server, &why), 0);
    assert_int_equal(tls_tickets_turn(&tickets), 0);
    room->tls = tls_new(&room->harness->net, STR("\x08http/1.1"), KEPT_MAX);
    assert_non_null(room->tls);
    tls_use(room->tls, server);
    tls_use_tickets(room->tls, &tickets);
    tls_server_unref(server);
}

/* Sends the bytes that the client has written to the socket. */
static void send_all_of(struct room *room)
{
    char bytes[4096];
    int n;
    while ((n = BIO_read(SSL_get_wbio(room->client), bytes, sizeof(bytes))) > 0)
        assert_int_equal(send(room->end->peer, bytes, (size_t)n, MSG_NOSIGNAL), n);
}

static void hear(struct room *room)
{
    struct buf in = {0};
    char text[4096];
    int n;
    peer_read(room->end, &in, SIZE_MAX);
    if (in.len)
        assert_int_equal(BIO_write(SSL_get_rbio(room->client), in.at, (int)in.len), in.len);
    buf_free(&in);
    while ((n = SSL_read(room->client, text, sizeof(text))) > 0)
        buf_add(&room->got, text, (size_t)n);
}

static void connect_client(struct room *room)
{
    room->context = SSL_CTX_new(TLS_client_method());
    room->client = SSL_new(room->context);
    SSL_set_connect_state(room->client);
    SSL_set_bio(room->client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    assert_int_equal(tls_begin(room->tls, &room->end->conn), 0);
    int result = -EAGAIN;
    for (int i = 0; i < 4 && result; i++) {
        (void)SSL_do_handshake(room->client);
        send_all_of(room);
        result = tls_shake(&room->end->conn);
        hear(room);
    }
    assert_int_equal(result, 0);
    room->end->conn.readable = true;
}

static int open_room(void **state)
{
    struct room *room = mem_alloc(sizeof(*room));
    room->harness = harness_new(false);
    make_certificate(room);
    use_certificate(room);
    room->end = end_new(room->harness);
    connect_client(room);
    *state = room;
    return 0;
}

static int close_room(void **state)
{
    struct room *room = room_of(state);
    end_free(room->end);
    SSL_free(room->client);
    SSL_CTX_free(room->context);
    tls_free(room->tls);
    harness_free(room->harness);
    buf_free(&room->got);
    unlink(room->cert);
    unlink(room->key);
    rmdir(room->folder);
    free(room);
    return 0;
}

/* Reads once at the server's end; returns what conn_read() does. */
static int read_end(struct room *room, struct str *ret)
{
    *ret = STR_NONE;
    room->end->conn.readable = true;
    return conn_read(&room->end->conn, ret);
}

static void change_keys(struct room *room, int count)
{
    for (int i = 0; i < count; i++) {
        assert_int_equal(SSL_key_update(room->client, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(room->client), 1);
    }
}

static void a_client_that_changes_its_keys_is_understood(void **state)
{
    struct room *room = room_of(state);
    struct str text;
    change_keys(room, 1);
    assert_int_equal(SSL_write(room->client, "hello", 5), 5);
    send_all_of(room);
    assert_int_equal(read_end(room, &text), 5);
    assert_memory_equal(text.at, "hello", 5);
    end_say(room->end, "world");
    room->end->stop = true;
    net_flush(&room->harness->net);
    hear(room);
    assert_int_equal(room->got.len, 5);
    assert_memory_equal(room->got.at, "world", 5);
}

/* All of a flood may be in one read, and the next read may find more. */
static void a_flood_of_new_keys_ends_its_connection_in_the_first_read(void **state)
{
    struct room *room = room_of(state);
    struct buf in = {0};
    struct str text;
    change_keys(room, 1000);
    send_all_of(room);
    assert_int_equal(read_end(room, &text), -EPROTO);
    assert_true(peer_read(room->end, &in, SIZE_MAX) < 4096); /* few of them were answered */
    buf_free(&in);
}

static void new_keys_now_and_then_are_no_flood(void **state)
{
    struct room *room = room_of(state);
    struct str text;
    for (int i = 0; i < 100; i++) {
        clock_fake_advance(&room->harness->clock, 1000000);
        loop_turn(&room->harness->loop, 0);
        change_keys(room, 1);
        send_all_of(room);
        assert_int_equal(read_end(room, &text), 0);
        hear(room);
    }
}

/* A ClientHello may come in records of one byte, each of which is work. */
static void a_handshake_in_many_records_is_read_in_pieces(void **state)
{
    static const char first[] = {1, 1, 0, 0}; /* a ClientHello of 64 KiB */
    struct room *room = room_of(state);
    struct end *end = end_new(room->harness);
    enum { RECORDS = (TLS_READ_SIZE + 6000) / 6 };
    char records[RECORDS][6];
    for (size_t i = 0; i < RECORDS; i++)
        memcpy(records[i], (char[]){22, 3, 1, 0, 1, i < sizeof(first) ? first[i] : 3}, 6);
    assert_int_equal(send(end->peer, records, sizeof(records), MSG_NOSIGNAL), sizeof(records));
    assert_int_equal(tls_begin(room->tls, &end->conn), 0);
    end->conn.readable = true;
    assert_int_equal(tls_shake(&end->conn), -EAGAIN);
    assert_true(end->conn.readable);
    assert_int_equal(tls_shake(&end->conn), -EAGAIN);
    assert_false(end->conn.readable);
    end_free(end);
}

/* Another connection of the same thread, whose socket takes little. */
static void join(const struct room *room, struct room *other)
{
    int size = 1;
    *other = (struct room){.harness = room->harness, .tls = room->tls};
    other->end = end_new(room->harness);
    connect_client(other);
    assert_int_equal(setsockopt(other->end->conn.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)),
                     0);
}

static void leave(struct room *other)
{
    end_free(other->end);
    SSL_free(other->client);
    SSL_CTX_free(other->context);
    buf_free(&other->got);
}

/* A connection has more to say than its socket takes. */
static void block(struct room *other)
{
    char text[NET_SEAL_MAX];
    memset(text, 'x', sizeof(text));
    for (int i = 0; i < 8; i++)
        buf_add(&other->end->out, text, sizeof(text));
    conn_dirty(&other->end->conn);
    while (net_flush(&other->harness->net) && other->end->conn.writable)
        ;
    assert_false(other->end->conn.writable);
}

static void peers_that_read_nothing_make_room_for_the_next(void **state)
{
    struct room *room = room_of(state);
    struct room others[8];
    size_t count = sizeof(others) / sizeof(others[0]);
    for (size_t i = 0; i < count; i++) {
        join(room, &others[i]);
        block(&others[i]);
        assert_in_range(tls_kept(room->tls), 1, KEPT_MAX);
    }
    assert_int_equal(others[0].end->hung_ups, 1);
    assert_int_equal(others[count - 1].end->hung_ups, 0);
    assert_in_range(tls_take_shed(room->tls), 1, count - 1);
    assert_int_equal(tls_take_shed(room->tls), 0);
    for (size_t i = 0; i < count; i++)
        leave(&others[i]);
    assert_int_equal(tls_kept(room->tls), 0);
}

/* The connection that moved is the first to make room. */
static void a_connection_that_has_moved_is_the_one_that_makes_room(void **state)
{
    struct room *room = room_of(state);
    struct room others[8];
    struct end moved = {.harness = room->harness, .peer = -1};
    size_t count = sizeof(others) / sizeof(others[0]);
    for (size_t i = 0; i < count; i++) {
        join(room, &others[i]);
        block(&others[i]);
        if (!i)
            assert_int_equal(conn_hand_over(&others[0].end->conn, &moved.conn, &end_ops), 0);
    }
    assert_int_equal(moved.hung_ups, 1);
    assert_int_equal(others[0].end->hung_ups, 0);
    for (size_t i = 0; i < count; i++)
        leave(&others[i]);
}

#define WITH_ROOM(test) cmocka_unit_test_setup_teardown(test, open_room, close_room)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ROOM(a_client_that_changes_its_keys_is_understood),
        WITH_ROOM(a_flood_of_new_keys_ends_its_connection_in_the_first_read),
        WITH_ROOM(a_handshake_in_many_records_is_read_in_pieces),
        WITH_ROOM(peers_that_read_nothing_make_room_for_the_next),
        WITH_ROOM(a_connection_that_has_moved_is_the_one_that_makes_room),
        WITH_ROOM(new_keys_now_and_then_are_no_flood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
