/* UTF-8 checking (RFC 3629): shortest forms only, no surrogates, nothing above U+10FFFF. */
#pragma once

#include "base/str.h"

#include <stdint.h>

/* Whether `s` is UTF-8 as a whole. Fast for ASCII. */
bool utf8_valid(struct str s);

/* A check of a text that comes in pieces, such as WebSocket fragments. A state of zeroes is the
 * start. */
struct utf8_state {
    uint32_t state;
};

/* Takes the next piece. Returns false as soon as no continuation could make the text valid: RFC
 * 6455 section 8.1 wants the failure at once. */
bool utf8_feed(struct utf8_state *state, struct str piece);

/* Whether the text may end here. */
bool utf8_done(const struct utf8_state *state);

/* Whether a text begins with a byte order mark, which editors and spreadsheets write. */
static inline bool utf8_has_mark(struct str text)
{
    return str_starts(text, STR("\xef\xbb\xbf"));
}
