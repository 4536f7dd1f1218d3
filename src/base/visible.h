/* Text of strangers for people: terminals take control characters for orders, and forge lines,
 * titles or what is typed next by them. */
#pragma once

#include "base/buf.h"

/* Makes each control character a space (C0, DEL, and C1 as UTF-8 has it), and each byte that is no
 * UTF-8 a question mark. For words within a line. */
void visible_blank(char *at, size_t len);

/* Adds the text as a terminal may get it. Tabs and ends of lines stay; other control characters are
 * written as JSON would (\u001b), and bytes that are no UTF-8 as \x9b. So JSON stays the same JSON,
 * since it has such characters within strings alone. */
void visible_add(struct buf *out, struct str text);
