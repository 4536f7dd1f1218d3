/* The name by which a client has called the server: for pages and documents that lead back to it.
 */
#pragma once

#include "transport/exchange.h"

/* Adds the host, with a port if it was given, as the client or its trusted proxies say it;
 * `otherwise` if that is unknown. Returns whether the client has called by https. */
bool called_add_host(struct buf *out, const struct exchange *exchange, struct str otherwise);

/* Adds the address of the API as clients write it: scheme, host and `base`. Of a client that has
 * not said a host, it is that of the default configuration. */
void called_add_origin(struct buf *out, const struct exchange *exchange, struct str base);
