#include "fetch/sign.h"

#include "base/base64.h"
#include "base/hash.h"

#include <errno.h>
#include <openssl/evp.h>
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

/* ---- v1a ------------------------------------------------------------------------------------- */

static int find_public(struct sign_pair *pair)
{
    size_t len = sizeof(pair->open);
    EVP_PKEY *key =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, pair->seed, sizeof(pair->seed));
    int result = key && EVP_PKEY_get_raw_public_key(key, pair->open, &len) == 1 ? 0 : -ENOMEM;
    EVP_PKEY_free(key);
    pair->set = !result;
    return result;
}

int sign_pair_make(struct sign_pair *ret)
{
    *ret = (struct sign_pair){0};
    hash_random(ret->seed, sizeof(ret->seed));
    return find_public(ret);
}

static int take_pair(struct str bytes, struct sign_pair *ret)
{
    if (bytes.len != 32 && bytes.len != 64)
        return -EINVAL;
    memcpy(ret->seed, bytes.at, sizeof(ret->seed));
    int result = find_public(ret);
    if (!result && bytes.len == 64 && memcmp(bytes.at + 32, ret->open, sizeof(ret->open)) != 0)
        result = -EINVAL;
    return result;
}

int sign_pair_read(struct str text, struct sign_pair *ret)
{
    struct buf bytes = {0};
    struct sign_pair pair = {0};
    if (!str_starts(text, STR("whsk_")) || text.len > 128)
        return -EINVAL;
    int result = base64_decode(&bytes, str_skip(text, 5));
    if (!result)
        result = take_pair(buf_str(&bytes), &pair);
    if (!result)
        *ret = pair;
    buf_free(&bytes);
    return result;
}

void sign_pair_add_public(struct buf *out, const struct sign_pair *pair)
{
    buf_add_lit(out, "whpk_");
    base64_add(out, (struct str){(const char *)pair->open, sizeof(pair->open)});
}

static bool sign_ed25519(const struct sign_pair *pair, struct str bytes, uint8_t ret[64])
{
    size_t len = 64;
    EVP_PKEY *key =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, pair->seed, sizeof(pair->seed));
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = key && context && EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 &&
                EVP_DigestSign(context, ret, &len, (const uint8_t *)bytes.at, bytes.len) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    return good;
}

void sign_pair_add(struct buf *out, const struct sign_pair *pair, struct str id,
                   int64_t unix_seconds, struct str body)
{
    struct buf bytes = {0}; /* ed25519 takes its bytes in one piece */
    uint8_t signature[64];
    buf_add_str(&bytes, id);
    buf_addf(&bytes, ".%lld.", (long long)unix_seconds);
    buf_add_str(&bytes, body);
    if (buf_failed(&bytes) || !sign_ed25519(pair, buf_str(&bytes), signature)) {
        out->failed = true;
    } else {
        buf_add_lit(out, "v1a,");
        base64_add(out, (struct str){(const char *)signature, sizeof(signature)});
    }
    buf_free(&bytes);
}
