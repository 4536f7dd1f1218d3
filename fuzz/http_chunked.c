/* Feeds the decoder of chunked bodies with hostile bytes: nothing may crash or read too far, a body
 * must mean the same however it is cut, the end must be where a naive reading of the grammar finds
 * it, and what was decoded must survive being encoded and decoded again. */
#include "require.h"

#include "http/body.h"

#include <errno.h>
#include <stdlib.h>

static const struct http_limits limits = {.chunk_ext_max = 40, .trailer_max = 60};

/* Feeds one piece from memory of its own; returns the result, and how much was taken. */
static int feed_piece(struct http_chunked *chunked, struct str piece, struct buf *out, size_t *used)
{
    char *copy = malloc(piece.len ? piece.len : 1);
    struct str data;
    int result;
    require(copy);
    if (piece.len)
        memcpy(copy, piece.at, piece.len);
    struct str rest = {copy, piece.len};
    while ((result = http_chunked_feed(chunked, &limits, &rest, &data)) == HTTP_CHUNKED_DATA) {
        require(data.len > 0);
        buf_add_str(out, data);
    }
    require(result != -EAGAIN || rest.len == 0);
    require(chunked->decoded == out->len);
    *used = piece.len - rest.len;
    free(copy);
    return result;
}

static int decode(struct str bytes, size_t step, struct buf *out, size_t *ret_used)
{
    struct http_chunked chunked = {0};
    int result = -EAGAIN;
    size_t at = 0, used;
    while (result == -EAGAIN && at < bytes.len) {
        size_t len = bytes.len - at < step ? bytes.len - at : step;
        result = feed_piece(&chunked, (struct str){bytes.at + at, len}, out, &used);
        at += used;
    }
    require(result == -EAGAIN || result == HTTP_CHUNKED_END ||
            (result > HTTP_CHUNKED_DATA && result < HTTP_CHUNKED_E_COUNT));
    *ret_used = at;
    return result;
}

/* Reads a body that is known to be whole as simply as can be: what stands behind each size's line
 * is the chunk, and the empty line behind the last is the end. */
static void check_against_grammar(struct str body, struct str decoded)
{
    size_t at = 0, taken = 0;
    for (;;) {
        size_t size = (size_t)strtoull(body.at + at, NULL, 16);
        const char *line_end = memmem(body.at + at, body.len - at, "\r\n", 2);
        require(line_end);
        at = (size_t)(line_end - body.at) + 2;
        if (size == 0)
            break;
        require(size + 2 <= body.len - at && size <= decoded.len - taken);
        require(memcmp(body.at + at, decoded.at + taken, size) == 0);
        taken += size;
        at += size + 2;
    }
    require(taken == decoded.len);
    const char *end = memmem(body.at + at - 2, body.len - at + 2, "\r\n\r\n", 4);
    require(end && end + 4 == body.at + body.len);
}

static void check_encoded(struct str decoded)
{
    struct buf wire = {0}, out = {0};
    size_t used;
    size_t half = decoded.len / 2;
    http_chunk_add(&wire, (struct str){decoded.at, half});
    size_t opened = http_chunk_open(&wire);
    buf_add_str(&wire, str_skip(decoded, half));
    http_chunk_close(&wire, opened);
    http_chunk_end(&wire);
    require(decode(buf_str(&wire), SIZE_MAX, &out, &used) == HTTP_CHUNKED_END);
    require(used == wire.len && str_eq(buf_str(&out), decoded));
    buf_free(&wire);
    buf_free(&out);
}

static void try_body(struct str bytes, size_t step)
{
    struct buf whole = {0}, pieces = {0};
    size_t used, used_in_pieces;
    int result = decode(bytes, SIZE_MAX, &whole, &used);
    require(decode(bytes, step, &pieces, &used_in_pieces) == result);
    require(used == used_in_pieces && str_eq(buf_str(&whole), buf_str(&pieces)));
    if (result == HTTP_CHUNKED_END) {
        buf_add_char(&whole, '\0'); /* so that there is memory even for nothing */
        struct str decoded = {whole.at, whole.len - 1};
        check_against_grammar((struct str){bytes.at, used}, decoded);
        check_encoded(decoded);
    }
    buf_free(&whole);
    buf_free(&pieces);
}

/* The first byte is the size of the pieces; the rest is the body. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    char *copy = malloc(size);
    require(copy);
    memcpy(copy, data + 1, size - 1);
    copy[size - 1] = '\0'; /* for strtoull() above */
    try_body((struct str){copy, size - 1}, (size_t)(data[0] & 31) + 1);
    free(copy);
    return 0;
}
