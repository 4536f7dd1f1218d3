/* Feeds values of header fields and parameters that say a time, a position or a condition to their
 * readers. What is read lies within its bounds, and comes back the same when it is written. */
#include "require.h"

#include "base/rfc3339.h"
#include "http/condition.h"
#include "subscribe/position.h"

#include <errno.h>
#include <string.h>

/* From the first to the last time whose year in UTC has four digits. An offset leads beyond them,
 * and such a time is written as the nearest of these. */
static const int64_t first_us = INT64_C(-62167219200000000), last_us = INT64_C(253402300799999999);

static int64_t nearest(int64_t us)
{
    return us < first_us ? first_us : us > last_us ? last_us : us;
}

static void check_time(struct str text)
{
    int64_t time_us, again_us = 0;
    struct buf written = {0};
    if (rfc3339_parse(text, &time_us))
        return;
    rfc3339_add(&written, time_us);
    require(written.len == RFC3339_LEN && !rfc3339_parse(buf_str(&written), &again_us));
    require(again_us == nearest(time_us));
    buf_free(&written);
}

static void check_position(struct str text)
{
    struct position position = {.told = 1, .last = 2};
    if (!position_read(&position, text))
        return;
    require(position.told == 1 && position.last == 2);
    require(position.kind != POSITION_CURSOR || position.id <= EVENT_ID_MAX);
    require(position.kind != POSITION_UNREADABLE && position.kind != POSITION_LAST);
}

static void check_tags(struct str text)
{
    struct str rest = text, opaque;
    struct http_etag etag;
    size_t count = 0;
    int more;
    while ((more = http_etag_next(&rest, &etag)) > 0) {
        require(etag.opaque.at > text.at && etag.opaque.at + etag.opaque.len < text.at + text.len);
        require(!memchr(etag.opaque.at, '"', etag.opaque.len));
        require(++count <= text.len);
    }
    require(more == 0 || more == -EINVAL);
    if (!http_if_match(text, &opaque))
        require(more == 0 && count == 1);
}

static void check_key(struct str text)
{
    char *room = malloc(16);
    size_t len = 0;
    require(room);
    int result = http_idempotency_key(text, room, 16, &len);
    require(result == 0 || result == -EINVAL || result == -EMSGSIZE);
    require(result || (len >= 1 && len <= 16));
    free(room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size + 1);
    require(copy);
    memcpy(copy, data, size);
    const struct str text = {copy, size};
    check_time(text);
    check_position(text);
    check_tags(text);
    check_key(text);
    free(copy);
    return 0;
}
