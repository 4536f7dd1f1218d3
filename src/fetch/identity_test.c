#include "fetch/identity.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

/* Two certificates with their keys, one key with a passphrase, as the text of their files. */
struct texts {
    struct buf certs[2], keys[2], locked;
};

static void take_text(struct buf *out, BIO *bio)
{
    char *at;
    long len = BIO_get_mem_data(bio, &at);
    assert_true(len > 0);
    buf_add(out, at, (size_t)len);
    BIO_free(bio);
}

static void write_key(struct buf *out, EVP_PKEY *key, const char *passphrase)
{
    BIO *bio = BIO_new(BIO_s_mem());
    unsigned char *secret = (unsigned char *)(uintptr_t)passphrase;
    assert_int_equal(PEM_write_bio_PrivateKey(bio, key, passphrase ? EVP_aes_128_cbc() : NULL,
                                              secret, passphrase ? (int)strlen(passphrase) : 0,
                                              NULL, NULL),
                     1);
    take_text(out, bio);
}

static void write_certificate(struct buf *out, EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    BIO *bio = BIO_new(BIO_s_mem());
    assert_non_null(certificate);
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_bio_X509(bio, certificate), 1);
    take_text(out, bio);
    X509_free(certificate);
}

static int make_texts(void **state)
{
    struct texts *texts = calloc(1, sizeof(*texts));
    assert_non_null(texts);
    for (int i = 0; i < 2; i++) {
        EVP_PKEY *key = EVP_EC_gen("P-256");
        assert_non_null(key);
        write_certificate(&texts->certs[i], key);
        write_key(&texts->keys[i], key, NULL);
        if (!i)
            write_key(&texts->locked, key, "secret");
        EVP_PKEY_free(key);
    }
    *state = texts;
    return 0;
}

static int drop_texts(void **state)
{
    struct texts *texts = *state;
    for (int i = 0; i < 2; i++) {
        buf_free(&texts->certs[i]);
        buf_free(&texts->keys[i]);
    }
    buf_free(&texts->locked);
    free(texts);
    return 0;
}

static void a_key_must_be_that_of_the_certificate(void **state)
{
    const struct texts *texts = *state;
    for (int i = 0; i < 2; i++) {
        struct str cert = buf_str(&texts->certs[i]);
        assert_null(identity_check(cert, buf_str(&texts->keys[i])));
        const char *why = identity_check(cert, buf_str(&texts->keys[!i]));
        assert_non_null(why);
        assert_non_null(strstr(why, "not that of the certificate"));
    }
}

static void texts_without_what_they_should_have_are_named(void **state)
{
    const struct texts *texts = *state;
    struct str cert = buf_str(&texts->certs[0]), key = buf_str(&texts->keys[0]);
    struct str half_cert = {cert.at, cert.len / 2}, half_key = {key.at, key.len / 2};
    const struct str certs[] = {key, STR("neither\n"), STR(""), half_cert};
    const struct str keys[] = {cert, STR("neither\n"), STR(""), half_key, buf_str(&texts->locked)};
    for (size_t i = 0; i < sizeof(certs) / sizeof(*certs); i++) {
        const char *why = identity_check(certs[i], key);
        assert_non_null(why);
        assert_non_null(strstr(why, "cert_file is no file"));
    }
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        const char *why = identity_check(cert, keys[i]);
        assert_non_null(why);
        assert_non_null(strstr(why, "key_file is no file"));
    }
}

static void the_certificate_is_for_the_hosts_that_are_named_alone(void **state)
{
    static const char *const hosts[] = {"hooks.internal", "10.0.0.1"};
    static const struct client_identity identity = {.hosts = hosts, .hosts_count = 2}, none = {0};
    (void)state;
    assert_true(identity_is_for(&identity, STR("hooks.internal")));
    assert_true(identity_is_for(&identity, STR("HOOKS.internal")));
    assert_true(identity_is_for(&identity, STR("10.0.0.1")));
    assert_false(identity_is_for(&identity, STR("10.0.0.10")));
    assert_false(identity_is_for(&identity, STR("more.hooks.internal")));
    assert_false(identity_is_for(&identity, STR("")));
    assert_false(identity_is_for(&none, STR("hooks.internal")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_key_must_be_that_of_the_certificate, make_texts,
                                        drop_texts),
        cmocka_unit_test_setup_teardown(texts_without_what_they_should_have_are_named, make_texts,
                                        drop_texts),
        cmocka_unit_test(the_certificate_is_for_the_hosts_that_are_named_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
