/* The addresses of clients that proxies write into a request: `X-Forwarded-For`, and `Forwarded`
 * (RFC 7239); and how these clients have called the server: `X-Forwarded-Proto` and
 * `X-Forwarded-Host`, or the same field.
 *
 * Each proxy adds the address of its own peer at the end. The last one is therefore that of the
 * nearest proxy, and whatever a client has made up stands in front. So the list is read from its
 * end, and a quote that a client left open cannot swallow what proxies have added. */
#pragma once

#include "http/fields.h"

/* The walk through the addresses of a head. */
struct http_forwarded {
    const struct http_fields *fields;
    bool is_standard; /* Forwarded, in place of X-Forwarded-For */
    size_t field;     /* fields behind it were read */
    struct str rest;  /* the rest of that field; `at == NULL`: there is none */
};

static inline struct http_forwarded http_forwarded_walk(const struct http_fields *fields,
                                                        bool is_standard)
{
    return (struct http_forwarded){fields, is_standard, fields->count, STR_NONE};
}

/* The address before: as text, without port, brackets and quotes, and not checked any further.
 * Empty if an element has none, or hides it (`unknown`, `_name`). False: there are no more. */
bool http_forwarded_before(struct http_forwarded *walk, struct str *ret_address);

/* The scheme and the host by which the client has called, as the proxy says that the client has
 * reached: `steps` proxies from this server, 1 for the nearest. A proxy that replaces a field
 * writes less into it than those that add to it, so where fewer are there the first counts. Not
 * checked any further; empty if nothing is said. */
struct str http_forwarded_proto(const struct http_fields *fields, bool is_standard, unsigned steps);
struct str http_forwarded_host(const struct http_fields *fields, bool is_standard, unsigned steps);
