/* /webhooks: hands requests to the courier, and its answers to who asked. */
#pragma once

#include "api/api.h"

/* `rest` is the raw path behind /webhooks. */
void webhooks_handle(struct exchange *exchange, struct courier *courier, struct str rest);
