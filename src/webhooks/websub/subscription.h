/* WebSub on the courier's thread. A subscription is an endpoint with a topic and a lease.
 *
 * A request is answered at once. Then the callback is asked for its intent (section 5.3), and only
 * if it confirms does anything change: a renewal that fails leaves the subscription as it was. */
#pragma once

#include "webhooks/endpoint/endpoint.h"

/* Confirmed wishes that wait for their change to be saved. Strangers make them, faster than a disk
 * saves them. */
enum { WEBSUB_CONFIRMED_MAX = 1000 };

/* COURIER_HUB: reads a form, answers, and asks the callback. */
void websub_ask(struct courier *courier, struct courier_request *request);

/* Deletes the subscriptions whose lease has ended, and sets the timer for the next one. */
void websub_watch(struct courier *courier);

/* Tells a subscriber that its subscription has ended. */
void websub_deny(struct courier *courier, const struct endpoint_row *row, const char *reason);

/* Aborts the requests under way. */
void websub_end(struct courier *courier);
