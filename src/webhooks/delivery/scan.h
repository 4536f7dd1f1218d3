/* From the hub into lanes: the one reading of the log that an endpoint does. */
#pragma once

#include "webhooks/endpoint/endpoint.h"

/* Routes events into lanes until there are none, there is no room, or the turn's budget is spent.
 */
void scan(struct endpoint *endpoint);

/* Whether no more events may wait in memory. An endpoint without any may have one, whatever others
 * hold, so that it goes on. */
bool scan_is_crowded(const struct endpoint *endpoint);

/* Lets go of events at hand, of queues and of the hub, to begin again where the scan was. Attempts
 * go on. */
void scan_let_go(struct endpoint *endpoint);
