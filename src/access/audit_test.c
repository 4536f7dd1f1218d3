#include "access/audit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static unsigned admit_many(struct audit *audit, unsigned count, int64_t now_ms)
{
    unsigned admitted = 0;
    for (unsigned i = 0; i < count; i++) {
        struct audit_entry entry = {.kind = AUDIT_REFUSED};
        admitted += audit_admit(audit, &entry, now_ms);
    }
    return admitted;
}

static void a_flood_of_refusals_is_counted_and_not_noted(void **state)
{
    (void)state;
    struct audit audit = {0};
    struct audit_entry entry = {.kind = AUDIT_REFUSED};
    assert_int_equal(admit_many(&audit, 1000, 5), AUDIT_BURST);
    assert_int_equal(admit_many(&audit, 1000, 5 + AUDIT_INTERVAL_MS - 1), 0);
    assert_true(audit_admit(&audit, &entry, 5 + AUDIT_INTERVAL_MS));
    assert_int_equal(entry.left_out, 2000 - AUDIT_BURST);
    assert_int_equal(admit_many(&audit, 10, 5 + 3 * AUDIT_INTERVAL_MS), 2);
    assert_int_equal(admit_many(&audit, 1000, 5 + 1000 * AUDIT_INTERVAL_MS), AUDIT_BURST);
    assert_int_equal(atomic_load(&audit.noted[AUDIT_REFUSED]), 2 * AUDIT_BURST + 3);
}

static void a_change_is_always_noted_and_tells_what_was_left_out(void **state)
{
    (void)state;
    struct audit audit = {0};
    struct audit_entry entry = {.kind = AUDIT_CHANGED};
    (void)admit_many(&audit, AUDIT_BURST + 7, 0);
    for (int i = 0; i < 100; i++) {
        assert_true(audit_admit(&audit, &entry, 0));
        assert_int_equal(entry.left_out, i ? 0 : 7);
    }
    assert_int_equal(atomic_load(&audit.left_out_all), 7);
}

static void an_entry_says_who_was_refused_what(void **state)
{
    (void)state;
    struct buf out = {0}, members = {0};
    struct json_writer writer = json_members_writer(&members);
    const struct caller_facts facts = {
        .kind = CALLER_TOKEN, .subject = STR("alice"), .jti = STR("t\xff")};
    struct audit_entry entry = {.kind = AUDIT_REFUSED,
                                .caller = caller_new(&facts),
                                .address = STR("192.0.2.1"),
                                .method = STR("GET"),
                                .path = STR("/channels/a"),
                                .why = STR("no \"grant\""),
                                .problem = STR("forbidden"),
                                .left_out = 3};
    json_member_string(&writer, "may", STR("read"));
    entry.members = buf_str(&members);
    audit_write(&out, &entry);
    assert_true(
        str_eq(buf_str(&out),
               STR("{\"by\":\"token\",\"subject\":\"alice\",\"jti_base64\":\"dP8=\","
                   "\"address\":\"192.0.2.1\",\"method\":\"GET\",\"path\":\"/channels/a\","
                   "\"problem\":\"forbidden\",\"why\":\"no \\\"grant\\\"\",\"may\":\"read\","
                   "\"left_out\":3}")));
    buf_clear(&out);
    caller_unref((struct caller *)(uintptr_t)entry.caller);
    audit_write(&out, &(struct audit_entry){.kind = AUDIT_REFUSED});
    assert_true(str_eq(buf_str(&out), STR("{\"by\":\"anybody\"}")));
    buf_free(&out);
    buf_free(&members);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flood_of_refusals_is_counted_and_not_noted),
        cmocka_unit_test(a_change_is_always_noted_and_tells_what_was_left_out),
        cmocka_unit_test(an_entry_says_who_was_refused_what),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
