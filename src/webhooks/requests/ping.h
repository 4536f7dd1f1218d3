/* Pings and handshakes: they find out whether the URL works and its receiver consents. */
#pragma once

#include "webhooks/endpoint/endpoint.h"
#include "webhooks/endpoint/spec.h"

/* Sends the ping after a creation, once a request may begin. */
void ping_first(struct endpoint *endpoint);

/* Sends a ping; the request is answered when it has ended. False if too many are under way, or
 * there is no memory. */
bool ping_start(struct endpoint *endpoint, struct courier_request *request);

/* Asks the receiver of a new endpoint for its consent, as `how` says. If it consents, `consented`
 * takes the endpoint over; else the request is refused and the endpoint freed. False as above; then
 * nothing was done. */
bool ping_verify(struct endpoint *endpoint, struct courier_request *request, enum spec_verify how,
                 void (*consented)(struct courier_request *request, struct endpoint *endpoint));

/* The endpoint goes away. */
void pings_forget(struct endpoint *endpoint);

/* Aborts all pings, and answers the requests that wait for one. */
void pings_end(struct courier *courier);
