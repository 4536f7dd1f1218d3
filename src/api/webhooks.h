/* /webhooks: hands requests over to the courier, and its answers back. */
#pragma once

#include "api/api.h"

/* `rest`: the raw path behind /webhooks. */
void webhooks_handle(struct exchange *exchange, struct courier *courier, struct str rest);
