/* The description of the API by OpenAPI 3.2, made from the operations. */
#pragma once

#include "base/buf.h"

/* The two parts of the document: between them stand the servers, which depend on the request. */
struct openapi {
    struct buf front, back;
};

/* Both parts fail together: buf_failed() of `back`. `base` is the path under which the API hangs.
 */
void openapi_make(struct openapi *ret, struct str base);
void openapi_free(struct openapi *openapi);

/* Adds the part in the middle. `origin` is the address of the API, as the client calls it. */
void openapi_add_servers(struct buf *out, struct str origin);

/* Documents in JSON that the build embeds, see CMakeLists.txt. */
extern const struct str describe_webhooks, describe_security;
