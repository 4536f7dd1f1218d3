/* Writes the answers that are pages. */
#pragma once

#include "transport/reading.h"

/* How many bytes of events a page has at most, if it has more than one. */
enum { PAGE_BYTES = 1 << 20 };

/* The `told` of a page that has passed lost events: below all ids, so that the next request reports
 * the gap. */
enum { PAGE_KNOWS_NO_GAP = 1 };

struct page_content {
    struct str events; /* JSON, each followed by a comma */
    uint64_t cursor;
    uint64_t told;  /* up to which id the client knows of gaps, if that is not the cursor; else 0 */
    uint64_t first; /* the first event's id if events precede it, for rel="prev" */
    bool more;      /* more events follow at once */
    bool waited;    /* a poll that had to wait: only the link to the next page is sent */
};

/* Answers the exchange; the answer is cached for others with the same key. */
void page_answer(struct exchange *exchange, const struct reading *reading,
                 const struct page_content *content);

/* Answers 410: events of the gap are gone, or its `after` is no position of this log
 * (GAP_UNKNOWN). Does not free the reading. */
void page_answer_gap(struct exchange *exchange, const struct reading *reading,
                     const struct gap *gap);
