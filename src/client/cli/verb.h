/* The verbs of commands that have several, such as `freshet key create`. */
#pragma once

#include "base/buf.h"

/* For a command line whose verb is none of `known`, which are separated by blanks; `name` is NULL
 * without a verb. Returns COMMAND_LINE_HELP if it asks for help, or -EINVAL with the reason. */
int verb_refuse(const char *name, const char *known, struct buf *why);
