/* The server's side of TLS as the operator has set it: certificates by name, and the authorities of
 * clients. It never changes: a reload makes another. */
#pragma once

#include "base/buf.h"
#include "net/tls_tickets.h"

#include <openssl/ssl.h>

struct tls_pair {
    const char *cert; /* a file with the certificate and those between it and the authority */
    const char *key;  /* and one with its private key, both as PEM */
};

enum { TLS_PAIRS_MAX = 64 };

struct tls_settings {
    struct tls_pair pairs[TLS_PAIRS_MAX]; /* the first is for clients that name no host of any */
    size_t pairs_count;
    const char *client_ca; /* the authorities of clients; NULL: clients show no certificate */
    bool client_required;  /* a client without one is refused */
};

/* The facts that a connection's callbacks need: found by SSL_get_app_data(). */
struct tls_session {
    struct tls_server *server;         /* until the handshake is over */
    const struct tls_tickets *tickets; /* of the thread */
    struct str protocols; /* the names that ALPN may choose from, each behind its length */
};

struct tls_server;

/* Reads all files. Returns 0 with a first reference, or -EINVAL with a sentence in `why`. */
int tls_server_new(const struct tls_settings *settings, struct tls_server **ret, struct buf *why);

/* Any thread. NULL is ignored. */
struct tls_server *tls_server_ref(struct tls_server *server);
void tls_server_unref(struct tls_server *server);

/* The time at which the first of the certificates ends, by the wall clock in microseconds. */
int64_t tls_server_until_us(const struct tls_server *server);

/* The server's end of a new connection; NULL if there is no memory. */
SSL *tls_server_connection(const struct tls_server *server);
