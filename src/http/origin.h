/* Host and Origin: what they name, and whether that is this machine itself. */
#pragma once

#include "base/str.h"

#include <stdint.h>

/* host [":" port], borrowed from the text. */
struct http_authority {
    struct str host; /* an IPv6 address with its brackets */
    bool has_port;   /* an empty port counts as none (RFC 3986 section 3.2.3) */
    uint16_t port;
};

/* Reads the value of Host, or the authority of a target. Narrower than RFC 3986: no user
 * information, and a name consists of unreserved characters alone, as all names do that resolve.
 * 0 or -EINVAL. */
int http_authority_parse(struct str text, struct http_authority *ret);

/* Whether a Host value names this machine by something that no name server can redirect:
 * `localhost`, `….localhost` (RFC 6761 section 6.3), an address of 127.0.0.0/8 as four decimal
 * numbers, or `[::1]`, with any port. Whatever else, malformed or not, is not loopback. */
bool http_host_is_loopback(struct str host);

/* The same for an Origin value: `http://` or `https://`, then such a host, then nothing. `null` is
 * not loopback. */
bool http_origin_is_loopback(struct str origin);

/* Whether this is written as browsers write an Origin, so that it can equal one: `http` or `https`,
 * a host without capitals, a port unless it is the scheme's own, and nothing behind it. */
bool http_origin_is_canonical(struct str origin);

/* The value of Origin in the head that `bytes` begin with, which need be neither whole nor valid:
 * a browser shows an answer to its page only if the answer names that page's origin, and so a
 * refusal of such a head too must know it. STR_NONE without a whole line of that name, and if there
 * are two. Looks no further than the empty line that ends the head. */
struct str http_origin_scan(struct str bytes);
