/* The position at which a webhook begins, or begins again. */
#pragma once

#include "webhooks/endpoint/endpoint.h"
#include "webhooks/endpoint/spec.h"

/* `start` is where the webhook begins. NULL if the request was refused: the store cannot be read,
 * the courier stops, or the log has no such position. */
typedef void begin_done(struct courier_request *request, struct endpoint *endpoint,
                        enum spec_verify verify, const struct start *start);

/* Finds the start that the spec asks for. `done` is called now or in a later turn. */
void begin_find(struct courier_request *request, struct endpoint *endpoint, const struct spec *spec,
                begin_done *done);

/* Begins there. */
void begin_at(struct endpoint *endpoint, const struct start *start);
