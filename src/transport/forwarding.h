/* Trusted proxies: which peers may speak for others, who they say has sent a request, and how that
 * client has called the server. */
#pragma once

#include "http/head.h"
#include "transport/worker_state.h"

/* Whether a connected socket's peer is trusted. */
bool forwarding_trusts(const struct worker *worker, int fd);

/* Takes the client of a connection from the header of the PROXY protocol. */
void forwarding_take(struct worker *worker, struct conn *conn, const union client_address *client);

/* Keeps the client of a request `id`, if the connection's peer is trusted (DOOR_TRUSTED) and its
 * fields name one: client_of() then knows it, until the next request of that id. */
void forwarding_note(struct worker *worker, const struct conn *conn, uint32_t id,
                     const struct http_head *head);

/* Whether a request has another client than the one before of the same id. While that one is not
 * answered, forwarding_note() would give it the new client: the audit log and limits would have the
 * wrong address. */
bool forwarding_changes(const struct worker *worker, const struct conn *conn, uint32_t id,
                        const struct http_head *head);

/* How the client has called the server: by its connection, or as its trusted proxies say. */
struct outside {
    bool is_secure;                  /* by https or wss */
    bool is_forwarded;               /* a trusted proxy stands between the client and this server */
    struct http_authority authority; /* borrowed from the head; the host is empty if unknown */
};

/* How the client has called, as far as this connection and trusted proxies tell. On the worker's
 * thread; `head` is that of the request. */
struct outside forwarding_outside(const struct worker *worker, const struct conn *conn,
                                  const struct http_head *head);
