#include "webhooks/wire/websub.h"

#include "base/hash.h"
#include "http/target.h"
#include "log/selection.h"

#include <errno.h>

/* Where the path of an absolute URL begins; the end if it has none. */
static size_t path_start(struct str url)
{
    size_t scheme = str_starts(url, STR("https://")) ? 8 : str_starts(url, STR("http://")) ? 7 : 0;
    if (!scheme)
        return url.len;
    const char *slash = memchr(url.at + scheme, '/', url.len - scheme);
    return slash ? (size_t)(slash - url.at) : url.len;
}

int websub_topic_channel(struct str topic, struct str base, struct buf *ret_channel)
{
    struct str path = str_skip(topic, path_start(topic));
    if (!path.len || memchr(path.at, '?', path.len) || memchr(path.at, '#', path.len) ||
        !str_starts(path, base))
        return -EINVAL;
    path = str_skip(path, base.len);
    if (str_starts(path, STR("/channels/")))
        path = str_skip(path, sizeof("/channels") - 1);
    else if (str_starts(path, STR("/topics/")))
        path = str_skip(path, sizeof("/topics") - 1);
    else
        return -EINVAL;
    buf_clear(ret_channel);
    int result = http_path_decode(path, ret_channel);
    if (result)
        return result < 0 ? result : -EINVAL;
    struct str name = buf_str(ret_channel);
    return name_valid(name, NULL) && !name_is_reserved(name) ? 0 : -EINVAL;
}

void websub_add_hub(struct buf *out, struct str topic, struct str base)
{
    buf_add(out, topic.at, path_start(topic));
    buf_add_str(out, base);
    buf_add_lit(out, "/hub");
}

void websub_add_signature(struct buf *out, struct str secret, struct str body)
{
    uint8_t digest[HASH_SHA256_SIZE];
    char digits[2 * HASH_SHA256_SIZE];
    hash_hmac_sha256(secret, &body, 1, digest);
    buf_add_lit(out, "sha256=");
    hash_write_hex(digest, sizeof(digest), digits);
    buf_add(out, digits, sizeof(digits));
}
