/* /webhooks: hands requests to the courier, and its answers to the client. */
#pragma once

#include "api/api.h"

/* Answers 413 and returns false if the body is larger than the courier takes. */
bool webhooks_body_fits(struct exchange *exchange);

/* Whether the caller may have webhooks on any channel; otherwise answers the refusal. The courier
 * asks about the channels of each webhook. */
bool webhooks_may_ask(struct exchange *exchange);

/* `rest` is the raw path behind /webhooks. */
void webhooks_handle(struct exchange *exchange, struct courier *courier, struct str rest);
