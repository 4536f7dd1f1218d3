/* The query parameters of routes: whatever a route's table does not allow is refused. */
#pragma once

#include "api/api.h"
#include "http/parameters.h"

/* Refuses a query that parameters_next() could not read, in the form of the mechanism. A malformed
 * id is the problem `bad_id`. Returns false. */
bool query_refuse(struct exchange *exchange, const struct parameters *parameters, int result,
                  enum problem bad_id);

/* Refuses a value that only the route can judge. Returns false. */
bool query_refuse_value(struct exchange *exchange, enum problem problem,
                        const struct parameter *row, struct str value);

/* Adds a parameter as "&NAME=VALUE" to the query for links to other pages. Characters that would
 * end the link are escaped. */
void query_keep(struct buf *kept, const struct parameter_found *found);

/* Whether the query has only parameters that are ignored everywhere; else the exchange was
 * answered. */
bool query_is_empty(struct exchange *exchange);
