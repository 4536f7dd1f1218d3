/* Certificates and settings of TLS, as SSL_CTX of OpenSSL: one for each set of names.
 *
 * A connection begins with the first. When its ClientHello names a host (SNI), name_asked() puts
 * the one in its place whose certificate is for that host. Certificates for equal names with keys
 * of different kinds, RSA and ECDSA say, share an SSL_CTX, and OpenSSL takes the kind that the
 * client can verify. All have the same options, because SSL_set_SSL_CTX() changes certificates
 * only.
 *
 * An SSL_CTX is shared by all threads. OpenSSL counts its references, and nothing changes it after
 * tls_server_new(); so a reload needs no lock: connections keep the SSL_CTX that they began with.
 */
#include "net/tls_server.h"

#include "base/mem.h"
#include "net/tls_peer.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* Suites for TLS 1.2: with forward secrecy and authenticated encryption alone (RFC 9325, section
 * 4.2). All suites of TLS 1.3 are so. */
static const char CIPHERS[] = "ECDHE+AESGCM:ECDHE+CHACHA20";

enum { CERT_LIST_MAX = 32 * 1024 }; /* bytes of the certificates that a client shows */

struct tls_server {
    _Atomic unsigned refs;
    unsigned count;
    int64_t until_us; /* the end of the certificate that ends first */
    SSL_CTX *contexts[TLS_PAIRS_MAX];
};

/* ---- questions of OpenSSL -----------------------------------------------------------------------
 */

static const struct tls_session *session_of(const SSL *ssl)
{
    return SSL_get_app_data(ssl);
}

