/* Deliveries that somebody wants sent again: dead letters, and what was delivered already. One at a
 * time, beside all that is in order. */
#pragma once

#include "webhooks/endpoint/endpoint.h"

/* Adds a delivery to those that are sent again. False if too many wait. */
bool resend_add(struct endpoint *endpoint, uint64_t n);

/* Adds all dead letters that there are. */
void resend_all_dead(struct endpoint *endpoint);

/* Fetches the next one, if there is any and none is being sent. */
void resend_next(struct endpoint *endpoint);
