/* A request that waits for an answer before it can be handled: who asks, say.
 *
 * A handler sees the head and the body where they lie in the worker's room, and only while it runs.
 * A request that has to wait takes copies of both along, and is handled again from them. Meanwhile
 * its connection begins no further request. */
#pragma once

#include "transport/exchange.h"

/* Takes copies of the request that is being handled. False if there is no memory: the exchange is
 * as before. */
bool exchange_park(struct exchange *exchange);

/* Handles it again. It must be parked, and its client still there. */
void exchange_unpark(struct exchange *exchange);

/* Frees the copies of an exchange that is not handled any more, if there are any. */
void exchange_drop_parked(struct exchange *exchange);
