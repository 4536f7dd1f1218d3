/* Whether an endpoint works: what follows for it as a whole when its receiver accepts or fails.
 *
 * An endpoint that fails in several lanes, and accepts nothing, opens its *circuit*: from then on a
 * single request at a time, the probe, finds out whether the receiver is well again. An endpoint
 * that goes on failing is shown as failing, its owner is warned three times, and after
 * `webhooks.disable_after` it is disabled; 410 disables it at once. */
#pragma once

#include "webhooks/endpoint/lane.h"

/* The receiver accepted something. */
void health_accepted(struct endpoint *endpoint);

/* Called after a lane has failed and its own failures are counted. */
void health_strike(struct lane *lane);

/* Called after an attempt has failed. `asked_ms`: the receiver's Retry-After, 0 for none. Returns
 * false if the endpoint was disabled. */
bool health_failed(struct endpoint *endpoint, const struct call *call, int64_t asked_ms);

/* Disables the endpoint: unsubscribes it from the hub, and drops the queues of its lanes. */
void health_disable(struct endpoint *endpoint, const char *reason);

/* Sends the oldest failed lane as a probe, to find out whether the receiver works again. Closes the
 * circuit if no failed lane is left. */
void health_probe(struct endpoint *endpoint);
