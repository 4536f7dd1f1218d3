/* /webhooks: hands requests to the courier, and its answers to the client. */
#pragma once

#include "api/api.h"

/* Answers 413 and returns false if the body is larger than the courier takes. */
bool webhooks_body_fits(struct exchange *exchange);

/* `rest` is the raw path behind /webhooks. */
void webhooks_handle(struct exchange *exchange, struct courier *courier, struct str rest);
