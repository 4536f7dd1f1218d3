#include "client/lib/line_reader.h"

#include <errno.h>

static void forget_line(struct line_reader *reader)
{
    if (reader->handed_out)
        buf_clear(&reader->begun);
    reader->handed_out = false;
}

int line_reader_feed(struct line_reader *reader, struct str *bytes, struct str *ret_line)
{
    forget_line(reader);
    if (!bytes->len)
        return LINE_MORE;
    struct str rest = *bytes;
    struct str line = str_cut(&rest, '\n');
    bool whole = line.len < bytes->len;
    *bytes = whole ? rest : STR_NONE;
    if (line.len > reader->line_max - reader->begun.len)
        return -EMSGSIZE;
    if (whole && !reader->begun.len) {
        *ret_line = line;
        return LINE_READY;
    }
    buf_add_str(&reader->begun, line);
    if (buf_failed(&reader->begun))
        return -ENOMEM;
    if (!whole)
        return LINE_MORE;
    reader->handed_out = true;
    *ret_line = buf_str(&reader->begun);
    return LINE_READY;
}

int line_reader_end(struct line_reader *reader, struct str *ret_line)
{
    forget_line(reader);
    *ret_line = buf_str(&reader->begun);
    reader->handed_out = true;
    return ret_line->len ? LINE_READY : LINE_MORE;
}

void line_reader_deinit(struct line_reader *reader)
{
    buf_free(&reader->begun);
}
