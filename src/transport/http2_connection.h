/* HTTP/2 connections: what their sockets and their timers do. Their streams are request streams. */
#pragma once

#include "transport/http2_state.h"

/* Takes over the socket of a connection whose first bytes, `bytes`, begin with HTTP/2's preface
 * (prior knowledge, RFC 9113 section 3.3). `from` is closed, and counts as a connection until then.
 * False without memory: nothing has changed. */
bool http2_take_over(struct worker *worker, struct conn *from, struct str bytes);

/* Takes over a connection over TLS on which ALPN chose HTTP/2. `refused` if it is over
 * a limit of connections. */
void http2_take(struct worker *worker, struct conn *from, enum entry_excess refused);
