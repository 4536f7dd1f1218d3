/* Readers of Host and Origin that tell whether these name this machine itself. */
#pragma once

#include "base/str.h"

#include <stdint.h>

/* host [":" port], borrowed from the text. */
struct http_authority {
    struct str host; /* an IPv6 address with its brackets */
    bool has_port;   /* an empty port counts as none (RFC 3986 section 3.2.3) */
    uint16_t port;
};

/* Reads the value of Host, or the authority of a target. Stricter than RFC 3986: no user
 * information, and only unreserved characters in a name, since no other name resolves. Returns 0 or
 * -EINVAL. */
int http_authority_parse(struct str text, struct http_authority *ret);

/* Whether a Host value names this machine in a form that no name server can redirect: `localhost`,
 * `….localhost` (RFC 6761 section 6.3), an address of 127.0.0.0/8 as four decimal numbers, or
 * `[::1]`, with any port. Everything else is not loopback, malformed or not. */
bool http_host_is_loopback(struct str host);

/* The same for a value that was read. */
bool http_authority_is_loopback(const struct http_authority *authority);

/* The same for an Origin value: `http://` or `https://`, then such a host, then nothing more.
 * `null` is not loopback. */
bool http_origin_is_loopback(struct str origin);

/* Whether an Origin is written as browsers write it, so that it can equal one of theirs: `http` or
 * `https`, a host without capitals, a port only if it is not the scheme's default, and nothing
 * behind it. */
bool http_origin_is_canonical(struct str origin);

/* The value of Origin in the head at the front of `bytes`, which may be incomplete or invalid. A
 * browser shows a response to its page only if the response names that page's origin, so even the
 * refusal of a bad head must know it. STR_NONE without a whole line of that name, or if there are
 * two. The search ends at the empty line behind the head. */
struct str http_origin_scan(struct str bytes);
