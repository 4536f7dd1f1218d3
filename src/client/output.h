/* Standard output of a command: what could not be written is told, and not lost in silence. */
#pragma once

#include "base/str.h"

/* Writes all of it at once, past stdio. 0, or 1 when it could not be written: then standard error
 * says so, for the command of that name. */
int output_write(const char *command, struct str bytes);

/* Ends a command: the exit code that it has, or 1 when what stdio still held could not be written,
 * which is told as above. */
int output_end(const char *command, int code);
