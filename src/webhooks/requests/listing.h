/* Lists of all endpoints, written in slices: the cost of each grows with its lanes. */
#pragma once

#include "webhooks/endpoint/endpoint.h"

/* Begins a list. */
void listing_start(struct courier *courier, struct courier_request *request);

/* Continues the lists being written, until the turn's budget is spent. */
void listings_go_on(struct courier *courier);
/* Called before an endpoint is removed from the directory. */
void listings_forget(struct endpoint *endpoint);
/* Refuses the requests that wait for a list. */
void listings_end(struct courier *courier);
