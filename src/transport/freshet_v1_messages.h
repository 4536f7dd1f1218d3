/* The messages that a freshet.v1 connection sends beside events. */
#pragma once

#include "transport/freshet_v1_state.h"

struct request_stream *freshet_v1_request(const struct freshet_v1 *v1);

/* Sends a JSON message and frees it. */
void freshet_v1_send(struct freshet_v1 *v1, struct buf *message);

/* Begins a message's object with op and ref, which is raw JSON or empty. The caller ends it. */
struct json_writer freshet_v1_open(struct buf *message, const char *op, struct str ref);

/* Tells that a subscription begins at a cursor, with the name of its connection; and that it is
 * live. */
void freshet_v1_send_began(struct freshet_v1 *v1, struct str ref, uint64_t cursor);
void freshet_v1_send_live(struct freshet_v1 *v1, struct str ref, uint64_t cursor);
void freshet_v1_send_gap(struct freshet_v1 *v1, const struct gap *gap);
void freshet_v1_error(struct freshet_v1 *v1, struct str ref, enum problem problem,
                      const char *detail);

void freshet_v1_refuse(struct freshet_v1 *v1, struct str ref, const struct refusal *refusal);

/* The encoding of all records of the connection. */
unsigned freshet_v1_encoding(const struct freshet_v1 *v1);

/* Closes the connection because it cannot keep a promise, such as a start that it has confirmed. */
void freshet_v1_give_up(struct freshet_v1 *v1);
