/* Measures how well an endpoint answers, which decides its class and thus its share of the requests
 * under way (see pool.h). */
#pragma once

#include "webhooks/endpoint/endpoint.h"

/* Resets the endpoint's standing: only its failures are known. */
void endpoint_begin_standing(struct endpoint *endpoint);
/* Called when a request has ended and `failures` is updated. */
void endpoint_judge(struct endpoint *endpoint, const struct call *call);
/* Called when a request was aborted for others that wait. */
void endpoint_gave_way(struct endpoint *endpoint);
/* When a request that begins now may be aborted for others. */
int64_t endpoint_overdue_ns(const struct endpoint *endpoint);
/* How many requests the endpoint itself allows to be under way. */
unsigned endpoint_most(const struct endpoint *endpoint);
