/* The query parameters of routes: whatever a route's table does not allow is refused. */
#pragma once

#include "api/api.h"
#include "http/parameters.h"

/* Takes a parameter, whose texts are valid during the call. False: the exchange was answered. */
typedef bool query_take(struct exchange *exchange, void *context,
                        const struct parameter_found *found);

/* Calls `take` for each parameter of the request's query, in their order. False: the exchange was
 * answered, by `take` or because the query is not one of the table; a malformed id is the problem
 * `bad_id`. */
bool query_read(struct exchange *exchange, struct parameter_table table, enum problem bad_id,
                query_take *take, void *context);

/* Whether there was memory for what was added; else the exchange was answered. */
bool query_has_room(struct exchange *exchange, const struct buf *added);

/* Refuses a value that only the route can judge. Returns false. */
bool query_refuse_value(struct exchange *exchange, enum problem problem,
                        const struct parameter *row, struct str value);

/* Adds a parameter as "&NAME=VALUE" to the query for links to other pages. Characters that would
 * end the link are escaped. */
void query_keep(struct buf *kept, const struct parameter_found *found);

/* Whether the query has only parameters that are ignored everywhere; else the exchange was
 * answered. */
bool query_is_empty(struct exchange *exchange);
