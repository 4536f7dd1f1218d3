/* GET /presence/{channel}: who is there. PUT /presence/{channel}/me: a state, or how far one has
 * read. */
#pragma once

#include "http/parameters.h"
#include "transport/exchange.h"

void presence_handle(struct exchange *exchange, struct str rest);

/* The part of the path that names the channel: of a PUT without the `/me` at its end. */
struct str presence_channel_path(enum http_method method, struct str rest);

/* The parameters of GET, and of PUT. */
struct parameter_table presence_parameters(void);
struct parameter_table presence_parameters_of_me(void);
