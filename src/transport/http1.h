/* HTTP/1.1 connections at work: what their sockets, their timers and their request streams do. */
#pragma once

#include "transport/http1_state.h"

struct entry;

/* Takes over an accepted socket, plain, and its entry (entry.h). */
void http1_accept(struct worker *worker, int fd, uint8_t door, const struct entry *entry);

/* Takes over the socket of a connection that another owner has begun, with what its wire has: after
 * a handshake of TLS, say. `from` is closed, and counts as a connection until then. */
void http1_take(struct worker *worker, struct conn *from, enum entry_excess refused);
