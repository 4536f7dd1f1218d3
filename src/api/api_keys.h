/* /keys: API keys are made, listed, shown and revoked. */
#pragma once

#include "http/parameters.h"
#include "transport/exchange.h"

/* Answers a request below /keys; `rest` as in a route. */
void api_keys_handle(struct exchange *exchange, struct str rest);

/* The parameters of the list. */
struct parameter_table api_key_list_parameters(void);
