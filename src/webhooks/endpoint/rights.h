/* The rights to webhooks: who may make one, and who may see and change one that is there.
 *
 * A webhook on some channels takes `webhooks` on all of them, and, since it is a way to read them,
 * `read` as well. Requests about a webhook that is there take `webhooks` on all of its channels.
 * For others it does not exist. */
#pragma once

#include "webhooks/endpoint/endpoint.h"

/* Whether the asker may see and change the endpoint. */
bool rights_reach(const struct courier_request *request, const struct endpoint *endpoint);

/* Whether the asker may have a webhook on the channels of a JSON array, or on a single channel;
 * otherwise refuses the request. */
bool rights_allow(struct courier_request *request, const char *channels);
bool rights_allow_channel(struct courier_request *request, struct str channel);
