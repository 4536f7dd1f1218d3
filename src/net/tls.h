/* TLS as the wire of a thread's connections, by OpenSSL. */
#pragma once

#include "net/conn.h"
#include "net/tls_peer.h"
#include "net/tls_server.h"

struct tls;

/* A read of ciphertext: with the part of a record that OpenSSL has already, its text fits into the
 * room of a read. */
enum { TLS_READ_SIZE = NET_READ_SIZE - NET_SEAL_MAX };

/* The most bytes that a connection may have unsent, apart from a record under way. */
enum { TLS_KEPT_MAX = 64 * 1024 };

/* Adds TLS to the wires of `net`, for its thread. ALPN chooses from `protocols`, the best first,
 * each behind its length: they are borrowed. All connections of a thread may keep `kept_max` bytes
 * that their sockets did not take; beyond that those are hung up whose sockets have taken none for
 * longest. NULL if there is no memory, or no place among the wires. Free it
 * after its connections, and before `net`. */
struct tls *tls_new(struct net *net, struct str protocols, uint64_t kept_max);

/* Another `kept_max`, from the next bytes that are kept on. */
void tls_limit(struct tls *tls, uint64_t kept_max);
void tls_free(struct tls *tls);

/* New connections begin with this; those that are there keep what they began with. Takes a
 * reference. */
void tls_use(struct tls *tls, struct tls_server *server);
void tls_use_tickets(struct tls *tls, const struct tls_tickets *tickets);

/* Gives a plain connection of the thread this wire, before anything was read from it: the handshake
 * is due. Returns 0 or -ENOMEM. */
int tls_begin(struct tls *tls, struct conn *conn);

/* Goes on with the handshake by what has come, as far as one read takes it: 0 when it is done,
 * -EAGAIN when more is needed, or another negative errno. More has come already if the connection
 * is still `readable` after -EAGAIN. A full handshake costs about a millisecond, for the
 * signature. */
int tls_shake(struct conn *conn);

/* The memory that the handshake has taken so far, about: OpenSSL does not tell. It grows with what
 * the client sends, a chain of certificates for example. */
size_t tls_shake_cost(const struct conn *conn);

/* ---- after the handshake --------------------------------------------------------------------- */

/* The protocol that ALPN chose; empty if the client did not ask. */
struct str tls_protocol(const struct conn *conn);

/* Whether the client brought a ticket, so that nothing was signed. */
bool tls_is_resumed(const struct conn *conn);

/* The client's certificate, if an authority of `client_ca` vouches for it; NULL if it showed none,
 * and over other wires. Lives as long as the connection. */
const struct tls_peer *tls_peer(const struct conn *conn);

/* Why the handshake failed, in OpenSSL's words. */
const char *tls_trouble(const struct conn *conn);

/* Bytes that wait for sockets, of all connections of the thread. */
uint64_t tls_kept(const struct tls *tls);

/* How many connections were hung up to make room for those bytes, since the last call. */
uint64_t tls_take_shed(struct tls *tls);
