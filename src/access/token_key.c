/* All arithmetic is OpenSSL's. This file holds what RFC 7518 says around it: which key an algorithm
 * may have, how long it must be, and the form of a signature. */
#include "access/token_key.h"

#include "base/hash.h"
#include "base/mem.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>

enum {
    P256_SIZE = 32,
    P256_SIGNATURE_SIZE = 64,
    ED25519_SIZE = 32,
    ED25519_SIGNATURE_SIZE = 64,
    RSA_E_SIZE_MAX = 8
};

struct token_key {
    enum token_algorithm algorithm;
    struct buf kid;
    struct buf secret; /* of a shared algorithm */
    EVP_PKEY *pair;    /* of all others */
    bool signs;
};

static const struct algorithm {
    const char *name;
    size_t secret_least;
    enum hash_kind hash; /* of a shared algorithm */
    int kind;            /* the key that OpenSSL takes */
} algorithms[TOKEN_ALGORITHMS] = {
    [TOKEN_HS256] = {"HS256", 32, HASH_SHA256, EVP_PKEY_NONE},
    [TOKEN_HS384] = {"HS384", 48, HASH_SHA384, EVP_PKEY_NONE},
    [TOKEN_HS512] = {"HS512", 64, HASH_SHA512, EVP_PKEY_NONE},
    [TOKEN_RS256] = {"RS256", 0, HASH_KINDS, EVP_PKEY_RSA},
    [TOKEN_PS256] = {"PS256", 0, HASH_KINDS, EVP_PKEY_RSA},
    [TOKEN_ES256] = {"ES256", 0, HASH_KINDS, EVP_PKEY_EC},
    [TOKEN_EDDSA] = {"EdDSA", 0, HASH_KINDS, EVP_PKEY_ED25519},
};

const char *token_algorithm_name(enum token_algorithm algorithm)
{
    return algorithms[algorithm].name;
}

enum token_algorithm token_algorithm_of(struct str name)
{
    unsigned algorithm = 0;
    if (str_eq(name, STR("Ed25519")))
        return TOKEN_EDDSA;
    while (algorithm < TOKEN_ALGORITHMS && !str_eq(str_from(algorithms[algorithm].name), name))
        algorithm++;
    return (enum token_algorithm)algorithm;
}

/* ---- making ---------------------------------------------------------------------------------- */

static int refuse(const char **ret_why, const char *why)
{
    *ret_why = why;
    return -EINVAL;
}

void token_key_free(struct token_key *key)
{
    if (!key)
        return;
    buf_wipe(&key->secret);
    buf_free(&key->kid);
    EVP_PKEY_free(key->pair);
    free(key);
}

/* Makes a key around `pair`, which is taken over in any case. */
static int make(enum token_algorithm algorithm, EVP_PKEY *pair, struct str secret, struct str kid,
                struct token_key **ret)
{
    struct token_key *key = mem_alloc(sizeof(*key));
    *key = (struct token_key){.algorithm = algorithm, .pair = pair};
    buf_add_str(&key->secret, secret);
    buf_add_str(&key->kid, kid);
    if (buf_failed(&key->secret) || buf_failed(&key->kid)) {
        token_key_free(key);
        return -ENOMEM;
    }
    *ret = key;
    return 0;
}

static bool is_kid(struct str kid, const char **ret_why)
{
    if (kid.len <= TOKEN_KID_MAX)
        return true;
    *ret_why = "the key's id (kid) has more than 255 bytes";
    return false;
}

int token_key_of_secret(enum token_algorithm algorithm, struct str secret, struct str kid,
                        struct token_key **ret, const char **ret_why)
{
    static const char *const short_words[] = {"an HS256 secret has at least 32 bytes",
                                              "an HS384 secret has at least 48 bytes",
                                              "an HS512 secret has at least 64 bytes"};
    if (!is_kid(kid, ret_why))
        return -EINVAL;
    if (!token_algorithm_is_shared(algorithm))
        return refuse(ret_why, "a secret is for HS256, HS384 or HS512");
    if (secret.len < algorithms[algorithm].secret_least)
        return refuse(ret_why, short_words[algorithm]);
    if (secret.len > TOKEN_SECRET_MAX)
        return refuse(ret_why, "the secret has more than 1024 bytes");
    int result = make(algorithm, NULL, secret, kid, ret);
    if (!result)
        (*ret)->signs = true;
    return result;
}

