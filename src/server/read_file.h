/* Reads a file that the configuration names, whole and of bounded size. */
#pragma once

#include "base/buf.h"

/* Appends the content of the file to `out`, which the caller frees in any case. Returns 0, or a
 * negative errno: -EFBIG if it has more than `most` bytes, -ENOMEM. */
int read_file(const char *path, size_t most, struct buf *out);
