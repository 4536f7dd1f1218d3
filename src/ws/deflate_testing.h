/* For tests only: a message that is decompressed in one piece. */
#pragma once

#include "ws/deflate.h"

#include <stdint.h>

/* Decompresses `bytes` to the end of `out`; returns as ws_inflate_some() does at the end. */
static inline int ws_inflate(struct ws_inflater *inflater, struct str bytes, size_t max,
                             struct buf *out)
{
    struct ws_inflating in;
    int r = ws_inflate_begin(&in, inflater, bytes, max, out);
    if (!r)
        r = ws_inflate_some(&in, SIZE_MAX);
    ws_inflate_end(&in);
    return r;
}