static enum token_algorithm default_algorithm(const EVP_PKEY *pair)
{
    unsigned algorithm = TOKEN_RS256;
    while (algorithm < TOKEN_ALGORITHMS && algorithms[algorithm].kind != EVP_PKEY_get_base_id(pair))
        algorithm++;
    return (enum token_algorithm)algorithm;
}

static bool is_p256(const EVP_PKEY *pair)
{
    char name[32] = "";
    return EVP_PKEY_get_group_name(pair, name, sizeof(name), NULL) == 1 &&
           (strcmp(name, "prime256v1") == 0 || strcmp(name, "P-256") == 0);
}

/* Whether the key is one for the algorithm; if not, the cause is in `ret_why`. */
static bool fits(const EVP_PKEY *pair, enum token_algorithm algorithm, const char **ret_why)
{
    int bits = EVP_PKEY_get_bits(pair), kind = EVP_PKEY_get_base_id(pair);
    *ret_why = NULL;
    if (algorithm == TOKEN_ALGORITHMS)
        *ret_why = "the key is neither RSA nor P-256 nor Ed25519";
    else if (token_algorithm_is_shared(algorithm))
        *ret_why = "HS256, HS384 and HS512 take a secret, not a public key";
    else if (algorithms[algorithm].kind != kind)
        *ret_why = "the key is not one for this algorithm: RS256 and PS256 take RSA, ES256 takes "
                   "P-256, EdDSA takes Ed25519";
    else if (kind == EVP_PKEY_RSA && (bits < TOKEN_RSA_BITS_LEAST || bits > TOKEN_RSA_BITS_MOST))
        *ret_why = "an RSA key has 2048 to 8192 bits";
    else if (kind == EVP_PKEY_EC && !is_p256(pair))
        *ret_why = "ES256 takes a key on the curve P-256";
    return !*ret_why;
}

/* Makes a key of a public key, which is taken over in any case. NULL: the library refused it. */
static int make_public(enum token_algorithm algorithm, EVP_PKEY *pair, struct str kid,
                       struct token_key **ret, const char **ret_why)
{
    ERR_clear_error();
    if (!pair)
        return refuse(ret_why, "the key is not valid");
    if (algorithm == TOKEN_ALGORITHMS)
        algorithm = default_algorithm(pair);
    if (is_kid(kid, ret_why) && fits(pair, algorithm, ret_why))
        return make(algorithm, pair, STR_NONE, kid, ret);
    EVP_PKEY_free(pair);
    return -EINVAL;
}

/* ---- PEM ------------------------------------------------------------------------------------- */

/* Keys with a passphrase are refused: there is nobody to ask. */
static int no_passphrase(char *room, int size, int writing, void *context)
{
    (void)room, (void)size, (void)writing, (void)context;
    return -1;
}

static EVP_PKEY *read_certificate(BIO *bio)
{
    X509 *certificate = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
    EVP_PKEY *pair = certificate ? X509_get_pubkey(certificate) : NULL;
    X509_free(certificate);
    return pair;
}

static EVP_PKEY *read_pem(struct str pem, bool *ret_signs)
{
    BIO *bio = BIO_new_mem_buf(pem.at, (int)pem.len);
    EVP_PKEY *pair = bio ? PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL) : NULL;
    if (bio && !pair && BIO_reset(bio) == 1)
        pair = read_certificate(bio);
    *ret_signs = !pair;
    if (bio && !pair && BIO_reset(bio) == 1)
        pair = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    return pair;
}

int token_key_of_pem(enum token_algorithm algorithm, struct str pem, struct str kid,
                     struct token_key **ret, const char **ret_why)
{
    bool signs = false;
    if (pem.len > TOKEN_PEM_MAX)
        return refuse(ret_why, "the file is larger than 64 KiB");
    EVP_PKEY *pair = read_pem(pem, &signs);
    ERR_clear_error();
    if (!pair)
        return refuse(ret_why, "the file holds no public key, certificate or private key in PEM "
                               "form that has no passphrase");
    int result = make_public(algorithm, pair, kid, ret, ret_why);
    if (!result)
        (*ret)->signs = signs;
    return result;
}

/* ---- numbers --------------------------------------------------------------------------------- */

static EVP_PKEY *from_data(const char *type, OSSL_PARAM_BLD *build)
{
    EVP_PKEY *pair = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    bool good = params && context && EVP_PKEY_fromdata_init(context) == 1 &&
                EVP_PKEY_fromdata(context, &pair, EVP_PKEY_PUBLIC_KEY, params) == 1;
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    if (good)
        return pair;
    EVP_PKEY_free(pair);
    return NULL;
}

