/* Removes an endpoint that is in the directory. */
#pragma once

#include "webhooks/endpoint/endpoint.h"

/* Removes the endpoint from all tables and frees it. Waiting requests are opened, and find no
 * endpoint. Its rows on disk stay. */
void endpoint_remove_and_free(struct endpoint *endpoint);
