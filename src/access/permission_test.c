#include "access/permission.h"

#include "access/testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void a_copy_has_memory_of_its_own(void **state)
{
    char cookie[] = "sid=alice", address[] = "192.0.2.1", credential[] = "opaque";
    const struct evidence_field fields[] = {{STR("cookie"), str_from(cookie)},
                                            {STR("x-session"), STR_NONE}};
    const struct evidence facts = {.address = str_from(address),
                                   .peer = 5,
                                   .credential = str_from(credential),
                                   .fields = fields,
                                   .fields_count = 2};
    struct evidence *kept = evidence_new(&facts);
    (void)state;
    memset(cookie, 'x', sizeof(cookie));
    memset(address, 'x', sizeof(address));
    memset(credential, 'x', sizeof(credential));
    assert_int_equal(kept->fields_count, 2);
    assert_true(str_eq(kept->fields[0].name, STR("cookie")));
    assert_true(str_eq(kept->fields[0].value, STR("sid=alice")));
    assert_int_equal(kept->fields[1].value.len, 0);
    assert_true(str_eq(kept->address, STR("192.0.2.1")));
    assert_int_equal(kept->peer, 5);
    assert_true(str_eq(kept->credential, STR("opaque")));
    assert_true(evidence_size(kept) >= sizeof(*kept) + 2 * sizeof(fields[0]));
    evidence_free(kept);
    evidence_free(NULL);
}

/* Somebody who sends a credential means to be somebody: what anybody may do is not enough. */
static void rules_do_not_count_beside_a_credential_that_nobody_has_vouched_for(void **state)
{
    const struct rule rule = {.anybody = action_bit(ACTION_READ)};
    struct rules *rules = rules_new(&rule, 1);
    const struct access access = {.rules = rules};
    struct access judged = evidence_access(&(struct evidence){.address = STR("::1")}, access);
    (void)state;
    assert_int_equal(access_decide(&judged, ACTION_READ, STR("news")), ACCESS_ALLOWED);
    judged = evidence_access(&(struct evidence){.credential = STR("opaque")}, access);
    assert_int_equal(access_decide(&judged, ACTION_READ, STR("news")), ACCESS_NO_CREDENTIAL);
    judged = evidence_access(&(struct evidence){.credential = STR("opaque")}, ACCESS_OF_SERVER);
    assert_int_equal(access_decide(&judged, ACTION_READ, STR("news")), ACCESS_ALLOWED);
    rules_unref(rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_has_memory_of_its_own),
        cmocka_unit_test(rules_do_not_count_beside_a_credential_that_nobody_has_vouched_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
