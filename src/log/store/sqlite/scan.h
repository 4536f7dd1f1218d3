/* Reading a page's share from one file: by its index for few channels, in id order for many. */
#pragma once

#include "log/store/page.h"
#include "log/store/sqlite/damage.h"
#include "log/store/sqlite/trimmed_ids.h"
#include "log/store/sqlite/reader.h"

/* Adds the query's events in this segment to the page, in the query's direction. Returns 0 when all
 * were looked at, 1 when the page wants no more, or a negative errno. Damaged events are reported
 * and skipped. Any thread with a reference to the segment. */
int scan_segment(struct segment *segment, struct readers *readers,
                 const struct trimmed_ids *trimmed_ids, struct damage *damage, struct page *page);
