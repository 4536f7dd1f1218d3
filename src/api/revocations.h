/* /revocations: what subjects, tokens and keys were given is taken back. */
#pragma once

#include "http/parameters.h"
#include "transport/exchange.h"

/* Answers a request to /revocations; `rest` is empty. */
void api_revocations_handle(struct exchange *exchange, struct str rest);

/* The parameters of DELETE, and of GET. */
struct parameter_table revocations_parameters(void);
struct parameter_table revocation_list_parameters(void);
