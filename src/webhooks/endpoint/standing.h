/* How well an endpoint answers: from that follows its class, and with it its share of the requests
 * that may be under way (see pool.h). */
#pragma once

#include "webhooks/endpoint/endpoint.h"

/* Begins the endpoint's standing anew: only whether it failed is known of it. */
void endpoint_begin_standing(struct endpoint *endpoint);
/* A request has ended, and what follows for `failures` is done. */
void endpoint_judge(struct endpoint *endpoint, const struct call *call);
/* A request of it gave way to others that wait. */
void endpoint_gave_way(struct endpoint *endpoint);
/* When a request that begins now is to give way. */
int64_t endpoint_overdue_ns(const struct endpoint *endpoint);
/* How many requests it may have under way, as far as it is concerned alone. */
unsigned endpoint_most(const struct endpoint *endpoint);