/* Whether the point is on the curve and not at infinity. */
static EVP_PKEY *checked(EVP_PKEY *pair)
{
    EVP_PKEY_CTX *context = pair ? EVP_PKEY_CTX_new_from_pkey(NULL, pair, NULL) : NULL;
    bool good = context && EVP_PKEY_public_check(context) == 1;
    EVP_PKEY_CTX_free(context);
    if (good)
        return pair;
    EVP_PKEY_free(pair);
    return NULL;
}

static BIGNUM *number_of(struct str bytes)
{
    return BN_bin2bn((const unsigned char *)bytes.at, (int)bytes.len, NULL);
}

static EVP_PKEY *rsa_of(struct str n, struct str e)
{
    BIGNUM *modulus = number_of(n), *exponent = number_of(e);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    EVP_PKEY *pair = NULL;
    if (modulus && exponent && build &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, exponent) == 1)
        pair = from_data("RSA", build);
    OSSL_PARAM_BLD_free(build);
    BN_free(exponent);
    BN_free(modulus);
    return pair;
}

static bool is_odd(struct str number)
{
    return number.at[number.len - 1] & 1;
}

int token_key_of_rsa(enum token_algorithm algorithm, struct str n, struct str e, struct str kid,
                     struct token_key **ret, const char **ret_why)
{
    if (!n.len || n.len > TOKEN_SIGNATURE_MAX || !n.at[0])
        return refuse(ret_why, "an RSA key has 2048 to 8192 bits");
    if (!e.len || e.len > RSA_E_SIZE_MAX || !e.at[0])
        return refuse(ret_why, "the exponent of an RSA key has 1 to 8 bytes");
    /* The library's check would also search for factors of the modulus: that of a single key takes
     * up to a second, and a set may have hundreds. */
    if (!is_odd(n) || !is_odd(e) || (e.len == 1 && e.at[0] == 1))
        return refuse(ret_why, "the key is not valid");
    if (algorithm == TOKEN_ALGORITHMS)
        algorithm = TOKEN_RS256;
    EVP_PKEY *pair = rsa_of(n, e);
    return make_public(algorithm, pair, kid, ret, ret_why);
}

int token_key_of_p256(struct str x, struct str y, struct str kid, struct token_key **ret,
                      const char **ret_why)
{
    unsigned char point[1 + 2 * P256_SIZE] = {POINT_CONVERSION_UNCOMPRESSED};
    EVP_PKEY *pair = NULL;
    if (x.len != P256_SIZE || y.len != P256_SIZE)
        return refuse(ret_why, "a coordinate of a P-256 key has 32 bytes");
    memcpy(point + 1, x.at, P256_SIZE);
    memcpy(point + 1 + P256_SIZE, y.at, P256_SIZE);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    if (build &&
        OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)) == 1)
        pair = checked(from_data("EC", build));
    OSSL_PARAM_BLD_free(build);
    return make_public(TOKEN_ES256, pair, kid, ret, ret_why);
}

int token_key_of_ed25519(struct str x, struct str kid, struct token_key **ret, const char **ret_why)
{
    if (x.len != ED25519_SIZE)
        return refuse(ret_why, "an Ed25519 key has 32 bytes");
    EVP_PKEY *pair =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, (const unsigned char *)x.at, x.len);
    return make_public(TOKEN_EDDSA, pair, kid, ret, ret_why);
}

/* ---- use ------------------------------------------------------------------------------------- */

enum token_algorithm token_key_algorithm(const struct token_key *key)
{
    return key->algorithm;
}

struct str token_key_kid(const struct token_key *key)
{
    return buf_str(&key->kid);
}

bool token_key_signs(const struct token_key *key)
{
    return key->signs;
}

static bool verifies_shared(const struct token_key *key, struct str text, struct str signature)
{
    uint8_t digest[HASH_SIZE_MAX];
    size_t size =
        hash_hmac(algorithms[key->algorithm].hash, buf_str(&key->secret), &text, 1, digest);
    return hash_equal((struct str){(const char *)digest, size}, signature);
}

/* RFC 7518 section 3.5: the salt is as long as the digest. */
static bool set_padding(EVP_PKEY_CTX *context, enum token_algorithm algorithm)
{
    if (algorithm != TOKEN_PS256)
        return true;
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
}

