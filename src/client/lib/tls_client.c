#include "client/lib/tls_client.h"

#include "base/mem.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/socket.h>

struct tls_client {
    SSL_CTX *context;
    BIO_METHOD *method;
    SSL_SESSION *session; /* the newest ticket; NULL: none */
    char *name;           /* for SNI; NULL if the host is an address (RFC 6066, section 3) */
};

/* ---- the BIO: its number is that of the socket ----------------------------------------------- */

/* A flag of the BIO: the last read has emptied the socket. OpenSSL leaves the upper ones alone. */
enum { EMPTIED = 0x4000 };

static int result_of(BIO *bio, ssize_t n, int retry_flag)
{
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_flags(bio, retry_flag | BIO_FLAGS_SHOULD_RETRY);
    return (int)n;
}

static int bio_read(BIO *bio, char *room, int size)
{
    BIO_clear_retry_flags(bio);
    if (BIO_test_flags(bio, EMPTIED)) {
        BIO_set_retry_read(bio);
        return -1;
    }
    ssize_t n = recv((int)(intptr_t)BIO_get_data(bio), room, (size_t)size, MSG_DONTWAIT);
    if (n > 0 && n < size)
        BIO_set_flags(bio, EMPTIED);
    return result_of(bio, n, BIO_FLAGS_READ);
}

static int bio_write(BIO *bio, const char *bytes, int len)
{
    BIO_clear_retry_flags(bio);
    ssize_t n =
        send((int)(intptr_t)BIO_get_data(bio), bytes, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL);
    return result_of(bio, n, BIO_FLAGS_WRITE);
}

static long bio_ctrl(BIO *bio, int command, long number, void *ptr)
{
    (void)bio, (void)number, (void)ptr;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *method_new(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "freshet client");
    if (method && BIO_meth_set_read(method, bio_read) && BIO_meth_set_write(method, bio_write) &&
        BIO_meth_set_ctrl(method, bio_ctrl))
        return method;
    BIO_meth_free(method);
    return NULL;
}

void tls_client_look(SSL *ssl)
{
    BIO_clear_flags(SSL_get_rbio(ssl), EMPTIED);
}

/* ---- settings -------------------------------------------------------------------------------- */

/* A key with a passphrase would have OpenSSL ask on the terminal. */
static int no_passphrase(char *room, int size, int writing, void *arg)
{
    (void)room, (void)size, (void)writing, (void)arg;
    return -1;
}

/* Keeps the newest session; OpenSSL calls it for each ticket. */
static int session_came(SSL *ssl, SSL_SESSION *session)
{
    struct tls_client *client = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    SSL_SESSION_free(client->session);
    client->session = session;
    return 1; /* the reference is ours now */
}

static bool configure(SSL_CTX *context, const struct trust *trust, const char *protocol)
{
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_verify(context, trust->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_default_passwd_cb(context, no_passphrase);
    SSL_CTX_set_session_cache_mode(context,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(context, session_came);
    return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) &&
           !SSL_CTX_set_alpn_protos(context, (const unsigned char *)protocol,
                                    (unsigned)strlen(protocol));
}

/* The name without the dot that may end it, in its own memory. */
static char *name_of(struct str host)
{
    if (host.len > 1 && host.at[host.len - 1] == '.')
        host.len--;
    char *name = mem_alloc(host.len + 1);
    memcpy(name, host.at, host.len);
    name[host.len] = '\0';
    return name;
}

static bool expect_host(struct tls_client *client, struct str host)
{
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(client->context);
    char *name = name_of(host);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                               X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (X509_VERIFY_PARAM_set1_ip_asc(param, name)) {
        free(name);
        return true;
    }
    client->name = name;
    return X509_VERIFY_PARAM_set1_host(param, name, 0);
}

/* Adds the reason of the last failure of OpenSSL, and forgets it. */
static int explain(struct buf *why, const char *what, const char *file)
{
    unsigned long error = ERR_peek_last_error();
    const char *reason =
        ERR_SYSTEM_ERROR(error) ? strerror(ERR_GET_REASON(error)) : ERR_reason_error_string(error);
    buf_addf(why, "%s %s: %s", what, file, reason ? reason : "cannot be used");
    ERR_clear_error();
    return -EINVAL;
}

static int use_files(SSL_CTX *context, const struct trust *trust, struct buf *why)
{
    const char *key = trust->cert_key ? trust->cert_key : trust->cert;
    if (trust->authorities && SSL_CTX_load_verify_file(context, trust->authorities) != 1)
        return explain(why, "the authorities", trust->authorities);
    if (!trust->authorities && !trust->insecure && SSL_CTX_set_default_verify_paths(context) != 1)
        return explain(why, "the authorities", "of the system");
    if (trust->cert && SSL_CTX_use_certificate_chain_file(context, trust->cert) != 1)
        return explain(why, "the certificate", trust->cert);
    if (key && (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1 ||
                SSL_CTX_check_private_key(context) != 1))
        return explain(why, "the private key", key);
    return 0;
}

int tls_client_new(const struct trust *trust, struct str host, const char *protocol,
                   struct tls_client **ret, struct buf *why)
{
    struct tls_client *client = mem_alloc(sizeof(*client));
    *client =
        (struct tls_client){.context = SSL_CTX_new(TLS_client_method()), .method = method_new()};
    int result = -ENOMEM;
    if (client->context)
        SSL_CTX_set_app_data(client->context, client);
    if (client->context && client->method && configure(client->context, trust, protocol) &&
        expect_host(client, host))
        result = use_files(client->context, trust, why);
    else
        buf_add_lit(why, "there is no memory for TLS");
    if (!result) {
        *ret = client;
        return 0;
    }
    tls_client_free(client);
    return result;
}

void tls_client_free(struct tls_client *client)
{
    if (!client)
        return;
    SSL_SESSION_free(client->session);
    SSL_CTX_free(client->context);
    BIO_meth_free(client->method);
    free(client->name);
    free(client);
}

/* ---- connections ----------------------------------------------------------------------------- */

SSL *tls_client_connection(struct tls_client *client, int fd)
{
    SSL *ssl = SSL_new(client->context);
    BIO *bio = ssl ? BIO_new(client->method) : NULL;
    if (!bio || (client->name && !SSL_set_tlsext_host_name(ssl, client->name)) ||
        (client->session && !SSL_set_session(ssl, client->session))) {
        BIO_free(bio);
        SSL_free(ssl);
        return NULL;
    }
    BIO_set_data(bio, (void *)(intptr_t)fd); /* NOLINT(performance-no-int-to-ptr) */
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_connect_state(ssl);
    return ssl;
}

void tls_client_explain(const SSL *ssl, struct buf *out)
{
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    long verdict = SSL_get_verify_result(ssl);
    if (verdict != X509_V_OK && SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE)
        buf_addf(out, "the server's certificate: %s", X509_verify_cert_error_string(verdict));
    else
        buf_addf(out, "TLS: %s", reason ? reason : "the connection broke");
    ERR_clear_error();
}
