#include "net/tls_peer.h"

#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { ENTRIES_MAX = 3 };

struct entry {
    const char *field, *text;
    int len, type; /* of the text; -1: to its end */
};

static X509 *certificate_with(const struct entry *entries, const char *names)
{
    X509 *certificate = X509_new();
    X509_NAME *subject = X509_get_subject_name(certificate);
    for (size_t i = 0; i < ENTRIES_MAX && entries[i].field; i++)
        assert_true(X509_NAME_add_entry_by_txt(subject, entries[i].field, entries[i].type,
                                               (const unsigned char *)entries[i].text,
                                               entries[i].len, -1, 0));
    X509_EXTENSION *extension =
        names ? X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names) : NULL;
    assert_true(!names || X509_add_ext(certificate, extension, -1));
    X509_EXTENSION_free(extension);
    ASN1_TIME_set(X509_getm_notBefore(certificate), 1000000000);
    ASN1_TIME_set(X509_getm_notAfter(certificate), 2000000000);
    return certificate;
}

static void the_subject_is_the_last_common_name_or_the_first_alternative(void **state)
{
    static const struct {
        struct entry entries[ENTRIES_MAX];
        const char *names;
        struct str subject;
    } rows[] = {
        {{{"CN", "alice", -1, MBSTRING_UTF8}}, NULL, STR("alice")},
        {{{"O", "Example", -1, MBSTRING_UTF8}, {"CN", "alice", -1, MBSTRING_UTF8}},
         "DNS:bob.example",
         STR("alice")},
        {{{"CN", "first", -1, MBSTRING_UTF8}, {"CN", "last", -1, MBSTRING_UTF8}},
         NULL,
         STR("last")},
        {{{"CN", "J\xf6rg", -1, V_ASN1_T61STRING}}, NULL, STR("J\xc3\xb6rg")},
        {{{"CN", "al\0ice", 6, V_ASN1_UTF8STRING}}, NULL, {"al\0ice", 6}},
        {{{NULL, NULL, 0, 0}},
         "IP:127.0.0.1,URI:spiffe://example/shop",
         STR("spiffe://example/shop")},
        {{{"O", "Example", -1, MBSTRING_UTF8}}, "email:a@b.example,DNS:c", STR("a@b.example")},
        {{{"O", "Example", -1, MBSTRING_UTF8}}, "IP:127.0.0.1", STR("")},
        {{{NULL, NULL, 0, 0}}, NULL, STR("")},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        X509 *certificate = certificate_with(rows[i].entries, rows[i].names);
        struct tls_peer *peer = tls_peer_new(certificate);
        assert_non_null(peer);
        assert_int_equal(peer->subject.len, rows[i].subject.len);
        assert_true(str_eq(peer->subject, rows[i].subject));
        assert_int_equal(peer->since_us, INT64_C(1000000000000000));
        assert_int_equal(peer->until_us, INT64_C(2000000000000000));
        free(peer);
        X509_free(certificate);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_subject_is_the_last_common_name_or_the_first_alternative),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
