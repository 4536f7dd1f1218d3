/* /subscribers: who is subscribed, and disconnecting. */
#pragma once

#include "http/parameters.h"
#include "transport/exchange.h"

/* Answers all methods of /subscribers; `rest` is empty. */
void subscribers_handle(struct exchange *exchange, struct str rest);

/* The parameters of the request. */
struct parameter_table subscribers_parameters(void);
