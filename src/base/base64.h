/* Base64 with the standard alphabet and padding (RFC 4648 section 4), and base64url without padding
 * (section 5), as tokens have it (RFC 7515 section 2). */
#pragma once

#include "base/buf.h"

void base64_add(struct buf *buf, struct str bytes);

/* Adds the decoded bytes to `buf`. Returns -EINVAL, with `buf` unchanged, unless padding is exact,
 * stray bits are zero and there is no white space. */
int base64_decode(struct buf *buf, struct str text);

void base64url_add(struct buf *buf, struct str bytes);

/* Like base64_decode(). Padding is refused. */
int base64url_decode(struct buf *buf, struct str text);
