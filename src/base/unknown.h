/* Sentences about names that are not known and values that are not right, for errors. */
#pragma once

#include "base/buf.h"

/* Longer texts are cut when they are shown. */
enum { UNKNOWN_SHOWN_MAX = 40 };

/* Adds a text of a client in quotes: cut, and with `?` for all that is not visible ASCII. */
void unknown_add_text(struct buf *out, struct str text);

/* Adds `unknown WHAT "NAME": did you mean OTHER?`, or all known names if none is near. `known` has
 * names parted by blanks. */
void unknown_add_name(struct buf *out, const char *what, struct str name, struct str known);

/* Adds `the WHAT "NAME" is there twice`, and why that is refused. */
void unknown_add_twice(struct buf *out, const char *what, struct str name);
