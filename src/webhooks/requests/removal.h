/* The end of an endpoint that is in the directory. */
#pragma once

#include "webhooks/endpoint/endpoint.h"

/* Takes the endpoint out of everything, and frees it. Requests that wait for it are opened anew,
 * and find no endpoint. Its rows on disk stay. */
void endpoint_remove_and_free(struct endpoint *endpoint);
