/* Pages of lists that are in the order of made.h: `limit` and `after` of the query, and `next` of
 * the answer. A page ends after `limit` rows, or with the row by which it reaches LIST_PAGE_BYTES:
 * a row of a key may have 64 KiB, and to write one holds up the worker. */
#pragma once

#include "access/made.h"
#include "base/json_writer.h"
#include "http/parameters.h"
#include "transport/exchange.h"

enum { LIST_PAGE_ROWS = 1000, LIST_PAGE_BYTES = 256 * 1024, LIST_PAGE_AFTER_MAX = 400 };

/* The rows of a table of parameters. */
#define LIST_PAGE_LIMIT                                                                            \
    {                                                                                              \
        .name = {"limit", 5}, .kind = PARAMETER_NUMBER, .least = 1, .most = LIST_PAGE_ROWS,        \
        .example = "100", .meant = "count size per_page page_size"                                 \
    }
#define LIST_PAGE_AFTER                                                                            \
    {                                                                                              \
        .name = {"after", 5}, .kind = PARAMETER_TEXT, .least = 1, .most = LIST_PAGE_AFTER_MAX,     \
        .right = "`next` of the page before", .example = "1795459080123456-YWJjZGVmZ2hpag",        \
        .meant = "cursor from start_after"                                                         \
    }

struct list_page {
    struct json_writer writer; /* into `body` */
    struct buf body, room, next;
    struct made after; /* the text of its id is in `room` */
    struct made last;  /* borrowed from the row, whose list is locked */
    uint64_t limit, count;
};

/* The page may not move until list_page_end(), which has to be called in any case. */
void list_page_begin(struct list_page *page);

/* Reads the value of `after`. False, after a refusal, if no page has told it. */
bool list_page_take_after(struct list_page *page, struct exchange *exchange,
                          const struct parameter *row, struct str value);

/* Opens the list with this name. */
void list_page_open(struct list_page *page, const char *name);

/* Whether a row is to be written; otherwise the page ends before it. */
bool list_page_takes(struct list_page *page, struct made row);

/* Answers with the page. */
void list_page_answer(struct list_page *page, struct exchange *exchange);

void list_page_end(struct list_page *page);
