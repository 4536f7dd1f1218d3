/* /revocations: what subjects, tokens and keys were given is taken back. */
#pragma once

#include "http/parameters.h"
#include "transport/exchange.h"

/* Answers a request to /revocations; `rest` is empty. */
void api_revocations_handle(struct exchange *exchange, struct str rest);

/* The parameters of GET and DELETE. */
struct parameter_table revocations_parameters(void);
