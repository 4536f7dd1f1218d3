/* Keys for tests of tokens: the public ones of the RFCs, and pairs that are made anew. */
#pragma once

#include "access/token_keys.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>

/* RFC 7515 appendices A.1 to A.3, RFC 8037 appendix A.2. */
#define RFC_SECRET_JWK                                                                             \
    "{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4" \
    "hcgUuTwjAzZr1Z9CAow\"}"
#define RFC_RSA_JWK                                                                                \
    "{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-"   \
    "Vaw-"                                                                                         \
    "4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0"  \
    "LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5Z"  \
    "wKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"  \
    "\",\"e\":\"AQAB\"}"
#define RFC_P256_JWK                                                                               \
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","     \
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}"
#define RFC_ED25519_JWK                                                                            \
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}"

#define RFC_CLAIMS                                                                                 \
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl" \
    "fQ"

/* Ends a test whose key was not made. */
static inline void require_testing(bool truth, const char *why)
{
    if (truth)
        return;
    (void)fprintf(stderr, "%s\n", why);
    abort();
}

/* The set that a text holds. */
static inline struct token_keys *jwks_testing(struct str json)
{
    struct token_keys *keys = NULL;
    const char *why = "";
    require_testing(!token_keys_of_jwks(json, JWKS_PRIVATE, &keys, &why), why);
    return keys;
}

static inline EVP_PKEY *pair_testing(enum token_algorithm algorithm)
{
    EVP_PKEY *pair = algorithm == TOKEN_ES256   ? EVP_EC_gen("P-256")
                     : algorithm == TOKEN_EDDSA ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
                                                : EVP_RSA_gen(2048);
    require_testing(pair, "no pair");
    return pair;
}

/* The key in PEM form, which is to be freed with free(). */
static inline char *pem_testing(EVP_PKEY *pair, bool is_private)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *bytes = NULL;
    int done = is_private ? PEM_write_bio_PrivateKey(bio, pair, NULL, NULL, 0, NULL, NULL)
                          : PEM_write_bio_PUBKEY(bio, pair);
    require_testing(done == 1, "no PEM");
    long len = BIO_get_mem_data(bio, &bytes);
    char *pem = strndup(bytes, (size_t)len);
    BIO_free(bio);
    return pem;
}

/* A key of a PEM text. */
static inline struct token_key *pem_key_testing(enum token_algorithm algorithm, const char *pem)
{
    struct token_key *key = NULL;
    const char *why = "";
    require_testing(!token_key_of_pem(algorithm, str_from(pem), STR(""), &key, &why), why);
    return key;
}
