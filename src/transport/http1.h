/* HTTP/1.1 connections at work: what their sockets, their timers and their request streams do. */
#pragma once

#include "transport/http1_state.h"

/* Takes over an accepted socket, plain, and its entry (entry.h); `refused` if it is over
 * connections_max. */
void http1_accept(struct worker *worker, int fd, uint8_t door, bool refused);

/* Takes over the socket of a connection that another owner has begun, with what its wire has: after
 * a handshake of TLS, say. `from` is closed, and counts as a connection until then. */
void http1_take(struct worker *worker, struct conn *from, bool refused);
