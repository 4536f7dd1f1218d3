/* Receivers inside of this server: a webhook that shows a visitor of the playground what a receiver
 * is sent.
 *
 *     attempt ──call_post()──▶ inside ──▶ an event on CHANNEL/received ──▶ the page
 *                                │ it is safe: 201
 *                                ▼
 *                            call_end()
 *
 * The URL is ROW_INSIDE and the channel. No connection is made and no address is looked up, so the
 * rules about where webhooks may go have nothing to allow, and nobody can make such a webhook lead
 * elsewhere. All else (signature, order, retries, the delivery log) is as with any receiver. */
#pragma once

#include "webhooks/endpoint/endpoint.h"

/* How long such a webhook lives without being asked for again, how many there are at a time, and
 * how many of one visitor. */
enum { INSIDE_LEASE_S = 60, INSIDE_MAX = 100, INSIDE_MAX_OF_ONE = 10 };

void inside_init(struct courier *courier);

/* The client for requests to the endpoint's receiver. */
struct client *inside_client(struct endpoint *endpoint);
