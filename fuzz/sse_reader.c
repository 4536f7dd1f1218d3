/* Feeds what a server may answer to the client's reader of server-sent events: nothing may crash or
 * read too far, no record may outgrow the limit, and the records must be the same however the bytes
 * come. The first byte is the size of the pieces. */
#include "require.h"

#include "client/lib/sse_reader.h"

#include <errno.h>

enum { RECORD_MAX = 200 };

/* Writes a record with the length of each part, so that different records have different texts. */
static void note(struct buf *out, const struct sse_record *record)
{
    require(record->data.len <= RECORD_MAX && record->event.len <= RECORD_MAX);
    require(record->id.len <= RECORD_MAX);
    require(!record->id.len || !memchr(record->id.at, '\0', record->id.len));
    buf_addf(out, "%d %zu %zu %zu %llu:", record->id.at != NULL, record->id.len, record->event.len,
             record->data.len, (unsigned long long)record->retry_ms);
    buf_add_str(out, record->id);
    buf_add_str(out, record->event);
    buf_add_str(out, record->data);
}

/* Reads all bytes in pieces, each in memory of its own. Returns 0 or the error that ended it. */
static int read_all(struct str bytes, size_t step, struct buf *out)
{
    struct sse_reader reader = {.record_max = RECORD_MAX};
    struct sse_record record;
    int result = SSE_MORE;
    for (size_t at = 0; at < bytes.len && result >= 0; at += step) {
        size_t len = bytes.len - at < step ? bytes.len - at : step;
        char *copy = malloc(len);
        require(copy);
        memcpy(copy, bytes.at + at, len);
        struct str piece = {copy, len};
        while ((result = sse_reader_feed(&reader, &piece, &record)) == SSE_RECORD)
            note(out, &record);
        require(result < 0 || !piece.len);
        free(copy);
    }
    sse_reader_deinit(&reader);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole = {0}, pieces = {0};
    if (size < 2)
        return 0;
    struct str bytes = {(const char *)data + 1, size - 1};
    int result = read_all(bytes, bytes.len, &whole);
    require(result == 0 || result == -EMSGSIZE);
    require(read_all(bytes, (size_t)(data[0] & 31) + 1, &pieces) == result);
    require(str_eq(buf_str(&whole), buf_str(&pieces)));
    buf_free(&pieces);
    buf_free(&whole);
    return 0;
}
