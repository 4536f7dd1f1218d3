/* Permissions for messages of WebSockets, whose channels are known later than their request.
 *
 * A WebSocket whose messages the operator's server may decide about keeps evidence: copies of what
 * its handshake has shown. Other WebSockets keep nothing. A message that lacks a right waits for
 * the answer, in a copy, and is handled again then. Meanwhile the WebSocket reads nothing more, so
 * no message overtakes another, and one message is all that waits.
 *
 * A permission counts for the message that has asked for it. A subscription keeps it, by
 * freshet_v1_hold(), and ends with it. All of this is for the thread of the worker. */
#pragma once

#include "access/permission.h"
#include "transport/websocket.h"

/* For the worker's table. */
void permits_init(struct worker *worker);
void permits_deinit(struct worker *worker);

/* Keeps evidence for the WebSocket, which takes it over; NULL: none. False without memory: then
 * nobody is asked, and the messages have the rights of the connection's caller under the rules. */
bool permits_begin(struct websocket *websocket, struct evidence *evidence);

/* The WebSocket is gone. Fine without permits_begin(). */
void permits_end(struct websocket *websocket);

/* Has the WebSocket's protocol handle a message. */
void permits_handle(struct websocket *websocket, enum ws_opcode opcode, struct str data);

enum permit {
    PERMIT_GOES_ON, /* the doors decide, by permits_access() */
    PERMIT_WAITS,   /* the message is handled again */
    PERMIT_REFUSED, /* with the refusal */
};

/* Asks for what the message being handled lacks: the action on these terms. */
enum permit permits_find(struct websocket *websocket, enum action action, const struct str *terms,
                         size_t count, struct refusal *ret_refusal);

/* The access under which the message being handled asks. */
struct access permits_access(const struct websocket *websocket);

/* The permission that the message being handled has got, borrowed; NULL: none was asked for. */
struct caller *permits_caller(const struct websocket *websocket);

/* The evidence of a WebSocket, borrowed; NULL: nobody is asked. */
const struct evidence *permits_evidence(const struct websocket *websocket);

/* Puts other evidence, which it takes over, in the place of what is there. A message that waits is
 * asked for again, since the answer is for the credential before. NULL, or no place: nothing
 * changes. */
void permits_set_evidence(struct websocket *websocket, struct evidence *evidence);
