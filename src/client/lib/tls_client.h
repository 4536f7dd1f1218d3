/* TLS to one server, for all connections of a client: settings, and the session that the next
 * connection resumes. */
#pragma once

#include "client/lib/trust.h"

#include <openssl/ssl.h>

struct tls_client;

/* The protocols that a client may ask for by ALPN, each behind its length. */
#define TLS_CLIENT_HTTP1 "\x08http/1.1"
#define TLS_CLIENT_HTTP2 "\x02h2"

/* Reads the files. Servers must show a certificate for `host`, a name or an IP address. `protocol`
 * is one of the above. Nothing is borrowed. Returns 0, or a negative errno with a sentence in
 * `why`. For one thread at a time. */
int tls_client_new(const struct trust *trust, struct str host, const char *protocol,
                   struct tls_client **ret, struct buf *why);
/* After all its connections. NULL is allowed. */
void tls_client_free(struct tls_client *client);

/* The client's end of a new connection, over the non-blocking socket `fd`; NULL if there is no
 * memory. The caller frees it and closes the socket. Writing never raises SIGPIPE. */
SSL *tls_client_connection(struct tls_client *client, int fd);

/* Call it before each SSL_read(): the socket may have bytes again. Without it none are looked for
 * after a read that has emptied the socket, which saves a system call. */
void tls_client_look(SSL *ssl);

/* Adds the reason why a call for this connection failed, from OpenSSL, and forgets it. */
void tls_client_explain(const SSL *ssl, struct buf *out);
