/* The way of a request on the courier's thread: from its mail to the function that does it. */
#pragma once

#include "webhooks/endpoint/shared.h"

/* Opens a courier_request: see courier->open_request. */
void requests_open(struct mail *mail, void *owner);
