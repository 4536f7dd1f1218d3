/* The description of the API by OpenAPI 3.2, made from the operations. */
#pragma once

#include "base/buf.h"

/* Adds the document. `base` is the path under which the API hangs. */
void openapi_add(struct buf *out, struct str base);

/* Documents in JSON that the build embeds, see CMakeLists.txt. */
extern const struct str describe_webhooks, describe_security;
