/* Connections over TLS, with a client of OpenSSL at the other end of their socket pairs. */
#include "net/testing.h"
#include "net/tls.h"

#include <malloc.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
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

/* ---- memory of a handshake ------------------------------------------------------------------- */

static size_t held; /* by OpenSSL, with what the allocator adds */

static size_t taken_by(void *block)
{
    return block ? malloc_usable_size(block) + sizeof(size_t) : 0;
}

static void *count_malloc(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    void *block = malloc(size);
    held += taken_by(block);
    return block;
}

static void *count_realloc(void *old, size_t size, const char *file, int line)
{
    (void)file, (void)line;
    size_t before = taken_by(old);
    void *block = realloc(old, size);
    if (block || !size)
        held += taken_by(block) - before;
    return block;
}

static void count_free(void *block, const char *file, int line)
{
    (void)file, (void)line;
    held -= taken_by(block);
    free(block);
}

/* A handshake that its client leaves unfinished. */
struct half {
    const char *name;
    int version;        /* 0: any */
    bool sends_second;  /* what follows the server's answer, but for its end */
    const char *groups; /* NULL: OpenSSL's own */
    size_t offers;      /* protocols beside http/1.1, of two bytes each */
    size_t comment;     /* of the client's certificate, in bytes; 0: it has none */
    size_t first_bytes; /* of the ClientHello; 0: all */
};

/* A certificate that is about as large as its comment. */
static void show_certificate(SSL *client, size_t comment)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    ASN1_OCTET_STRING *text = ASN1_OCTET_STRING_new();
    unsigned char *bytes = mem_alloc(comment);
    assert_int_equal(ASN1_OCTET_STRING_set(text, bytes, (int)comment), 1);
    X509_EXTENSION *extension = X509_EXTENSION_create_by_NID(NULL, NID_netscape_comment, 0, text);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    assert_int_equal(X509_add_ext(cert, extension, -1), 1);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    assert_int_equal(SSL_use_certificate(client, cert), 1);
    assert_int_equal(SSL_use_PrivateKey(client, key), 1);
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(text);
    X509_free(cert);
    EVP_PKEY_free(key);
    free(bytes);
}

static void prepare_client(struct room *other, const struct half *half)
{
    other->context = SSL_CTX_new(TLS_client_method());
    other->client = SSL_new(other->context);
    SSL_set_connect_state(other->client);
    SSL_set_bio(other->client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    if (half->version)
        SSL_set_max_proto_version(other->client, half->version);
    if (half->groups)
        assert_int_equal(
            SSL_ctrl(other->client, SSL_CTRL_SET_GROUPS_LIST, 0, (char *)(uintptr_t)half->groups),
            1);
    if (half->comment)
        show_certificate(other->client, half->comment);
    struct buf protocols = {0};
    buf_add_lit(&protocols, "\x08http/1.1");
    for (size_t i = 0; i < half->offers; i++)
        buf_add_lit(&protocols, "\x01x");
    SSL_set_alpn_protos(other->client, (unsigned char *)protocols.at, (unsigned)protocols.len);
    buf_free(&protocols);
}

/* Sends what the client has written but for the last bytes, and goes on with the handshake. Returns
 * what the server holds more. */
static size_t shake_some(struct room *other, size_t most, size_t kept_back)
{
    struct buf bytes = {0};
    char part[4096];
    size_t before = held;
    int n, result = -EAGAIN;
    while ((n = BIO_read(SSL_get_wbio(other->client), part, sizeof(part))) > 0)
        buf_add(&bytes, part, (size_t)n);
    bytes.len = most && most < bytes.len ? most : bytes.len - kept_back;
    for (size_t at = 0; at < bytes.len && result == -EAGAIN; at += (size_t)n) {
        size_t size = bytes.len - at < 4096 ? bytes.len - at : 4096;
        n = (int)send(other->end->peer, bytes.at + at, size, MSG_NOSIGNAL);
        assert_true(n > 0);
        other->end->conn.readable = true;
        result = tls_shake(&other->end->conn);
    }
    assert_int_equal(result, -EAGAIN);
    buf_free(&bytes);
    return held - before;
}

static size_t shake_half(struct room *other, const struct half *half)
{
    size_t before = held, taken;
    assert_int_equal(tls_begin(other->tls, &other->end->conn), 0);
    taken = held - before;
    (void)SSL_do_handshake(other->client);
    taken += shake_some(other, half->first_bytes, 0);
    if (!half->sends_second)
        return taken;
    hear(other);
    (void)SSL_do_handshake(other->client);
    return taken + shake_some(other, 0, half->comment ? half->comment / 6 : 30);
}

static void ask_for_certificates(struct room *room)
{
    struct tls_settings settings = {
        .pairs = {{room->cert, room->key}}, .pairs_count = 1, .client_ca = room->cert};
    struct tls_server *server;
    struct buf why = {0};
    assert_int_equal(tls_server_new(&settings, &server, &why), 0);
    tls_use(room->tls, server);
    tls_server_unref(server);
}

/* The limit of unfinished handshakes is one of memory, so its measure must not be far off. */
static void the_cost_of_a_handshake_is_about_what_it_holds(void **state)
{
    enum { MOST_PERCENT = 150 };
    static const struct half halves[] = {
        {.name = "TLS 1.3"},
        {.name = "TLS 1.2", .version = TLS1_2_VERSION},
        {.name = "X25519 alone", .groups = "X25519"},
        {.name = "a ClientHello of 12 KiB", .offers = 6000},
        {.name = "a ClientHello of 50 KiB", .offers = 25000},
        {.name = "a byte", .first_bytes = 1},
        {.name = "a half of 12 KiB", .offers = 6000, .first_bytes = 6000},
        {.name = "all but its end, 1.3", .sends_second = true},
        {.name = "all but its end, 1.2", .version = TLS1_2_VERSION, .sends_second = true},
        {.name = "a certificate of 30 KiB, 1.3", .comment = 30000, .sends_second = true},
        {.name = "a certificate of 30 KiB, 1.2",
         .version = TLS1_2_VERSION,
         .comment = 30000,
         .sends_second = true},
    };
    struct room *room = room_of(state);
    ask_for_certificates(room);
    for (size_t i = 0; i < sizeof(halves) / sizeof(halves[0]); i++) {
        struct room other = {.harness = room->harness, .tls = room->tls};
        other.end = end_new(room->harness);
        prepare_client(&other, &halves[i]);
        size_t taken = shake_half(&other, &halves[i]), cost = tls_shake_cost(&other.end->conn);
        print_message("%s: %zu bytes, counted as %zu\n", halves[i].name, taken, cost);
        assert_true(cost * 100 >= taken * 95);
        assert_true(cost * 100 <= taken * MOST_PERCENT);
        leave(&other);
    }
}

#define WITH_ROOM(test) cmocka_unit_test_setup_teardown(test, open_room, close_room)

int main(void)
{
    (void)CRYPTO_set_mem_functions(count_malloc, count_realloc, count_free); /* before its first */
    const struct CMUnitTest tests[] = {
        WITH_ROOM(a_client_that_changes_its_keys_is_understood),
        WITH_ROOM(a_flood_of_new_keys_ends_its_connection_in_the_first_read),
        WITH_ROOM(a_handshake_in_many_records_is_read_in_pieces),
        WITH_ROOM(peers_that_read_nothing_make_room_for_the_next),
        WITH_ROOM(a_connection_that_has_moved_is_the_one_that_makes_room),
        WITH_ROOM(the_cost_of_a_handshake_is_about_what_it_holds),
        WITH_ROOM(new_keys_now_and_then_are_no_flood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
