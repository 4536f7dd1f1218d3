/* The queries of routes: what a table of parameters does not allow is refused. */
#pragma once

#include "api/api.h"
#include "http/parameters.h"

/* Answers a query that parameters_next() has not read, as the mechanism tells refusals. A bad id is
 * the problem `bad_id`. Returns false. */
bool query_refuse(struct exchange *exchange, const struct parameters *parameters, int result,
                  enum problem bad_id);

/* Answers a value that only the route could judge. Returns false. */
bool query_refuse_value(struct exchange *exchange, enum problem problem,
                        const struct parameter *row, struct str value);

/* Adds a parameter as "&NAME=VALUE" to what links to other pages keep: as it came, but for
 * characters that would end the link. */
void query_keep(struct buf *kept, const struct parameter_found *found);

/* Whether the query has nothing but what is passed over everywhere; else the exchange was
 * answered. */
bool query_is_empty(struct exchange *exchange);
