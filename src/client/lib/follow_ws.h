/* Subscriptions over WebSocket: the subprotocol freshet.v1 at /events. */
#pragma once

#include "client/lib/following.h"

/* Runs a connection until it ends. */
enum follow_end follow_ws_run(struct following *following);

/* Whether a close code allows another attempt later. */
bool follow_ws_may_come_back(unsigned close_code);

/* Adds what a close says: its code, and its reason, behind the title of the problem that the reason
 * names. */
void follow_ws_add_close(struct buf *out, unsigned close_code, struct str reason);
