#include "http/foreign.h"

enum { FRAME_SETTINGS = 4, FRAME_GOAWAY = 7, ENHANCE_YOUR_CALM = 11, INADEQUATE_SECURITY = 12 };

bool foreign_is_http2(struct str bytes)
{
    return str_starts(bytes, STR("PRI * HTTP/2.0\r\n"));
}

/* RFC 9113 section 4.1; on stream 0, without flags. */
static void add_frame_head(struct buf *out, size_t len, char type)
{
    buf_add_char(out, (char)(len >> 16));
    buf_add_char(out, (char)(len >> 8));
    buf_add_char(out, (char)len);
    buf_add_char(out, type);
    buf_add(out, "\0\0\0\0\0", 5);
}

void foreign_add_goaway(struct buf *out, enum foreign_refusal refusal, struct str why)
{
    add_frame_head(out, 0, FRAME_SETTINGS);
    add_frame_head(out, 8 + why.len, FRAME_GOAWAY);
    buf_add(out, "\0\0\0\0\0\0\0", 7); /* no stream was looked at */
    buf_add_char(out, refusal == FOREIGN_BARE ? INADEQUATE_SECURITY : ENHANCE_YOUR_CALM);
    buf_add_str(out, why);
}
