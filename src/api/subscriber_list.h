/* GET /subscribers: a page of the subscriptions that go on, and the end of a single one. */
#pragma once

#include "http/parameters.h"
#include "transport/exchange.h"

/* Answers GET /subscribers. */
void subscriber_list_handle(struct exchange *exchange);

/* The parameters of the list. */
struct parameter_table subscriber_list_parameters(void);

/* Ends the subscription of this id, a connection's name, and answers how many were ended: one, or
 * none if it is gone. */
void subscriber_list_end(struct exchange *exchange, struct str id);