static const EVP_MD *digest_of(enum token_algorithm algorithm)
{
    return algorithm == TOKEN_EDDSA ? NULL : EVP_sha256();
}

static bool verifies_by_pair(const struct token_key *key, struct str text, struct str signature)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *own = NULL; /* the context's */
    bool good =
        context &&
        EVP_DigestVerifyInit(context, &own, digest_of(key->algorithm), NULL, key->pair) == 1 &&
        set_padding(own, key->algorithm) &&
        EVP_DigestVerify(context, (const unsigned char *)signature.at, signature.len,
                         (const unsigned char *)text.at, text.len) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error(); /* else the thread's next failure of TLS would be told in its words */
    return good;
}

/* Rewrites the two numbers of an ES256 signature as the DER that OpenSSL takes. Returns its length,
 * with the bytes in `*ret`, to be freed; or a number below 1. */
static int der_of(struct str signature, unsigned char **ret)
{
    const unsigned char *at = (const unsigned char *)signature.at;
    ECDSA_SIG *numbers = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(at, P256_SIZE, NULL), *s = BN_bin2bn(at + P256_SIZE, P256_SIZE, NULL);
    int len = -1;
    if (numbers && r && s && ECDSA_SIG_set0(numbers, r, s) == 1) {
        r = s = NULL; /* taken over */
        len = i2d_ECDSA_SIG(numbers, ret);
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(numbers);
    return len;
}

static bool verifies_p256(const struct token_key *key, struct str text, struct str signature)
{
    unsigned char *der = NULL;
    int len = signature.len == P256_SIGNATURE_SIZE ? der_of(signature, &der) : -1;
    bool good = len > 0 && verifies_by_pair(key, text, (struct str){(char *)der, (size_t)len});
    OPENSSL_free(der);
    return good;
}

bool token_key_verifies(const struct token_key *key, struct str text, struct str signature)
{
    if (token_algorithm_is_shared(key->algorithm))
        return verifies_shared(key, text, signature);
    if (key->algorithm == TOKEN_ES256)
        return verifies_p256(key, text, signature);
    if (key->algorithm == TOKEN_EDDSA && signature.len != ED25519_SIGNATURE_SIZE)
        return false;
    return verifies_by_pair(key, text, signature);
}

static void sign_shared(const struct token_key *key, struct str text, struct buf *out)
{
    uint8_t digest[HASH_SIZE_MAX];
    size_t size =
        hash_hmac(algorithms[key->algorithm].hash, buf_str(&key->secret), &text, 1, digest);
    buf_add(out, digest, size);
}

/* Fills `ret`, of TOKEN_SIGNATURE_MAX bytes, and returns the length; 0 if the library fails. */
static size_t sign_by_pair(const struct token_key *key, struct str text, unsigned char *ret)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *own = NULL;
    size_t size = TOKEN_SIGNATURE_MAX;
    bool good =
        context &&
        EVP_DigestSignInit(context, &own, digest_of(key->algorithm), NULL, key->pair) == 1 &&
        set_padding(own, key->algorithm) &&
        EVP_DigestSign(context, ret, &size, (const unsigned char *)text.at, text.len) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return good ? size : 0;
}

/* Rewrites DER as the two numbers, each 32 bytes. Returns the new length, or 0. */
static size_t numbers_of(unsigned char *signature, size_t size)
{
    const unsigned char *at = signature;
    ECDSA_SIG *numbers = size ? d2i_ECDSA_SIG(NULL, &at, (long)size) : NULL;
    bool good =
        numbers && BN_bn2binpad(ECDSA_SIG_get0_r(numbers), signature, P256_SIZE) == P256_SIZE &&
        BN_bn2binpad(ECDSA_SIG_get0_s(numbers), signature + P256_SIZE, P256_SIZE) == P256_SIZE;
    ECDSA_SIG_free(numbers);
    return good ? P256_SIGNATURE_SIZE : 0;
}

void token_key_sign(const struct token_key *key, struct str text, struct buf *out)
{
    unsigned char signature[TOKEN_SIGNATURE_MAX];
    if (token_algorithm_is_shared(key->algorithm)) {
        sign_shared(key, text, out);
        return;
    }
    size_t size = sign_by_pair(key, text, signature);
    if (key->algorithm == TOKEN_ES256)
        size = numbers_of(signature, size);
    buf_add(out, signature, size);
    out->failed |= !size;
}
