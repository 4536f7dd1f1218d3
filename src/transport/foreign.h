/* Clients that speak another protocol than HTTP/1: told apart by their first bytes, and told so in
 * a manner that their users can understand. */
#pragma once

#include "transport/session.h"

/* Whether the bytes begin a TLS connection (RFC 8446 section 5.1): they need not hold a line end,
 * so that nobody would wait for more of them. */
static inline bool foreign_is_tls(struct str bytes)
{
    return bytes.len && bytes.at[0] == 0x16;
}

/* Whether the bytes begin HTTP/2 with prior knowledge (RFC 9113 section 3.4). */
bool foreign_is_http2(struct str bytes);

/* Adds what an HTTP/2 client gets: SETTINGS, and a GOAWAY that says why. */
void foreign_add_goaway(struct buf *out);

/* The detail of what a TLS client is answered. It will not show that to its user, so the log says
 * it too: at most once a second for each worker. */
struct str foreign_tls_detail(struct worker *worker);
