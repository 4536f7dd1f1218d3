/* Answers that many handlers give. */
#pragma once

#include "transport/exchange.h"

/* Answers with a problem document; a browser that opens a path that is not there, or that takes
 * other methods, gets a page (problem_page.h). */
void api_problem(struct exchange *exchange, enum problem problem, const char *detail);

/* The same refusal in the form of the request's mechanism: a browser's WebSocket gets a close code.
 */
void api_refuse(struct exchange *exchange, enum problem problem, const char *detail);

/* The same for a refusal at one of the doors. */
void api_refuse_as(struct exchange *exchange, const struct refusal *refusal);

/* Whether the caller has `admin` on the server as a whole; else the exchange was answered. */
bool api_is_admin(struct exchange *exchange);

/* Tells the audit that the caller has managed something, if there is one: without rules everybody
 * may. `members` as in problem_add(). */
void api_note_managed(struct exchange *exchange, const char *done, struct str members);

/* Answers 200 with the body, which is freed; 503 if there was no memory for all of it. */
void api_answer(struct exchange *exchange, const char *type, struct buf *body);

/* Answers 204: done, without a body. */
void api_done(struct exchange *exchange);

/* Answers 405 with what can be done; `methods` as in a route. */
void api_refuse_method(struct exchange *exchange, unsigned methods);

/* Adds a field that lists methods, and OPTIONS, which every path has. */
void api_add_methods(struct response *response, struct str field, unsigned methods);
