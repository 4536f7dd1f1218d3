/* A reader that cuts bytes, which come in pieces, into lines. */
#pragma once

#include "base/buf.h"

/* Zeroes except for the limit are the start. For one thread at a time. */
struct line_reader {
    size_t line_max;  /* in bytes, without the LF */
    struct buf begun; /* the part of an unfinished line that has come */
    bool handed_out;  /* `begun` is the line of the last call */
};

enum line_result { LINE_MORE = 0, LINE_READY = 1 };

/* Takes bytes from the front of `*bytes`. Returns LINE_READY with a line, without its LF, that is
 * valid until the next call; LINE_MORE when all bytes are taken; or -EMSGSIZE if a line is longer
 * than line_max, or -ENOMEM, which are final. */
int line_reader_feed(struct line_reader *reader, struct str *bytes, struct str *ret_line);

/* Ends the input. Returns LINE_READY if a line without an LF was left. */
int line_reader_end(struct line_reader *reader, struct str *ret_line);

/* Frees what the reader has gathered, and the last line with it. */
void line_reader_deinit(struct line_reader *reader);
