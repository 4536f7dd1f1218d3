/* The cookies that a request carries (RFC 6265 section 5.4). */
#pragma once

#include "http/fields.h"

/* The value of the cookie of that name, without quotes around it; `at == NULL` if there is none. If
 * several cookies have the name, the first counts: browsers send that of the longest path first. */
struct str http_cookie(const struct http_fields *fields, struct str name);
