/* GET of the files that browsers get: /playground, /freshet.js and what lies below /pages. */
#pragma once

#include "api/api.h"

/* Answers with the file that the request's path names; /pages itself lists all. */
void api_pages_handle(struct exchange *exchange, struct str rest);

/* Adds what browsers must know of a page: it loads and asks for nothing from elsewhere. */
void api_pages_add_fields(struct response *response);
