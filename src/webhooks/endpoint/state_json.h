/* An endpoint's state as the JSON that the API shows. */
#pragma once

#include "base/json_writer.h"
#include "webhooks/endpoint/endpoint.h"

enum state_detail { STATE_LINE, STATE_ALL, STATE_SECRET };

/* Writes the endpoint as an object. STATE_LINE is for lists: it leaves out the last response, and
 * counts the lag less far. Only STATE_SECRET has the secret. */
void endpoint_state_write(const struct endpoint *endpoint, struct json_writer *writer,
                          enum state_detail detail);

/* Writes the endpoint and its id into the answer. */
void endpoint_state_answer(const struct endpoint *endpoint, struct courier_request *request,
                           enum state_detail detail);
