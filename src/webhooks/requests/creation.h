/* Registrations under an Idempotency-Key: a request that is repeated, since its answer was lost,
 * finds the webhook that the first one made.
 *
 * The key and the body of the request are kept as hashes with the endpoint that it made, so they
 * are as durable as the endpoint and bounded like it. */
#pragma once

#include "webhooks/endpoint/endpoint.h"

/* Hashes the request's key and body; no effect without a key. */
struct creation creation_of(const struct courier_request *request);

/* If the request's key is known, answers the request and returns false. Otherwise reserves the key
 * until the request is answered. */
bool creation_begin(struct courier *courier, struct courier_request *request);

void creations_init(struct courier *courier);
void creations_deinit(struct courier *courier);
