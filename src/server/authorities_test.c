#include "server/authorities.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[] = "/tmp/freshet-authorities-XXXXXX";

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

/* A certificate in PEM form, signed by itself. */
static void add_certificate(struct buf *out)
{
    char *bytes;
    EVP_PKEY *pair = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    BIO *bio = BIO_new(BIO_s_mem());
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, pair);
    assert_true(X509_sign(certificate, pair, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_bio_X509(bio, certificate), 1);
    long len = BIO_get_mem_data(bio, &bytes);
    buf_add_str(out, (struct str){bytes, (size_t)len});
    BIO_free(bio);
    X509_free(certificate);
    EVP_PKEY_free(pair);
}

static const char *read_file_of(struct str text, struct buf *out)
{
    int fd = open(path, O_WRONLY | O_TRUNC);
    assert_true(write(fd, text.at, text.len) == (ssize_t)text.len);
    close(fd);
    return authorities_read(path, out);
}

static void all_certificates_of_a_file_are_read(void **state)
{
    (void)state;
    struct buf text = {0}, got = {0};
    buf_add_lit(&text, "# an authority of our own\n");
    add_certificate(&text);
    buf_add_lit(&text, "\nand another\n");
    add_certificate(&text);
    assert_null(read_file_of(buf_str(&text), &got));
    assert_true(str_eq(buf_str(&got), buf_str(&text)));
    buf_free(&text);
    buf_free(&got);
}

static void a_file_that_was_written_in_part_is_refused(void **state)
{
    (void)state;
    struct buf text = {0}, got = {0};
    add_certificate(&text);
    size_t whole = text.len;
    add_certificate(&text);
    for (size_t len = whole + 40; len < text.len - 30; len += 50) {
        buf_clear(&got);
        assert_non_null(read_file_of((struct str){text.at, len}, &got));
    }
    buf_free(&text);
    buf_free(&got);
}

static void a_file_without_certificates_is_refused(void **state)
{
    (void)state;
    struct buf got = {0};
    assert_non_null(read_file_of(STR(""), &got));
    assert_non_null(read_file_of(STR("hello\n"), &got));
    assert_non_null(authorities_read("/nonexistent/ca.pem", &got));
    buf_free(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_certificates_of_a_file_are_read),
        cmocka_unit_test(a_file_that_was_written_in_part_is_refused),
        cmocka_unit_test(a_file_without_certificates_is_refused),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
