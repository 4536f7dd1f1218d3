#include "base/hash.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

/* Aborts on a failure of the library: only a lack of memory or a broken library can cause it, and
 * no caller could go on without its digest. */
static void must(int ok)
{
    if (ok != 1)
        abort();
}

void hash_prepare(void)
{
    uint8_t ignored[HASH_SHA1_SIZE];
    hash_sha1(STR_NONE, ignored);
}

void hash_sha256(struct str bytes, uint8_t ret[HASH_SHA256_SIZE])
{
    must(EVP_Digest(bytes.at, bytes.len, ret, NULL, EVP_sha256(), NULL));
}

void hash_sha1(struct str bytes, uint8_t ret[HASH_SHA1_SIZE])
{
    must(EVP_Digest(bytes.at, bytes.len, ret, NULL, EVP_sha1(), NULL));
}

static EVP_MAC_CTX *hmac_start(struct str key, const char *name)
{
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(hmac);
    must(context != NULL);
    EVP_MAC_free(hmac);
    char digest[8];
    (void)snprintf(digest, sizeof(digest), "%s", name); /* the parameter is not const */
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    /* NULL would mean "the key of last time"; an empty key is a key. */
    const char *at = key.len ? key.at : "";
    must(EVP_MAC_init(context, (const unsigned char *)at, key.len, params));
    return context;
}

static const char *const hmac_digests[HASH_KINDS] = {"SHA1", "SHA256", "SHA384", "SHA512"};

size_t hash_hmac(enum hash_kind kind, struct str key, const struct str *parts, size_t count,
                 uint8_t ret[HASH_SIZE_MAX])
{
    EVP_MAC_CTX *context = hmac_start(key, hmac_digests[kind]);
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        must(EVP_MAC_update(context, (const unsigned char *)parts[i].at, parts[i].len));
    must(EVP_MAC_final(context, ret, &size, HASH_SIZE_MAX));
    EVP_MAC_CTX_free(context);
    return size;
}

void hash_hmac_sha256(struct str key, const struct str *parts, size_t count,
                      uint8_t ret[HASH_SHA256_SIZE])
{
    uint8_t digest[HASH_SIZE_MAX];
    hash_hmac(HASH_SHA256, key, parts, count, digest);
    memcpy(ret, digest, HASH_SHA256_SIZE);
}

enum hash_kind hash_kind_of(struct str name)
{
    static const struct str names[HASH_KINDS] = {
        {"sha1", 4}, {"sha256", 6}, {"sha384", 6}, {"sha512", 6}};
    unsigned kind = 0;
    while (kind < HASH_KINDS && !str_eq(names[kind], name))
        kind++;
    return (enum hash_kind)kind;
}

void hash_write_hex(const uint8_t *bytes, size_t size, char *ret_digits)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        *ret_digits++ = digits[bytes[i] >> 4];
        *ret_digits++ = digits[bytes[i] & 15];
    }
}

bool hash_equal(struct str a, struct str b)
{
    return a.len == b.len && CRYPTO_memcmp(a.at, b.at, a.len) == 0;
}

void hash_random(void *out, size_t size)
{
    char *at = out;
    while (size) {
        ssize_t n = getrandom(at, size, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            abort();
        at += n;
        size -= (size_t)n;
    }
}
