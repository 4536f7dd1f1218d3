/* How a connection reads requests. For http1.c alone. */
#pragma once

#include "transport/http1_state.h"

/* Reads requests from `bytes`, which begin with the kept bytes if there are any, and keeps the
 * rest. Afterwards the connection may have ended, or belong to a pull. The caller counts the kept
 * bytes. */
void incoming_read(struct http1 *http1, struct str bytes);

/* Whether another request may be read now. */
bool incoming_may_follow(const struct http1 *http1);

/* Refuses a request that is malformed or late, as the last one of the connection. The kept bytes
 * begin with its head, or with the part of it that has come. */
void incoming_refuse(struct http1 *http1, enum problem problem, struct str detail);

/* Tells a connection over a limit of connections that it is refused, before its request has come.
 */
void incoming_refuse_connection(struct http1 *http1);
