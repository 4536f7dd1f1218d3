#include "courier/sign.h"

#include "base/base64.h"
#include "base/hash.h"

#include <errno.h>
#include <stdio.h>

#define PREFIX STR("whsec_")

void sign_key_make(struct sign_key *ret)
{
    *ret = (struct sign_key){.len = SIGN_KEY_MADE};
    hash_random(ret->bytes, ret->len);
}

int sign_key_read(struct str text, struct sign_key *ret)
{
    struct buf key = {0};
    if (!str_starts(text, PREFIX) || text.len > 128)
        return -EINVAL;
    int result = base64_decode(&key, str_skip(text, PREFIX.len));
    if (!result && (key.len < SIGN_KEY_LEAST || key.len > SIGN_KEY_MOST))
        result = -EINVAL;
    if (!result) {
        *ret = (struct sign_key){.len = (uint8_t)key.len};
        memcpy(ret->bytes, key.at, key.len);
    }
    buf_free(&key);
    return result;
}

void sign_key_add(struct buf *out, const struct sign_key *key)
{
    buf_add_str(out, PREFIX);
    base64_add(out, (struct str){(const char *)key->bytes, key->len});
}

void sign_add(struct buf *out, const struct sign_key *key, struct str id, int64_t unix_seconds,
              struct str body)
{
    char time[24];
    uint8_t digest[HASH_SHA256_SIZE];
    int n = snprintf(time, sizeof(time), ".%lld.", (long long)unix_seconds);
    const struct str parts[] = {id, {time, (size_t)n}, body};
    hash_hmac_sha256((struct str){(const char *)key->bytes, key->len}, parts, 3, digest);
    buf_add_lit(out, "v1,");
    base64_add(out, (struct str){(const char *)digest, sizeof(digest)});
}
