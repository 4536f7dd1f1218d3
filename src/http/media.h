/* Media types as Content-Type carries them (RFC 9110 section 8.3). */
#pragma once

#include "base/str.h"

/* Borrowed from the text; compare without case. */
struct http_media {
    struct str full;    /* type/subtype */
    struct str type;    /* before the slash */
    struct str subtype; /* behind it */
    struct str params;  /* for http_param_next(): empty, or begins with ';' */
};

/* Splits a media type and checks its parameters. Returns 0, or -EINVAL if it is none. */
int http_media_parse(struct str text, struct http_media *ret);

/* The value of the first parameter of that name, without quotes; `at == NULL` if there is none. */
struct str http_media_param(const struct http_media *media, struct str lowercase_name);

/* Whether it is JSON that says more than that: application/ld+json, with whatever parameters. */
bool http_media_is_special_json(const struct http_media *media);

/* Whether the charset parameter is absent, UTF-8 (also written utf8), or US-ASCII, a subset of
 * it. */
bool http_media_is_utf8(const struct http_media *media);
