/* The position at which a webhook begins, or begins again. */
#pragma once

#include "webhooks/endpoint/endpoint.h"
#include "webhooks/endpoint/spec.h"

/* Begins at a position that the client does not claim, such as a time or the beginning: events that
 * were trimmed before are not a gap. */
void begin_at(struct endpoint *endpoint, uint64_t cursor);

/* The answer to a position that this log does not have. */
extern const char begin_beyond[];

/* Searches the store for the id that a time stands for. `found` is called in a later turn, with an
 * error if the store cannot be read or the courier stops. */
void begin_search(struct courier_request *request, struct endpoint *endpoint,
                  const struct spec *spec,
                  void (*found)(struct courier_request *request, struct endpoint *endpoint,
                                enum spec_verify verify, uint64_t id, int error));
