/* /webhooks: hands requests to the courier, and its answers to the client. */
#pragma once

#include "api/api.h"
#include "http/parameters.h"

/* Answers 413 and returns false if the body is larger than the courier takes. */
bool webhooks_body_fits(struct exchange *exchange);

/* Whether the caller may have webhooks on any channel; otherwise answers the refusal. The courier
 * asks about the channels of each webhook. */
bool webhooks_may_ask(struct exchange *exchange);

/* Asks the operator's server, if it decides about that, whether the caller may have a webhook on
 * the channels. False: the exchange waits, or was answered. */
bool webhooks_ask_for(struct exchange *exchange, const struct str *channels, size_t count);

/* Answers a request that the courier has refused with the problem of its fault. */
void webhooks_refuse(struct exchange *exchange, const struct courier_request *request,
                     enum problem problem);

/* `rest` is the raw path behind /webhooks. */
void webhooks_handle(struct exchange *exchange, struct courier *courier, struct str rest);

/* The parameters of GET /webhooks/ID/deliveries. */
struct parameter_table webhooks_parameters(void);

/* A row of the table by which the rest of the path is read: the path behind /webhooks/ID, with #
 * for a number, or NULL for /webhooks itself. False behind the last. */
bool webhooks_path(size_t i, enum http_method *ret_method, const char **ret_path);
