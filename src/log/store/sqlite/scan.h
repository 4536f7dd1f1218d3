/* Reading a page's share from one file: by its index for few channels, in id order for many. */
#pragma once

#include "log/store/page.h"
#include "log/store/sqlite/damage.h"
#include "log/store/sqlite/trimmed_ids.h"
#include "log/store/sqlite/reader.h"

/* Adds what the page's query asks for, as far as it is in this segment, in the query's direction.
 * 0 when all of it was looked at, 1 when the page wants no more, or a negative errno. Events that
 * are damaged on the disk are noted and passed over. Any thread that holds a reference to the
 * segment. */
int scan_segment(struct segment *segment, struct readers *readers,
                 const struct trimmed_ids *trimmed_ids, struct damage *damage, struct page *page);
