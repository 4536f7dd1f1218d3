/* Changes of an endpoint by its owner: see put.h for how they are saved. */
#pragma once

#include "webhooks/endpoint/endpoint.h"

/* Carries out CHANGE, PAUSE, RESUME, ROTATE, RENEW, REPLAY and DELETE, of an endpoint that is not
 * busy. */
void change_endpoint(struct courier_request *request, struct endpoint *endpoint);
