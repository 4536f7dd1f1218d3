/* Moves events from the hub into lanes: the single reading of the log by an endpoint. */
#pragma once

#include "webhooks/endpoint/endpoint.h"

/* Routes events into lanes until there are none left, no room is left, or the turn's budget is
 * spent. */
void scan(struct endpoint *endpoint);

/* Whether no more events may wait in memory. An endpoint without any may always have one, so that
 * it makes progress whatever the others hold. */
bool scan_is_crowded(const struct endpoint *endpoint);

/* Drops the events at hand and the queues, and unsubscribes from the hub; the scan later begins
 * again at its position. Attempts continue. */
void scan_let_go(struct endpoint *endpoint);
