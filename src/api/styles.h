/* The style sheets of pages. A page that links to its sheets can be painted only when they have
 * come by requests of their own. So the server writes the sheets into the page, and the page's
 * policy allows exactly these, by their hashes. */
#pragma once

#include "base/buf.h"

/* Adds `page`, the HTML of the file at `path`, with its sheets in the place of the links to them.
 */
void styles_add_page(struct buf *out, struct str path, struct str page);

/* Adds the sheet that all pages have, for pages that handlers write. */
void styles_add_common(struct buf *out);

/* Adds the source of each sheet in `page` to a Content-Security-Policy: a blank, and the hash. */
void styles_add_sources(struct buf *out, struct str page);
