/* Registrations under an Idempotency-Key: a request that is repeated, since its answer was lost,
 * finds the webhook that the first one made.
 *
 * The key and the body of the request are kept as hashes with the endpoint that it made, so they
 * are as durable as the endpoint and bounded like it. */
#pragma once

#include "webhooks/endpoint/endpoint.h"

/* The hashes of the request's key and body; not keyed without a key. */
struct creation creation_of(const struct courier_request *request);

/* Answers a request whose key is known, and returns false. Otherwise notes the key, so that no
 * other request creates under it until this one is answered. */
bool creation_begin(struct courier *courier, struct courier_request *request);

void creations_init(struct courier *courier);
void creations_deinit(struct courier *courier);
