/* How a connection reads requests. For http1.c alone. */
#pragma once

#include "transport/http1_state.h"

/* Works through `bytes`, which begin with what the intake has if that is not empty; keeps what is
 * left. The connection may have ended, or may belong to a pull, afterwards. The caller counts what
 * is kept. */
void incoming_read(struct http1 *http1, struct str bytes);

/* Whether another request may be read now. */
bool incoming_may_follow(const struct http1 *http1);

/* Answers what cannot be read, or did not come in time; it is the last of the connection. What the
 * intake has kept begins with the request's head, or with what has come of it. */
void incoming_refuse(struct http1 *http1, enum problem problem, struct str detail);

/* Tells a connection over connections_max that it is refused, before its request has come. */
void incoming_refuse_connection(struct http1 *http1);
