/* Receives requests as mail, and passes each to the function that carries it out. */
#pragma once

#include "webhooks/endpoint/shared.h"

/* Opens a courier_request: see courier->open_request. */
void requests_open(struct mail *mail, void *owner);
