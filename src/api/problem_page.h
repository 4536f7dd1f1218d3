/* The page of a refusal: for a person whose browser has opened a path that is not there. */
#pragma once

#include "transport/exchange.h"

/* Whether the refusal may be a page: then it has the field Vary. */
bool problem_page_may_be(const struct exchange *exchange, enum problem problem);
/* Whether this client prefers it to the document. */
bool problem_page_is_wanted(const struct exchange *exchange);
/* Adds the page. `methods` are those that the path takes, as in a route; 0: it is not there. */
void problem_page_add(struct buf *out, const struct exchange *exchange, enum problem problem,
                      struct str detail, unsigned methods);
