/* The list of channels: GET /channels. */
#pragma once

#include "http/parameters.h"
#include "transport/http1_state.h"

/* Answers `?prefix=&after=&limit=` with channels by name, and a link to the following ones. A
 * reader's thread looks through the names: there may be a million. */
void listing_handle(struct exchange *exchange);

/* The parameters of the list. */
struct parameter_table listing_parameters(void);
