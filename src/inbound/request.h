/* A request from another party's webhook, as signatures and templates see it. */
#pragma once

#include "http/fields.h"

/* All parts are borrowed from the current request. */
struct inbound_request {
    const struct http_fields *fields;
    struct str body;  /* unchanged: the bytes that signatures cover */
    struct str plain; /* the body after its content coding was decoded; else at == NULL */
    struct str query; /* raw, of the request's URL; only challenges read it */
    int64_t now_s;    /* wall time */
};

/* The body with its content coding decoded, if it had one. */
static inline struct str inbound_content(const struct inbound_request *request)
{
    return request->plain.at ? request->plain : request->body;
}
