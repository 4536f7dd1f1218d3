/* Feeds permessage-deflate with hostile bytes: nothing may crash, no bomb may come out larger than
 * allowed, what we compress must come back as it was, and a decompressor that has seen something
 * broken must read the next message as if nothing had been. */
#include "require.h"

#include "ws/deflate.h"
#include "ws/deflate_testing.h"

#include <stdlib.h>
#include <string.h>

enum { OUT_MAX = 8192 };

static void try_round(struct ws_inflater *inflater, struct str message, unsigned bits)
{
    struct deflater deflater = {0};
    struct buf packed = {0}, out = {0};
    require(ws_deflate(&deflater, bits, message, &packed) == 0);
    require(ws_inflate(inflater, buf_str(&packed), message.len, &out) == 0);
    require(str_eq(buf_str(&out), message));
    buf_clear(&out);
    if (message.len)
        require(ws_inflate(inflater, buf_str(&packed), message.len - 1, &out) ==
                WS_INFLATE_TOO_BIG);
    deflater_deinit(&deflater);
    buf_free(&packed);
    buf_free(&out);
}

/* In pieces, with the message in another place each time, comes the same. */
static void try_pieces(struct ws_inflater *inflater, struct str bytes, int want, struct str whole)
{
    struct ws_inflating inflating;
    struct buf out = {0};
    char *copies[2] = {malloc(bytes.len + 1), malloc(bytes.len + 1)};
    require(copies[0] && copies[1]);
    for (int i = 0; i < 2; i++)
        memcpy(copies[i], bytes.at, bytes.len);
    int result =
        ws_inflate_begin(&inflating, inflater, (struct str){copies[0], bytes.len}, OUT_MAX, &out);
    require(!result);
    for (int i = 1; (result = ws_inflate_some(&inflating, 5)) == WS_INFLATE_MORE; i ^= 1)
        ws_inflate_move(&inflating, (struct str){copies[i], bytes.len});
    ws_inflate_end(&inflating);
    require(result == want && (result || str_eq(buf_str(&out), whole)));
    free(copies[0]);
    free(copies[1]);
    buf_free(&out);
}

/* The first byte chooses the window. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ws_inflater inflater = {0};
    struct buf out = {0};
    if (size < 1)
        return 0;
    unsigned bits = deflate_bits(DEFLATE_BITS_MIN + data[0] % 7);
    char *copy = malloc(size - 1 ? size - 1 : 1);
    require(copy && bits);
    memcpy(copy, data + 1, size - 1);
    struct str bytes = {copy, size - 1};
    int result = ws_inflate(&inflater, bytes, OUT_MAX, &out);
    require(result >= 0 && (result || out.len <= OUT_MAX));
    try_pieces(&inflater, bytes, result, buf_str(&out));
    try_round(&inflater, bytes, bits);
    free(copy);
    buf_free(&out);
    ws_inflater_deinit(&inflater);
    return 0;
}
