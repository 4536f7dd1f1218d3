/* Error sentences about unknown names and wrong values. */
#pragma once

#include "base/buf.h"

/* Longer texts are cut when they are shown. */
enum { UNKNOWN_SHOWN_MAX = 40 };

/* Adds a client's text in quotes, cut, with `?` for each byte that is not visible ASCII. */
void unknown_add_text(struct buf *out, struct str text);

/* Adds `unknown WHAT "NAME": did you mean OTHER?`, or the list of known names if none is near.
 * `known` holds the names, separated by blanks. */
void unknown_add_name(struct buf *out, const char *what, struct str name, struct str known);

/* Adds `the WHAT "NAME" is there twice`, and why that is refused. */
void unknown_add_twice(struct buf *out, const char *what, struct str name);
