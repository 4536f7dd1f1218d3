/* Base64 with the standard alphabet and padding (RFC 4648 section 4). */
#pragma once

#include "base/buf.h"

void base64_add(struct buf *buf, struct str bytes);

/* Adds the decoded bytes to `buf`. Strict: padding where due, no white space, no stray bits;
 * -EINVAL otherwise, and `buf` is as it was. */
int base64_decode(struct buf *buf, struct str text);
