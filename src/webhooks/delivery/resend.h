/* Resends: dead letters and earlier deliveries that the owner wants again. They go one at a time,
 * beside the ordinary lanes. */
#pragma once

#include "webhooks/endpoint/endpoint.h"

struct lane;

/* Adds a delivery to the resends. False if too many wait. */
bool resend_add(struct endpoint *endpoint, uint64_t n);

/* Adds all dead letters to the resends. */
void resend_all_dead(struct endpoint *endpoint);

/* Drops the events of a resend whose channels are not among the webhook's any more. */
void resend_drop_foreign(struct lane *lane);

/* Begins the next resend, if one waits and none is under way. */
void resend_next(struct endpoint *endpoint);
