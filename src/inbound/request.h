/* What somebody else's webhook sent, as far as signatures and templates look at it. */
#pragma once

#include "http/fields.h"

/* All borrowed from the request that is at hand. */
struct inbound_request {
    const struct http_fields *fields;
    struct str body;  /* as it came: what signatures are made of */
    struct str plain; /* without its content coding, if that was undone; else at == NULL */
    int64_t now_s;    /* wall time */
};

/* The body as its sender means it. */
static inline struct str inbound_content(const struct inbound_request *request)
{
    return request->plain.at ? request->plain : request->body;
}
