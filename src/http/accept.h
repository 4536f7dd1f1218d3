/* The preferences of a client: Accept and Accept-Encoding (RFC 9110 section 12.5) and
 * Prefer (RFC 7240). */
#pragma once

#include "http/fields.h"

/* The quality of a media type, from 0 (not acceptable) to 1000, by the most specific range that
 * matches it. 1000 without a readable Accept. `*ret_specificity` (may be NULL) is 0 for no Accept
 * or no match, 1 for star/star, 2 for type/star, 3 for the type itself, more with parameters. */
unsigned http_accept_quality(const struct http_fields *fields, struct str media_type,
                             unsigned *ret_specificity);

/* The index of the best of `offers`; -1 if none is acceptable. The highest quality wins, then the
 * offer that the client named more exactly (as `text/event-stream, star/star` intends), then the
 * first. A range with parameters only matches an offer that has them; all offers are taken to have
 * charset=utf-8. */
int http_accept_best(const struct http_fields *fields, const struct str *offers, size_t count);

enum http_gzip_wish {
    HTTP_GZIP_NO,   /* not acceptable, or liked less than no coding */
    HTTP_GZIP_YES,  /* preferred, or liked as much as no coding */
    HTTP_GZIP_ONLY, /* no coding is not acceptable */
};

/* The wish of Accept-Encoding (section 12.5.3). Without the field, or with an unreadable one, a
 * client gets no coding. */
enum http_gzip_wish http_accept_gzip(const struct http_fields *fields);

/* Finds a preference in all Prefer fields; the first of that name counts (section 2). Returns false
 * if there is none. `*ret_value` is without quotes, and empty if the preference has no value. */
bool http_prefer(const struct http_fields *fields, struct str lowercase_name,
                 struct str *ret_value);

/* Reads `Prefer: wait=SECONDS` (section 4.3). Returns false without one, or if the first is
 * unreadable: such preferences are ignored. A value above UINT32_MAX becomes UINT32_MAX; a smaller
 * limit is the caller's to apply. */
bool http_prefer_wait(const struct http_fields *fields, uint32_t *ret_seconds);
