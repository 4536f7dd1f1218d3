/* Cuts bytes that come in pieces into lines. */
#pragma once

#include "base/buf.h"

/* All zeroes but the limit is the start. */
struct line_reader {
    size_t line_max;  /* bytes, without the LF */
    struct buf begun; /* of a line whose end has not come */
    bool handed_out;  /* `begun` is the line of the last call */
};

enum line_result { LINE_MORE = 0, LINE_READY = 1 };

/* Takes from the front of `*bytes`. LINE_READY with a line, without its LF, that stands until the
 * next call; LINE_MORE when all was taken; -EMSGSIZE when a line is longer than line_max, -ENOMEM:
 * both are final. */
int line_reader_feed(struct line_reader *reader, struct str *bytes, struct str *ret_line);

/* The end has come: LINE_READY if a line without an LF was left over. */
int line_reader_end(struct line_reader *reader, struct str *ret_line);

void line_reader_deinit(struct line_reader *reader);
