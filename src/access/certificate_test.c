#include "access/certificate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { SINCE_US = 5, UNTIL_US = 9 };

static struct identity identify(enum credential_kind kind, struct str text)
{
    struct identity_source source = certificate_source();
    struct identification identification = {0};
    const struct credential credential = {
        .kind = kind, .text = text, .since_us = SINCE_US, .until_us = UNTIL_US};
    return source.identify(&source, &credential, &identification);
}

static void a_certificate_is_its_subject_until_it_ends(void **state)
{
    (void)state;
    struct identity identity = identify(CREDENTIAL_CERTIFICATE, STR("alice"));
    assert_int_equal(identity.state, IDENTITY_KNOWN);
    assert_true(str_eq(caller_name(identity.caller), STR("certificate/alice")));
    assert_int_equal(identity.caller->facts.issued_us, SINCE_US);
    assert_true(caller_is_authenticated(identity.caller, UNTIL_US - 1));
    assert_false(caller_is_authenticated(identity.caller, UNTIL_US));
    assert_int_equal(identity.caller->facts.grants_count, 0);
    caller_unref(identity.caller);
}

static void a_certificate_that_could_not_be_revoked_is_bad(void **state)
{
    char long_name[256];
    (void)state;
    memset(long_name, 'a', sizeof(long_name));
    const struct str names[] = {
        STR(""), STR("a\nb"), {"a\0b", 3}, STR("\xff"), {long_name, sizeof(long_name)}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_int_equal(identify(CREDENTIAL_CERTIFICATE, names[i]).state, IDENTITY_BAD);
}

static void a_text_that_somebody_sends_is_no_certificate(void **state)
{
    static const enum credential_kind kinds[] = {CREDENTIAL_BEARER,      CREDENTIAL_BASIC,
                                                 CREDENTIAL_QUERY,       CREDENTIAL_COOKIE,
                                                 CREDENTIAL_SUBPROTOCOL, CREDENTIAL_MESSAGE};
    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        assert_int_equal(identify(kinds[i], STR("alice")).state, IDENTITY_FOREIGN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_is_its_subject_until_it_ends),
        cmocka_unit_test(a_certificate_that_could_not_be_revoked_is_bad),
        cmocka_unit_test(a_text_that_somebody_sends_is_no_certificate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
