/* What a client prefers: Accept (RFC 9110 section 12.5.1) and Prefer (RFC 7240). */
#pragma once

#include "http/fields.h"

/* How welcome a media type is, 0 (not acceptable) to 1000, by the most specific range that
 * matches it. 1000 without a readable Accept. `*ret_specificity` (may be NULL) is 0 for no Accept
 * or no match, 1 for star/star, 2 for type/star, 3 for the type itself, more with parameters. */
unsigned http_accept_quality(const struct http_fields *fields, struct str media_type,
                             unsigned *ret_specificity);

/* The index of the best of `offers`: the highest quality, then the one that the client named more
 * exactly (so that `text/event-stream, star/star` means what it says), then the first. -1 when none
 * is acceptable. A range with parameters only matches an offer that has them, but all offers are
 * taken to have charset=utf-8. */
int http_accept_best(const struct http_fields *fields, const struct str *offers, size_t count);

/* Finds a preference in all Prefer fields; the first of that name counts (section 2). False when
 * there is none. `*ret_value` is without quotes, empty when it has none. */
bool http_prefer(const struct http_fields *fields, struct str lowercase_name,
                 struct str *ret_value);

/* `Prefer: wait=SECONDS` (section 4.3). False without one, or when the first is unreadable (such
 * preferences are ignored). More than UINT32_MAX is UINT32_MAX; to clamp it is the caller's. */
bool http_prefer_wait(const struct http_fields *fields, uint32_t *ret_seconds);
