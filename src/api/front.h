/* GET /: for a person a page that says what this server is, for a program the list of its paths. */
#pragma once

#include "transport/exchange.h"

void front_handle(struct exchange *exchange, struct str rest);
