/* Subscriptions over WebSocket: the subprotocol freshet.v1 at /events. */
#pragma once

#include "client/lib/following.h"

/* Runs a connection until it ends. */
enum follow_end follow_ws_run(struct following *following);

/* Whether a close code allows another attempt later. */
bool follow_ws_may_come_back(unsigned close_code);
