/* GET /errors: the types of problems, each with its page in plain words. */
#pragma once

#include "api/api.h"

/* Answers with a page for browsers, and with text for everybody else. */
void errors_handle(struct exchange *exchange, struct str rest);
