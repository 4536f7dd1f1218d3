/* The messages that a freshet.v1 connection sends beside events. */
#pragma once

#include "transport/freshet_v1_state.h"

struct request_stream *protocol_request(const struct protocol *protocol);

/* Sends a JSON message and frees it. */
void protocol_send(struct protocol *protocol, struct buf *message);

/* Begins a message's object with op and ref, which is raw JSON or empty. The caller ends it. */
struct json_writer protocol_open(struct buf *message, const char *op, struct str ref);

void protocol_send_cursor(struct protocol *protocol, const char *op, struct str ref,
                          uint64_t cursor);
void protocol_send_gap(struct protocol *protocol, const struct gap *gap);
void protocol_error(struct protocol *protocol, struct str ref, enum problem problem,
                    const char *detail);

/* The encoding of all records of the connection. */
unsigned protocol_encoding(const struct protocol *protocol);

/* Closes: what was promised cannot be kept. */
void protocol_give_up(struct protocol *protocol);
