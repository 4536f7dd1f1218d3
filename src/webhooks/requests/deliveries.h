/* Requests about deliveries: reading the delivery log, and resends. */
#pragma once

#include "webhooks/endpoint/endpoint.h"

/* COURIER_DELIVERIES and COURIER_DELIVERY. */
void deliveries_show(struct courier_request *request, struct endpoint *endpoint);

/* COURIER_RETRY, for a delivery that waits or is in the delivery log. */
void deliveries_retry(struct courier_request *request, struct endpoint *endpoint);

/* COURIER_RETRY_ALL. */
void deliveries_retry_all(struct courier_request *request, struct endpoint *endpoint);

/* COURIER_DISCARD. */
void deliveries_discard(struct courier_request *request, struct endpoint *endpoint);
