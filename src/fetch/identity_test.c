#include "fetch/identity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Two certificates with their keys, one key with a passphrase, and a file of neither. */
struct files {
    char certs[2][64];
    char keys[2][64];
    char locked[64];
    char text[64];
    char dir[64];
};

static void write_key(const char *path, EVP_PKEY *key, const char *passphrase)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    unsigned char *secret = (unsigned char *)(uintptr_t)passphrase;
    assert_int_equal(PEM_write_PrivateKey(file, key, passphrase ? EVP_aes_128_cbc() : NULL, secret,
                                          passphrase ? (int)strlen(passphrase) : 0, NULL, NULL),
                     1);
    fclose(file);
}

static void write_certificate(const char *path, EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    FILE *file = fopen(path, "we");
    assert_non_null(certificate);
    assert_non_null(file);
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_X509(file, certificate), 1);
    fclose(file);
    X509_free(certificate);
}

static int make_files(void **state)
{
    struct files *files = calloc(1, sizeof(*files));
    char dir[] = "/tmp/freshet-identity-XXXXXX";
    assert_non_null(files);
    assert_non_null(mkdtemp(dir));
    memcpy(files->dir, dir, sizeof(dir));
    snprintf(files->locked, sizeof(files->locked), "%s/locked", dir);
    snprintf(files->text, sizeof(files->text), "%s/text", dir);
    for (int i = 0; i < 2; i++) {
        EVP_PKEY *key = EVP_EC_gen("P-256");
        assert_non_null(key);
        snprintf(files->certs[i], sizeof(files->certs[i]), "%s/cert%d", dir, i);
        snprintf(files->keys[i], sizeof(files->keys[i]), "%s/key%d", dir, i);
        write_certificate(files->certs[i], key);
        write_key(files->keys[i], key, NULL);
        if (!i)
            write_key(files->locked, key, "secret");
        EVP_PKEY_free(key);
    }
    FILE *text = fopen(files->text, "we");
    assert_non_null(text);
    fputs("neither\n", text);
    fclose(text);
    *state = files;
    return 0;
}

static int drop_files(void **state)
{
    struct files *files = *state;
    const char *all[] = {files->certs[0], files->certs[1], files->keys[0],
                         files->keys[1],  files->locked,   files->text};
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        unlink(all[i]);
    rmdir(files->dir);
    free(files);
    return 0;
}

static void a_key_must_be_that_of_the_certificate(void **state)
{
    const struct files *files = *state;
    for (int i = 0; i < 2; i++) {
        assert_null(identity_check(files->certs[i], files->keys[i]));
        const char *why = identity_check(files->certs[i], files->keys[!i]);
        assert_non_null(why);
        assert_non_null(strstr(why, "not that of the certificate"));
    }
}

static void files_without_what_they_should_have_are_named(void **state)
{
    const struct files *files = *state;
    const char *certs[] = {files->keys[0], files->text, files->dir, "/nonexistent"};
    const char *keys[] = {files->certs[0], files->text, files->dir, files->locked, "/nonexistent"};
    for (size_t i = 0; i < sizeof(certs) / sizeof(*certs); i++) {
        const char *why = identity_check(certs[i], files->keys[0]);
        assert_non_null(why);
        assert_non_null(strstr(why, "cert_file is no file"));
    }
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        const char *why = identity_check(files->certs[0], keys[i]);
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
        cmocka_unit_test_setup_teardown(a_key_must_be_that_of_the_certificate, make_files,
                                        drop_files),
        cmocka_unit_test_setup_teardown(files_without_what_they_should_have_are_named, make_files,
                                        drop_files),
        cmocka_unit_test(the_certificate_is_for_the_hosts_that_are_named_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
