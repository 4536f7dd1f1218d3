/* Standard output of a command: a failed write is reported, not lost in silence. */
#pragma once

#include "base/str.h"

/* Writes all bytes at once, without stdio. To a terminal control characters are written out, since
 * the bytes may come from a server (base/visible.h). Returns 0, or 1 if they could not be written,
 * which is reported on standard error under the command's name. */
int output_write(const char *command, struct str bytes);

/* Ends a command. Returns `code`, or 1 if the rest of stdio's buffer could not be written, which is
 * reported in the same way. */
int output_end(const char *command, int code);