static int name_asked(SSL *ssl, int *alert, void *arg)
{
    const struct tls_server *server = session_of(ssl)->server;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    (void)alert;
    (void)arg;
    if (!name || !server)
        return SSL_TLSEXT_ERR_NOACK;
    for (unsigned i = 0; i < server->count; i++) {
        X509 *leaf = SSL_CTX_get0_certificate(server->contexts[i]);
        if (X509_check_host(leaf, name, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) != 1)
            continue;
        SSL_set_SSL_CTX(ssl, server->contexts[i]);
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_NOACK; /* the first certificate: the client says what is wrong with it */
}

/* RFC 7301, section 3.2: a client that wants none of ours is refused. */
static int protocol_asked(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                          const unsigned char *in, unsigned in_len, void *arg)
{
    struct str ours = session_of(ssl)->protocols;
    unsigned char *chosen;
    (void)arg;
    if (SSL_select_next_proto(&chosen, out_len, (const unsigned char *)ours.at, (unsigned)ours.len,
                              in, in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int ticket_asked(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                        EVP_MAC_CTX *mac, int seal)
{
    const struct tls_tickets *tickets = session_of(ssl)->tickets;
    return seal ? tls_tickets_seal(tickets, name, iv, cipher, mac)
                : tls_tickets_open(tickets, name, iv, cipher, mac);
}

/* The client's certificate is in its ticket and is not verified again, and each resumption brings
 * a new ticket. So a session may not go on by tickets after that certificate has expired. */
static bool has_expired(SSL_SESSION *session)
{
    const X509 *peer = session ? SSL_SESSION_get0_peer(session) : NULL;
    return peer && X509_cmp_current_time(X509_get0_notAfter(peer)) <= 0;
}

static SSL_TICKET_RETURN ticket_opened(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                                       size_t name_len, SSL_TICKET_STATUS status, void *arg)
{
    (void)name, (void)name_len, (void)arg;
    bool is_open = status == SSL_TICKET_SUCCESS || status == SSL_TICKET_SUCCESS_RENEW;
    if (!is_open || has_expired(session))
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    /* A client uses a ticket of TLS 1.3 once (RFC 8446, appendix C.4). OpenSSL gives no other one
     * by itself where the keys are ours, so every second handshake would be a full one. */
    bool is_kept = status == SSL_TICKET_SUCCESS && SSL_version(ssl) < TLS1_3_VERSION;
    return is_kept ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

/* A key with a passphrase would have OpenSSL ask on the terminal. */
static int no_passphrase(char *room, int size, int writing, void *arg)
{
    (void)room, (void)size, (void)writing, (void)arg;
    return -1;
}

/* ---- making ---------------------------------------------------------------------------------- */

/* Adds the reason of a failure of OpenSSL, and forgets it. The first error is the cause; those
 * after it name the layers that it went through, such as "PEM lib". */
static int explain(struct buf *why, const char *what, const char *file)
{
    unsigned long error = ERR_peek_error();
    const char *reason = ERR_GET_LIB(error) == ERR_LIB_SYS || ERR_SYSTEM_ERROR(error)
                             ? strerror(ERR_GET_REASON(error))
                             : ERR_reason_error_string(error);
    buf_addf(why, "%s %s: %s", what, file, reason ? reason : "cannot be used");
    ERR_clear_error();
    return -EINVAL;
}

static SSL_CTX *context_new(void)
{
    char groups[] = "X25519:P-256:P-384"; /* OpenSSL takes no const */
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (!context)
        return NULL;
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF); /* the client has its ticket */
    SSL_CTX_set_max_early_data(context, 0); /* a request in it could be repeated by anybody */
    SSL_CTX_set_max_cert_list(context, CERT_LIST_MAX);
    SSL_CTX_set_default_passwd_cb(context, no_passphrase);
    SSL_CTX_set_tlsext_servername_callback(context, name_asked);
    SSL_CTX_set_alpn_select_cb(context, protocol_asked, NULL);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, ticket_asked);
    SSL_CTX_set_session_ticket_cb(context, NULL, ticket_opened, NULL);
    if (SSL_CTX_set_cipher_list(context, CIPHERS) && SSL_CTX_set1_groups_list(context, groups))
        return context;
    SSL_CTX_free(context);
    return NULL;
}

static bool is_mismatch(unsigned long error)
{
    return ERR_GET_LIB(error) == ERR_LIB_X509 &&
           (ERR_GET_REASON(error) == X509_R_KEY_VALUES_MISMATCH ||
            ERR_GET_REASON(error) == X509_R_KEY_TYPE_MISMATCH);
}

static int use_key(SSL_CTX *context, const struct tls_pair *pair, struct buf *why)
{
    bool is_used = SSL_CTX_use_PrivateKey_file(context, pair->key, SSL_FILETYPE_PEM) == 1;
    if (is_used && SSL_CTX_check_private_key(context) == 1)
        return 0;
    if (is_used || is_mismatch(ERR_peek_last_error()))
        buf_addf(why, "the private key %s: it is not that of the certificate %s", pair->key,
                 pair->cert);
    else
        buf_addf(why,
                 "the private key %s: it is not a private key in PEM form, without a passphrase",
                 pair->key);
    ERR_clear_error();
    return -EINVAL;
}

static int use_pair(SSL_CTX *context, const struct tls_pair *pair, struct buf *why)
{
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(context, pair->cert) != 1)
        return explain(why, "the certificate", pair->cert);
    return use_key(context, pair, why);
}

/* A ticket is worth no more than the authorities by which its client was verified: the session's
 * context, which OpenSSL compares, is made of them. */
static int bind_sessions(SSL_CTX *context, const struct tls_settings *settings, struct buf *why)
{
    unsigned char digest[SHA256_DIGEST_LENGTH], text[4096];
    unsigned len = 0;
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    FILE *file = settings->client_ca ? fopen(settings->client_ca, "re") : NULL;
    bool good = hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) &&
                EVP_DigestUpdate(hash, &settings->client_required, sizeof(bool));
    for (size_t n; good && file && (n = fread(text, 1, sizeof(text), file)) > 0;)
        good = EVP_DigestUpdate(hash, text, n);
    good = good && EVP_DigestFinal_ex(hash, digest, &len);
    if (file)
        fclose(file);
    EVP_MD_CTX_free(hash);
    return good && SSL_CTX_set_session_id_context(context, digest, len)
               ? 0
               : explain(why, "session tickets", "of TLS");
}

static int use_clients(SSL_CTX *context, const struct tls_settings *settings, struct buf *why)
{
    if (!settings->client_ca)
        return 0;
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(settings->client_ca);
    if (!names || SSL_CTX_load_verify_file(context, settings->client_ca) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return explain(why, "client_ca", settings->client_ca);
    }
    SSL_CTX_set_client_CA_list(context, names);
    SSL_CTX_set_verify(
        context,
        SSL_VERIFY_PEER | (settings->client_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
    return 0;
}

/* The names that a certificate is for, as it has them; NULL if it has no list of them. */
static const ASN1_OCTET_STRING *names_of(const X509 *leaf)
{
    int at = X509_get_ext_by_NID(leaf, NID_subject_alt_name, -1);
    return at < 0 ? NULL : X509_EXTENSION_get_data(X509_get_ext(leaf, at));
}

static int kind_of(const X509 *leaf)
{
    return EVP_PKEY_get_base_id(X509_get0_pubkey(leaf));
}

/* The SSL_CTX that has a certificate for the same names, or NULL. */
static SSL_CTX *find_sibling(const struct tls_server *server, const X509 *leaf)
{
    const ASN1_OCTET_STRING *names = names_of(leaf), *others;
    for (unsigned i = 0; names && i < server->count; i++) {
        others = names_of(SSL_CTX_get0_certificate(server->contexts[i]));
        if (others && !ASN1_OCTET_STRING_cmp(names, others))
            return server->contexts[i];
    }
    return NULL;
}

/* Whether a certificate of a context has a key of the same kind. */
static bool has_kind(SSL_CTX *context, const X509 *leaf)
{
    bool more = SSL_CTX_set_current_cert(context, SSL_CERT_SET_FIRST), found = false;
    for (; more; more = SSL_CTX_set_current_cert(context, SSL_CERT_SET_NEXT))
        found = found || kind_of(SSL_CTX_get0_certificate(context)) == kind_of(leaf);
    return found;
}

/* Adds a certificate to the context that has one for the same names. OpenSSL would let it replace
 * one whose key is of the same kind. */
static int join(SSL_CTX *sibling, const X509 *leaf, const struct tls_pair *pair, struct buf *why)
{
    if (!has_kind(sibling, leaf))
        return use_pair(sibling, pair, why);
    buf_addf(why,
             "the certificate %s: another one in the list is for the same names, with a key of the "
             "same kind: leave one of them out",
             pair->cert);
    return -EINVAL;
}

static void note_end(struct tls_server *server, const X509 *leaf)
{
    int64_t until_us = tls_peer_time_us(X509_get0_notAfter(leaf));
    if (until_us < server->until_us)
        server->until_us = until_us;
}

static int add_pair(struct tls_server *server, const struct tls_settings *settings, size_t n,
                    struct buf *why)
{
    const struct tls_pair *pair = &settings->pairs[n];
    SSL_CTX *context = context_new();
    if (!context)
        return explain(why, "the certificate", pair->cert);
    int result = use_pair(context, pair, why);
    if (!result)
        note_end(server, SSL_CTX_get0_certificate(context));
    SSL_CTX *sibling = result ? NULL : find_sibling(server, SSL_CTX_get0_certificate(context));
    if (!result && !sibling)
        result = bind_sessions(context, settings, why);
    if (!result && !sibling)
        result = use_clients(context, settings, why);
    if (!result && !sibling) {
        server->contexts[server->count++] = context;
        return 0;
    }
    if (sibling)
        result = join(sibling, SSL_CTX_get0_certificate(context), pair, why);
    SSL_CTX_free(context);
    return result;
}

int tls_server_new(const struct tls_settings *settings, struct tls_server **ret, struct buf *why)
{
    struct tls_server *server = mem_alloc(sizeof(*server));
    int result = settings->pairs_count ? 0 : -EINVAL;
    server->refs = 1;
    server->until_us = INT64_MAX;
    if (result)
        buf_add_lit(why, "there is no certificate");
    for (size_t i = 0; !result && i < settings->pairs_count; i++)
        result = add_pair(server, settings, i, why);
    if (result) {
        tls_server_unref(server);
        return -EINVAL;
    }
    *ret = server;
    return 0;
}

struct tls_server *tls_server_ref(struct tls_server *server)
{
    if (server)
        atomic_fetch_add(&server->refs, 1);
    return server;
}

void tls_server_unref(struct tls_server *server)
{
    if (!server || atomic_fetch_sub(&server->refs, 1) != 1)
        return;
    for (unsigned i = 0; i < server->count; i++)
        SSL_CTX_free(server->contexts[i]);
    free(server);
}

int64_t tls_server_until_us(const struct tls_server *server)
{
    return server->until_us;
}

SSL *tls_server_connection(const struct tls_server *server)
{
    SSL *ssl = SSL_new(server->contexts[0]);
    if (ssl)
        SSL_set_accept_state(ssl);
    return ssl;
}
