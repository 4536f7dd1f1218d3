/* What a client may say in freshet.v1: its messages, read and carried out. */
#pragma once

#include "transport/socket.h"

enum { PROTOCOL_REF_MAX = 64 };

struct protocol;

/* A subscriber for the terms of one `subscribe`, or, as `main`, for all that have caught up. */
struct part {
    struct list node;
    struct protocol *protocol;
    struct sub sub;
    struct start_search *search; /* while its beginning is looked for */
    uint32_t serial;             /* parts are merged in this order; main has 0 */
    bool silent;
    uint8_t ref_len;
    char ref[PROTOCOL_REF_MAX];
};

/* A channel or pattern that was asked for. */
struct term {
    struct list node;
    struct part *part;
    uint8_t len;
    char name[];
};

struct protocol {
    struct socket socket;
    struct worker *worker;
    struct list parts;
    struct list terms;
    struct part *main;
    struct part *taking; /* between fill and sent */
    uint32_t terms_count;
    uint32_t serials;
};

/* Reads one message and does what it says. */
void protocol_message(struct protocol *protocol, enum ws_opcode opcode, struct str data);

/* ---- protocol.c's, for the operations -------------------------------------------------------- */

struct session *protocol_session(const struct protocol *protocol);

/* Sends a JSON message and frees it. */
void protocol_send(struct protocol *protocol, struct buf *message);

/* Adds `{"op":"…"` and the ref, which is raw JSON or empty. */
void protocol_open(struct buf *message, const char *op, struct str ref);

void protocol_error(struct protocol *protocol, struct str ref, enum problem problem, const char *detail);

/* `names` are valid patterns. Answers by itself. */
void protocol_subscribe(struct protocol *protocol, struct str ref, const struct str *names,
                        size_t count, const struct start *start, bool silent);
void protocol_unsubscribe(struct protocol *protocol, const struct str *names, size_t count);
