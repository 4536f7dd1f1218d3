/* The description of the messages by AsyncAPI 3.1: WebSockets, streams, and webhooks. */
#pragma once

#include "base/buf.h"

/* The two parts of the document: between them stand the servers, which depend on the request. */
struct asyncapi {
    struct buf front, back;
};

/* Both parts fail together: buf_failed() of `back`. */
void asyncapi_make(struct asyncapi *ret);
void asyncapi_free(struct asyncapi *asyncapi);

/* Adds the part in the middle. `host` is the name and port by which the client calls the server. */
void asyncapi_add_servers(struct buf *out, struct str base, struct str host, bool is_tls);

/* An address of the document, as it is in the table of operations; NULL behind the last. */
const char *asyncapi_address(size_t i);
