/* freshet.v1: many channels over one WebSocket on /events, JSON both ways. */
#pragma once

#include "transport/websocket.h"

/* Answers the handshake and speaks the protocol. `reading` (may be NULL) is what the query asked
 * for, a subscription if it selects a channel. Takes it over. */
void freshet_v1_begin(struct exchange *exchange, struct reading *reading);
