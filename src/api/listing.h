/* The list of channels: GET /channels. */
#pragma once

#include "transport/http1_state.h"

/* Answers `?prefix=&after=&limit=` with channels by name, and a link to those that follow. The
 * names are looked through on a reader's thread: there may be a million. */
void listing_handle(struct exchange *exchange);
