/* The Date header: times as HTTP writes them (RFC 9110 section 5.6.7). */
#pragma once

#include "base/str.h"

/* Sun, 06 Nov 1994 08:49:37 GMT */
enum { HTTP_DATE_LEN = 29 };

/* A cache of the last date written, since many responses are sent in one second. One for each
 * thread; a cache of zeroes is empty. */
struct http_date {
    bool written;
    int64_t unix_seconds;
    char text[HTTP_DATE_LEN];
};

/* The date of `unix_seconds`, formatted only if the second has changed since the last call. The
 * text is valid until the next call. */
struct str http_date_cached(struct http_date *date, int64_t unix_seconds);
