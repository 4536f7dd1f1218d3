/* An endpoint's state as the JSON that the API shows. */
#pragma once

#include "webhooks/endpoint/endpoint.h"

enum tell { TELL_LINE, TELL_ALL, TELL_SECRET };
/* Adds the endpoint as a JSON object. Only TELL_SECRET shows the secret. */
void endpoint_tell(const struct endpoint *endpoint, struct buf *out, enum tell tell);
