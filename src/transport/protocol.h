/* freshet.v1: many channels over one WebSocket on /events, JSON both ways. */
#pragma once

#include "transport/socket.h"

/* Answers the handshake and speaks the protocol. `reading` (may be NULL) is a subscription that the
 * query asked for; taken over. */
void protocol_begin(struct exchange *exchange, struct reading *reading);
