/* Lists of all endpoints, written little by little: each costs as much as the endpoints have lanes.
 */
#pragma once

#include "webhooks/endpoint/endpoint.h"

/* Begins a list. */
void listing_start(struct courier *courier, struct courier_request *request);

/* Writes more of the lists that somebody waits for, for as long as a turn may take. */
void listings_go_on(struct courier *courier);
/* The endpoint goes away. It is still in the directory. */
void listings_forget(struct endpoint *endpoint);
/* Refuses the requests that wait for a list. */
void listings_end(struct courier *courier);
