/* WebSub on the courier's thread. A subscription is an endpoint with a topic and a lease. Whoever
 * asks is answered at once; then the callback is asked whether it wants that (section 5.3), and
 * only if it says so anything changes: a renewal that fails leaves the subscription as it was. */
#pragma once

#include "webhooks/endpoint/endpoint.h"

/* COURIER_HUB: reads a form, answers, and asks the callback. */
void websub_ask(struct courier *courier, struct courier_request *request);

/* Looks when the next lease ends; those that have ended are deleted. */
void websub_watch(struct courier *courier);

/* Tells a subscriber that it is none any more. */
void websub_deny(struct courier *courier, const struct endpoint_row *row, const char *reason);

/* Breaks off what is under way. */
void websub_end(struct courier *courier);
