/* Creates endpoints: by a registration, and by a verified WebSub subscription. */
#pragma once

#include "webhooks/endpoint/endpoint.h"

/* COURIER_CREATE. */
void create_webhook(struct courier *courier, struct courier_request *request);

/* COURIER_SUBSCRIBE: `request->wish` was verified. */
void create_subscription(struct courier *courier, struct courier_request *request);

/* Refuses a URL that webhooks may not use. */
void create_refuse_target(struct courier_request *request);

/* Refuses the request if its subject has as many webhooks as it may. Returns whether it did. */
bool create_refuse_own(struct courier *courier, struct courier_request *request);

/* Makes or drops the key pair, as the options want. 0 or -ENOMEM. */
int create_fit_pair(struct endpoint_row *row);

/* Copies; ends the program without memory. */
char *create_text(const struct buf *buf);

/* A webhook of the playground for the channel in the request's body: its receiver is inside of this
 * server, and it ends with its lease unless the same request comes again. */
void create_visit(struct courier *courier, struct courier_request *request);

/* When a lease ends that begins now. */
int64_t create_lease_until_us(struct courier *courier, uint64_t lease_s);
